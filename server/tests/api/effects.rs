use card_core::engine::EffectPage;
use card_core::problem::Code;

use crate::app::{OPERATOR, TestApp, ok, problem};

#[tokio::test]
async fn each_task_of_a_run_took_effect_once() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        app.finished(app.add(OPERATOR, "run-1").await.id).await;
    }
    app.finished(app.add(OPERATOR, "run-2").await.id).await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: EffectPage = ok(app.get(&format!("/effects?run=run-1&limit=2{cursor}"), OPERATOR)).await;
        found.extend(page.items);
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|count| count.effects == 1 && count.finals == 1), "{found:?}");
    assert_eq!(problem(app.get("/effects", OPERATOR)).await.code, Code::ValidationFailed);
}
