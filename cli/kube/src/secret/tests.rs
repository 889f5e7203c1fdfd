//! Against the API in memory.

use serde_json::json;

use super::*;
use crate::apply::tests::{cluster, config, release, run};
use crate::prune;
use crate::testing::{ApiServer, Fault};

fn numbered(missing: &[&str], there: &Values) -> Values {
    let value = |key: &str| format!("{key} besides {}", there.0.len()).into_bytes();
    Values(missing.iter().map(|&key| (key.to_owned(), value(key))).collect())
}

fn text(values: &Values, key: &str) -> String {
    String::from_utf8(values.0[key].clone()).unwrap()
}

#[tokio::test]
async fn a_secret_is_made_once_and_a_missing_key_is_added_to_it() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let ensure = async |keys: &[&str]| ensure(&cluster, &release(), "card-secrets", keys, numbered).await.unwrap();
    assert_eq!(ensure(&["a"]).await, Ensured::Created);
    assert_eq!(ensure(&["a"]).await, Ensured::Kept);
    assert_eq!(ensure(&["a", "b"]).await, Ensured::Added(vec!["b".to_owned()]));
    let values = read(&cluster, "card-secrets").await.unwrap().unwrap();
    assert_eq!((text(&values, "a"), text(&values, "b")), ("a besides 0".to_owned(), "b besides 1".to_owned()));
}

#[tokio::test]
async fn a_secret_that_somebody_brings_back_can_be_adopted_and_survives_a_prune() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    namespace::ensure(&cluster, &release()).await.unwrap();
    for missing in [&["a", "b"][..], &["a"]] {
        let made = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "card-secrets", "namespace": "cards"},
            "data": {"a": BASE64_STANDARD.encode("theirs")}});
        server.put(made.clone());
        let adoption = adoption(&cluster, "card-secrets");
        let (key, id) = adoption.rsplit(' ').next().unwrap().split_once('=').unwrap();
        let mut labelled = made;
        labelled["metadata"]["labels"] = json!({key: id});
        server.put(labelled);
        ensure(&cluster, &release(), "card-secrets", missing, numbered).await.unwrap();
        assert!(prune::preview(&cluster, &[]).await.unwrap().is_empty(), "{missing:?}");
        assert_eq!(text(&read(&cluster, "card-secrets").await.unwrap().unwrap(), "a"), "theirs");
        server.remove("Secret", Some("cards"), "card-secrets");
    }
}

#[tokio::test]
async fn a_secret_survives_a_prune() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    ensure(&cluster, &release(), "card-secrets", &["a"], numbered).await.unwrap();
    run(&cluster, &[config("m", "1")]).await.unwrap();
    let stale = prune::preview(&cluster, &[]).await.unwrap();
    assert_eq!(stale.len(), 1);
    prune::prune(&cluster, &stale, &release(), &|_| {}).await.unwrap();
    assert!(read(&cluster, "card-secrets").await.unwrap().is_some());
}

#[tokio::test]
async fn a_secret_of_others_is_used_if_it_has_the_keys_and_never_changed() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    namespace::ensure(&cluster, &release()).await.unwrap();
    server
        .put(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "card-secrets", "namespace": "cards"},
        "data": {"a": BASE64_STANDARD.encode("theirs")}}));
    let kept = ensure(&cluster, &release(), "card-secrets", &["a"], numbered).await.unwrap();
    assert_eq!(kept, Ensured::Kept);
    let refused = ensure(&cluster, &release(), "card-secrets", &["a", "b"], numbered).await.unwrap_err();
    assert!(matches!(&refused, SecretError::NotOurs { missing, .. } if missing == &["b"]), "{refused}");
    assert_eq!(text(&read(&cluster, "card-secrets").await.unwrap().unwrap(), "a"), "theirs");
}

#[tokio::test]
async fn whoever_is_first_counts_also_when_the_answer_is_lost() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    server.fail_on("POST", "/secrets", Fault::AnswerLost);
    assert!(ensure(&cluster, &release(), "card-secrets", &["a"], numbered).await.is_err());
    let first = read(&cluster, "card-secrets").await.unwrap().unwrap();
    assert_eq!(ensure(&cluster, &release(), "card-secrets", &["a"], numbered).await.unwrap(), Ensured::Kept);
    // Two at once.
    let release = release();
    let both = tokio::join!(
        ensure(&cluster, &release, "others", &["a"], numbered),
        ensure(&cluster, &release, "others", &["a"], numbered)
    );
    let both = [both.0.unwrap(), both.1.unwrap()];
    assert!(both.contains(&Ensured::Created) && both.contains(&Ensured::Kept), "{both:?}");
    assert!(read(&cluster, "card-secrets").await.unwrap().unwrap() == first);
}
