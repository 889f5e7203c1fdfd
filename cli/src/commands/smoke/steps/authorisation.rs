//! Nobody gets in without a token, sees somebody else's task, or does an operator's work as a user.

use card_core::problem::Code;

use crate::client::{Accept, Caller, ClientError, Token};
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let (owner, other) = (stage.user().await?, stage.user().await?);
    let order = stage.replacements.get(0);
    let nobody = Accept { caller: Caller::Nobody, key: None, run: Some(&stage.run) };
    expect("no token", Code::Unauthorized, stage.client.accept(&order, nobody).await)?;
    let forged = Token::new("eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.");
    let forged = Accept { caller: Caller::User(&forged), ..nobody };
    expect("a forged token", Code::Unauthorized, stage.client.accept(&order, forged).await)?;
    let task = stage.client.accept(&order, stage.accept(&owner, None)).await?;
    let seen = stage.client.task(task.id, None, Caller::User(&other.access_token)).await;
    expect("somebody else's task", Code::NotFound, seen)?;
    for path in ["/api/v1/stats", "/api/v1/dead-letters", "/api/v1/tasks"] {
        let answer = stage.client.probe(path, Caller::User(&owner.access_token)).await;
        expect(&format!("a user's token on {path}"), Code::Forbidden, answer)?;
    }
    Ok("401 without a token, 404 for another user's task, 403 for a user on operator routes".to_owned())
}

fn expect<T>(what: &str, code: Code, answer: Result<T, ClientError>) -> Result<(), Miss> {
    match answer {
        Err(error) if error.code() == Some(code) => Ok(()),
        Err(error) if error.problem().is_none() => Err(error.into()),
        Err(error) => Err(Miss::Wrong(format!("{what}: {} instead of {code}", error.name()))),
        Ok(_) => Err(Miss::Wrong(format!("{what} was accepted instead of {code}"))),
    }
}
