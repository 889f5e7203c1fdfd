//! What was made is removed by run, and nothing is left.

use crate::client::TaskQuery;
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let (mut users, mut tasks) = (0, 0);
    for run in [&stage.run, &stage.load_run] {
        let cleaned = stage.client.clean(run).await?;
        users += cleaned.users;
        tasks += cleaned.tasks;
        let query = TaskQuery { run: Some(run.clone()), limit: Some(1), ..TaskQuery::default() };
        let left = stage.client.tasks(&query, None).await?.items.len();
        let effects = stage.client.effects(run, None).await?.items.len();
        let again = stage.client.clean(run).await?;
        if left + effects > 0 || again.users + again.tasks > 0 {
            return Err(Miss::Wrong(format!("data of {run} is left")));
        }
    }
    Ok(format!("{users} users and {tasks} tasks removed, nothing left"))
}
