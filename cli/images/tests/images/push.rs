use std::sync::{Arc, Mutex};

use card_images::push::{self, Event, Place, Pushed, Watch};
use card_images::{ErrorKind, Image, ImageError, MultiPlatform, verify};

use crate::registry::{self, Real};
use crate::workshop::Workshop;

fn built(workshop: &Workshop) -> Image {
    workshop.store().build(&workshop.recipe()).unwrap().image
}

fn place(address: &str) -> Place {
    format!("{address}/cards").parse().unwrap()
}

fn watch() -> (Watch, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    (Arc::new(move |event| told.lock().unwrap().push(event)), events)
}

async fn send(image: &Image, address: &str) -> Result<Pushed, ImageError> {
    let pushed = push::push(std::slice::from_ref(image), &place(address), None, &watch().0).await?;
    Ok(pushed.into_iter().next().unwrap())
}

async fn whole(pushed: &Pushed, address: &str) -> bool {
    let verified = verify::registry(&pushed.reference.tagged(), &place(address), None).await.unwrap();
    assert!(verified.blobs >= 3);
    verified.differences.is_empty()
}

#[tokio::test]
async fn what_is_there_is_not_sent_again() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (address, registry) = registry::start().await;
    let first = send(&image, &address).await.unwrap();
    assert_eq!(first.reference.digest, image.manifest_digest);
    assert_eq!((first.sent, first.present), (image.size - image.manifest_size, 0));
    assert!(whole(&first, &address).await);
    let received = registry.lock().unwrap().received;
    let second = send(&image, &address).await.unwrap();
    assert_eq!((second.sent, second.present), (0, first.sent));
    assert_eq!(registry.lock().unwrap().received, received);
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_tried_again() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().faults = vec![("PATCH", 2)];
    let (watch, events) = watch();
    let pushed = push::push(std::slice::from_ref(&image), &place(&address), None, &watch).await.unwrap();
    assert!(whole(&pushed[0], &address).await);
    let again = events.lock().unwrap().iter().filter(|event| matches!(event, Event::Again(_))).count();
    assert_eq!(again, 2);
}

#[tokio::test]
async fn a_registry_that_keeps_failing_gets_no_manifest() {
    let workshop = Workshop::new();
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().faults = vec![("PATCH", usize::MAX)];
    let error = send(&built(&workshop), &address).await.unwrap_err();
    assert_eq!((error.code, error.kind), ("registry-failed", ErrorKind::Unknown));
    assert!(error.to_string().contains("500"), "{error}");
    assert!(registry.lock().unwrap().manifests.is_empty(), "a name would promise blobs that are not there");
}

#[tokio::test]
async fn a_registry_that_refuses_is_not_asked_twice() {
    let workshop = Workshop::new();
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().lock = Some("Basic YWRhOnB3");
    let error = send(&built(&workshop), &address).await.unwrap_err();
    assert_eq!((error.code, error.kind), ("registry-refused", ErrorKind::Unknown));
    assert!(error.fix.unwrap().contains(&format!("docker login {address}")));
}

#[tokio::test]
async fn a_registry_that_asks_for_a_password_gets_it_and_no_other_does() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().lock = Some("Basic YWRhOnB3");
    let environment = |password: &'static str| {
        move |name: &str| match name {
            "CARDCTL_REGISTRY_USERNAME" => Some("ada".into()),
            "CARDCTL_REGISTRY_PASSWORD" => Some(password.into()),
            _ => None,
        }
    };
    for (password, code) in [("wrong", Some("registry-refused")), ("pw", None)] {
        let credentials = push::credentials(&address, environment(password)).await.unwrap();
        let place = place(&address);
        let pushed = push::push(std::slice::from_ref(&image), &place, credentials.as_ref(), &watch().0).await;
        let error = pushed.map(drop).err();
        assert!(!format!("{error:?}").contains(password), "{error:?}");
        assert_eq!(error.map(|error| error.code), code);
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_unreachable() {
    let workshop = Workshop::new();
    let error = send(&built(&workshop), "127.0.0.1:1").await.unwrap_err();
    assert_eq!((error.code, error.kind), ("registry-unreachable", ErrorKind::Unknown));
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_registry_that_has_another_image_afterwards_is_not_believed() {
    let workshop = Workshop::new();
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().forgetful = true;
    assert_eq!(send(&built(&workshop), &address).await.unwrap_err().code, "not-pushed");
}

#[tokio::test]
async fn a_registry_may_have_its_own_idea_of_an_upload() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let refused = |begin, code| vec![(begin, code, "")];
    for (name, refusals, location) in [
        ("no pieces", refused("PATCH", 405), None),
        ("no such method", refused("PATCH", 501), None),
        ("no such route", refused("PATCH", 404), None),
        ("no look", refused("HEAD", 403), None),
        ("no such look", refused("HEAD", 405), None),
        ("neither", vec![("PATCH", 405, ""), ("HEAD", 405, "")], None),
        ("a place seen from there", vec![], Some("relative")),
        ("a place that is a name", vec![], Some("bare")),
        ("a place that is a name, as a whole", refused("PATCH", 405), Some("bare")),
    ] {
        let (address, registry) = registry::start().await;
        registry.lock().unwrap().refusals = refusals;
        registry.lock().unwrap().location = location.map(str::to_owned);
        let pushed = send(&image, &address).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        registry.lock().unwrap().refusals = Vec::new();
        assert!(whole(&pushed, &address).await, "{name}");
    }
}

#[tokio::test]
async fn an_upload_that_goes_on_elsewhere_is_shown_no_password() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (elsewhere, storage) = registry::start().await;
    let http = card_http::local().build().unwrap();
    for _ in 0..64 {
        // Uploads that were begun elsewhere are known there by the same numbers.
        http.post(format!("http://{elsewhere}/v2/x/blobs/uploads/")).send().await.unwrap();
    }
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().lock = Some("Basic YWRhOnB3");
    registry.lock().unwrap().location = Some(format!("http://{elsewhere}"));
    let environment = |name: &str| match name {
        "CARDCTL_REGISTRY_USERNAME" => Some("ada".into()),
        "CARDCTL_REGISTRY_PASSWORD" => Some("pw".into()),
        _ => None,
    };
    let credentials = push::credentials(&address, environment).await.unwrap();
    push::push(std::slice::from_ref(&image), &place(&address), credentials.as_ref(), &watch().0).await.unwrap();
    assert!(storage.lock().unwrap().received > 0);
    assert!(storage.lock().unwrap().shown.iter().all(|(_, key)| key.is_none()));
    // What is signed is not repeated either.
    storage.lock().unwrap().refusals = vec![("P", 400, "no")];
    registry.lock().unwrap().blobs.clear();
    let error = push::push(std::slice::from_ref(&image), &place(&address), credentials.as_ref(), &watch().0).await;
    assert!(!format!("{:?}", error.unwrap_err()).contains("hunter2"));
}

#[tokio::test]
async fn a_registry_that_is_full_is_not_told_to_know_us_better() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let full = r#"{"errors":[{"code":"DENIED","message":"adding 27.6 MiB of storage resource, which when updated will exceed the configured upper limit"}]}"#;
    for (begin, code, said) in [("POST", 403, full), ("PUT", 403, full), ("PUT", 413, ""), ("PATCH", 507, "")] {
        let (address, registry) = registry::start().await;
        registry.lock().unwrap().refusals = vec![(begin, code, said)];
        let error = send(&image, &address).await.unwrap_err();
        assert_eq!(error.code, "registry-full", "{begin} {code}: {error}");
        assert!(!error.fix.as_ref().unwrap().contains("login"), "{error}");
    }
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().refusals =
        vec![("POST", 403, r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#)];
    let error = send(&image, &address).await.unwrap_err();
    assert_eq!(error.code, "registry-refused");
    assert!(error.to_string().contains("requested access is denied") && error.fix.unwrap().contains("push permission"));
}

#[tokio::test]
async fn a_registry_that_is_busy_is_asked_again_when_it_says() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().busy = 3;
    let (watch, events) = watch();
    // The first request asks who we are to be; the library does that.
    card_http::local().build().unwrap().get(format!("http://{address}/v2/")).send().await.unwrap();
    let pushed = push::push(std::slice::from_ref(&image), &place(&address), None, &watch).await.unwrap();
    assert!(whole(&pushed[0], &address).await);
    assert!(events.lock().unwrap().iter().any(|event| matches!(event, Event::Again(_))));
    registry.lock().unwrap().blobs.clear();
    registry.lock().unwrap().busy = usize::MAX;
    let error = send(&image, &address).await.unwrap_err();
    assert_eq!(error.code, "registry-busy", "{error}");
}

#[tokio::test]
async fn an_account_that_may_only_push_is_told_that_nobody_looked() {
    let workshop = Workshop::new();
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().refusals = vec![("GET /v2/cards", 403, ""), ("HEAD", 403, "")];
    let error = send(&built(&workshop), &address).await.unwrap_err();
    assert_eq!((error.code, error.kind), ("not-seen", ErrorKind::Unknown), "{error}");
    assert_eq!(registry.lock().unwrap().manifests.len(), 2, "it is there, by its tag and its digest");
}

#[tokio::test]
async fn a_damaged_archive_is_not_sent() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (address, registry) = registry::start().await;
    let mut bytes = std::fs::read(&image.archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&image.archive, bytes).unwrap();
    let error = send(&image, &address).await.unwrap_err();
    assert_eq!((error.code, error.kind), ("damaged-archive", ErrorKind::Different));
    assert_eq!(registry.lock().unwrap().received, 0);
}

#[tokio::test]
async fn a_blob_that_a_registry_damaged_is_found_out() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (address, registry) = registry::start().await;
    let pushed = send(&image, &address).await.unwrap();
    registry.lock().unwrap().blobs.insert(image.config_digest.to_string(), b"{}".as_slice().into());
    assert!(!whole(&pushed, &address).await);
    registry.lock().unwrap().blobs.remove(image.layer_digest.as_str());
    let verified = verify::registry(&pushed.reference.pinned(), &place(&address), None).await.unwrap();
    assert!(verified.differences.iter().any(|difference| difference.actual == "nothing"), "{:?}", verified.differences);
}

#[tokio::test]
async fn images_of_several_platforms_get_one_name() {
    let workshop = Workshop::new();
    let images = both(&workshop);
    let (address, _registry) = registry::start().await;
    let pushed = push::push(&images, &place(&address), None, &watch().0).await.unwrap();
    assert_eq!(pushed.len(), 1);
    assert_eq!(pushed[0].platforms.len(), 2);
    assert_eq!(pushed[0].reference.digest, MultiPlatform::of(&images).unwrap()[0].digest);
    let verified = verify::registry(&pushed[0].reference.tagged(), &place(&address), None).await.unwrap();
    assert_eq!((verified.differences, verified.blobs), (vec![], 7));
}

/// The same program for two platforms: what its header says is all that is looked at.
fn both(workshop: &Workshop) -> Vec<Image> {
    let own = workshop.recipe();
    let mut bytes = std::fs::read(workshop.binary()).unwrap();
    for (text, machine) in [("linux/amd64", 62_u16), ("linux/arm64", 183)] {
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        let binary = workshop.path().join(format!("of-{machine}"));
        std::fs::write(&binary, &bytes).unwrap();
        let recipe = card_images::Recipe { binary, platform: text.parse().unwrap(), ..own.clone() };
        workshop.store().build(&recipe).unwrap();
    }
    workshop.store().images().unwrap()
}

#[tokio::test]
async fn debians_registry_takes_them_as_well() {
    let workshop = Workshop::new();
    let Some(real) = Real::start(workshop.path()) else { return };
    let images = both(&workshop);
    let pushed = push::push(&images, &place(&real.address), None, &watch().0).await.unwrap();
    let reference = &pushed[0].reference;
    let verified = verify::registry(&reference.pinned(), &place(&real.address), None).await.unwrap();
    assert_eq!((verified.differences, verified.blobs), (vec![], 7));
    let again = push::push(&images, &place(&real.address), None, &watch().0).await.unwrap();
    assert_eq!(again[0].sent, 0);
    let one = send(&images[0], &real.address).await.unwrap();
    assert_eq!(one.reference.digest, images[0].manifest_digest);
    let missing = format!("{}/cards/card-server:sha-000000000000", real.address);
    let error = verify::registry(&missing, &place(&real.address), None).await.unwrap_err();
    assert_eq!(error.code, "not-in-registry", "{error}");
}

/// The test of a password again, in a process whose environment names a proxy for everything.
#[test]
fn a_registry_on_this_machine_is_never_reached_through_a_proxy() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "push::a_registry_that_asks_for_a_password_gets_it_and_no_other_does"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env(name, &proxy);
    }
    let ended = command.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "something went through the proxy");
}

#[tokio::test]
async fn a_password_is_not_sent_to_a_realm_elsewhere_without_tls() {
    let workshop = Workshop::new();
    let image = built(&workshop);
    let (address, registry) = registry::start().await;
    registry.lock().unwrap().lock = Some("Basic YWRhOnB3");
    registry.lock().unwrap().challenge = Some("Bearer realm=\"http://192.0.2.1/token\",service=\"x\"".to_owned());
    let variable = |name: &str| match name {
        "CARDCTL_REGISTRY_USERNAME" => Some("ada".into()),
        "CARDCTL_REGISTRY_PASSWORD" => Some("pw".into()),
        _ => None,
    };
    let credentials = push::credentials(&address, variable).await.unwrap();
    let pushed = push::push(std::slice::from_ref(&image), &place(&address), credentials.as_ref(), &watch().0).await;
    let error = pushed.unwrap_err();
    assert_eq!((error.code, error.kind), ("plain-http", ErrorKind::Environment), "{error}");
}
