//! What is told at once of a Redis that can't be used, and that the documented rights are enough.

use std::net::TcpListener;

use super::*;
use crate::engine::ErrorKind;
use crate::engine::conformance::{accepted, add, claim_one, replacement};
use crate::ids::UserId;
use crate::testing::{Redis, RedisCluster, Sentinels};

const OPERATIONS: &str = include_str!("../../../../../docs/guides/postgres-redis.md");

/// The rights in the documentation, as words of `ACL SETUSER card`.
fn documented() -> Vec<&'static str> {
    let line = OPERATIONS.lines().find_map(|line| line.trim().strip_prefix("ACL SETUSER card ")).expect("documented");
    line.split(' ').collect()
}

fn set_user(redis: &Redis, rights: &[&str]) {
    let words = [&["ACL", "SETUSER", "card", "reset"], rights].concat();
    redis.command::<()>(&words);
}

fn login(redis: &Redis, login: &str) -> String {
    format!("redis://{login}@{}/0", redis.address())
}

async fn refused(address: &str) -> RedisTrouble {
    let begun = tokio::time::Instant::now();
    let trouble = try_redis(address, "card").await.expect_err("refused");
    // And so does each process that opens the ledger.
    let database = Database::create();
    let engine = Address { database: database.url().to_owned(), redis: address.to_owned() };
    let error = open_engine(&engine, &Settings::default(), &KINDS).await.err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Broken, "{error:?}");
    assert!(error.fix().is_some(), "{error}");
    assert!(!format!("{trouble:?} {error:?}").contains("hunter2"), "{trouble:?} {error:?}");
    assert!(begun.elapsed() < PATIENCE);
    trouble
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_documented_rights_does_all_and_without_one_of_them_it_is_told_which() {
    let redis = Redis::start();
    let rights = documented();
    set_user(&redis, &rights);
    let address = login(&redis, "card:PASSWORD");
    assert_eq!(try_redis(&address, "card").await.unwrap(), RedisReport { reached: true, evicts: None });
    let bed =
        start_with(Database::create(), address.clone(), |settings| settings.delivery.prefix = "card".into()).await;
    let tally = Tally::default();
    accept_all(&bed.engine, (0..100).map(|_| replacement(UserId::new())).collect()).await;
    work(Arc::clone(&bed.engine), tally, 100).await;
    accepted(&*bed.engine, add()).await;
    let claim = claim_one(&*bed.engine).await;
    assert_eq!(bed.engine.extend(&[claim.lease], Duration::from_secs(9)).await.unwrap(), []);
    assert_eq!(bed.engine.stats().await.unwrap().queue.running, 1);
    bed.engine.close().await;

    // What is not needed is not asked for; what is needed is missed at once.
    for left_out in rights.iter().filter(|right| right.starts_with('+')) {
        let others: Vec<_> = rights.iter().copied().filter(|right| right != left_out).collect();
        set_user(&redis, &others);
        // As a new Redis, which has to be given the scripts.
        redis.command::<()>(&["SCRIPT", "FLUSH"]);
        let tried = try_redis(&address, "card").await;
        match *left_out {
            // Of use, and nothing fails without.
            "+info" | "+select" | "+ping" => assert!(tried.is_ok(), "{left_out}: {tried:?}"),
            // Only after a loss: the scripts say so then.
            "+xgroup|setid" | "+zscan" | "+hscan" | "+zrangebyscore" | "+xclaim" | "+exists" | "+zscore" => {}
            _ => {
                let trouble = tried.err().unwrap_or_else(|| panic!("without {left_out} nothing is missed"));
                assert!(trouble.fix.contains("rights"), "{left_out}: {trouble:?}");
            }
        }
    }
    set_user(&redis, &[&rights[..], &["-@scripting"]].concat());
    let trouble = refused(&address).await;
    assert!(trouble.reason.contains("permission") && trouble.fix.contains("rights"), "{trouble:?}");
    set_user(&redis, &[&rights[..], &["resetkeys", "~other:*"]].concat());
    assert!(refused(&address).await.fix.contains("rights"));
    set_user(&redis, &[&rights[..], &["resetchannels"]].concat());
    assert!(refused(&address).await.fix.contains("rights"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_login_or_database_is_told_at_once() {
    let redis = Redis::start();
    let trouble = refused(&format!("redis://{}/99", redis.address())).await;
    assert!(trouble.reason.contains("no database 99"), "{trouble:?}");
    set_user(&redis, &["on", ">word", "~*", "&*", "+@all"]);
    let trouble = refused(&login(&redis, "card:hunter2")).await;
    assert!(trouble.reason.contains("refuses this user") && trouble.fix.contains("password"), "{trouble:?}");
    assert!(refused(&login(&redis, "nobody:hunter2")).await.fix.contains("password"));
    redis.command::<()>(&["ACL", "SETUSER", "default", "off"]);
    assert!(refused(&redis.url()).await.fix.contains("password"), "no login at all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistaken_kind_of_address_is_told_at_once() {
    let redis = Redis::start();
    let here = redis.address();
    let trouble = refused(&format!("redis-cluster://{here}")).await;
    assert!(trouble.fix.starts_with("redis:// instead"), "{trouble:?}");
    for scheme in ["rediss", "rediss-cluster"] {
        let trouble = refused(&format!("{scheme}://{here}")).await;
        assert!(trouble.reason.contains("asks for TLS"), "{scheme}: {trouble:?}");
    }
    let cluster = RedisCluster::start(3);
    let node = cluster.node_urls().remove(0);
    let trouble = refused(&node).await;
    assert!(trouble.fix.contains("redis-cluster://"), "{trouble:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_never_left_out_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let redis = Redis::start_with(&[
        ("tls-port", &port.to_string()),
        ("tls-cert-file", &cert),
        ("tls-key-file", &key),
        ("tls-auth-clients", "no"),
    ]);
    redis.command::<String>(&["PING"]);
    let trouble = refused(&format!("redis://127.0.0.1:{port}")).await;
    assert!(trouble.reason.contains("speaks TLS") && trouble.fix.starts_with("rediss://"), "{trouble:?}");
    // Nobody has vouched for it.
    let trouble = refused(&format!("rediss://127.0.0.1:{port}")).await;
    assert!(trouble.reason.contains("certificate") && trouble.fix.contains("SSL_CERT_FILE"), "{trouble:?}");
    for insecure in ["rediss://127.0.0.1:1#insecure", "rediss-sentinel://127.0.0.1:1/card#insecure"] {
        assert!(refused(insecure).await.reason.contains("#insecure"));
    }
    let sentinels = Sentinels::start();
    let trouble = refused(&sentinels.url().replace("redis-", "rediss-")).await;
    assert!(trouble.reason.contains("asks for TLS"), "{trouble:?}");
    let trouble = refused(&format!("{}-other", sentinels.url())).await;
    assert!(trouble.reason.contains("no master"), "{trouble:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_reaches_the_master_and_sentinels_with_one_of_their_own_or_none() {
    for sentinels_too in [false, true] {
        let sentinels = Sentinels::start();
        let url = sentinels.url().replace("://", "://:hunter2@");
        sentinels.protect("hunter2", sentinels_too);
        let report = try_redis(&url, "card").await.unwrap();
        assert!(report.reached);
        let bed = start_with(Database::create(), url.clone(), |_| {}).await;
        let tasks = accept_all(&bed.engine, (0..20).map(|_| add()).collect()).await;
        assert_eq!(work(Arc::clone(&bed.engine), Tally::default(), 20).await.len(), tasks.len());
        assert!(refused(&url.replace("hunter2", "wrong")).await.fix.contains("password"));
        bed.engine.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_removes_keys_is_told() {
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let redis = Redis::start_with(&[("maxmemory-policy", policy)]);
        assert_eq!(try_redis(&redis.url(), "card").await.unwrap().evicts.as_deref(), Some(policy));
    }
    let nobody = try_redis("redis://127.0.0.1:1", "card").await.unwrap();
    assert_eq!(nobody, RedisReport { reached: false, evicts: None });
}
