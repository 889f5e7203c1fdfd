use std::collections::BTreeMap;

use super::*;

async fn found(variables: &[(&str, &str)], registry: &str) -> Result<Option<Credentials>, ImageError> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    credentials(registry, |name| variables.get(name).map(OsString::from)).await
}

fn pair(username: &str, password: &str) -> Option<Credentials> {
    Some(Credentials::password(username, password))
}

fn docker(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), config).unwrap();
    dir
}

#[tokio::test]
async fn the_environment_comes_first() {
    let dir = docker(r#"{"auths":{"r.io":{"auth":"YWRhOnB3"}}}"#);
    let dir = dir.path().to_str().unwrap();
    let own = [(USERNAME, "eve"), (PASSWORD, "x"), ("DOCKER_CONFIG", dir)];
    assert_eq!(found(&own, "r.io").await.unwrap(), pair("eve", "x"));
    assert_eq!(found(&own[2..], "r.io").await.unwrap(), pair("ada", "pw"));
    assert_eq!(found(&own[2..], "other.io").await.unwrap(), None);
}

#[tokio::test]
async fn a_password_may_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, "pw\n").unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(found(&[(USERNAME, "ada"), (PASSWORD_FILE, path)], "r.io").await.unwrap(), pair("ada", "pw"));
    assert_eq!(found(&[(USERNAME, "ada")], "r.io").await.unwrap_err().code, "credentials");
    assert_eq!(found(&[(USERNAME, "ada"), (PASSWORD_FILE, "/nowhere")], "r.io").await.unwrap_err().code, "unreadable");
}

#[tokio::test]
async fn the_hub_has_a_name_of_its_own() {
    let dir = docker(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWRhOnB3"}}}"#);
    let config = [("DOCKER_CONFIG", dir.path().to_str().unwrap())];
    assert_eq!(found(&config, "docker.io").await.unwrap(), pair("ada", "pw"));
}

#[tokio::test]
async fn what_is_no_configuration_is_said_and_not_repeated() {
    for (config, code) in [("nonsense", "credentials"), (r#"{"auths":{"r.io":{"auth":"c2VjcmV0"}}}"#, "credentials")] {
        let dir = docker(config);
        let error = found(&[("DOCKER_CONFIG", dir.path().to_str().unwrap())], "r.io").await.unwrap_err();
        assert_eq!(error.code, code);
        assert!(!format!("{error:?}").contains("secret") && !format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
    }
    assert_eq!(found(&[("HOME", "/nowhere")], "r.io").await.unwrap(), None);
    assert_eq!(found(&[], "r.io").await.unwrap(), None);
}

#[tokio::test]
async fn a_helper_that_is_missing_is_named() {
    let dir = docker(r#"{"auths":{"r.io":{}},"credsStore":"of-a-test-that-is-not-there"}"#);
    let error = found(&[("DOCKER_CONFIG", dir.path().to_str().unwrap())], "r.io").await.unwrap_err();
    assert!(error.message.contains("docker-credential-of-a-test-that-is-not-there"), "{error}");
}

#[test]
fn credentials_do_not_show_themselves() {
    assert!(!format!("{:?}", pair("ada", "pw")).contains("pw"));
}

#[tokio::test]
async fn every_form_of_dockers_configuration_is_taken() {
    let pw = "YWRhOnB3";
    let ada = || pair("ada", "pw");
    for (config, registry, is) in [
        (String::new(), "r.io", None),
        ("\n".to_owned(), "r.io", None),
        ("null".to_owned(), "r.io", None),
        ("{}".to_owned(), "r.io", None),
        (r#"{"auths": null, "credHelpers": null, "credsStore": null}"#.to_owned(), "r.io", None),
        (r#"{"credsStore": ""}"#.to_owned(), "r.io", None),
        (r#"{"auths": {"r.io": null}}"#.to_owned(), "r.io", None),
        (r#"{"credsStore": "of-a-test-that-is-not-there"}"#.to_owned(), "r.io", None),
        (
            format!(r#"{{"credsStore": "of-a-test-that-is-not-there", "auths": {{"r.io": {{"auth": "{pw}"}}}}}}"#),
            "r.io",
            ada(),
        ),
        (r#"{"credHelpers": {"other.io": "of-a-test-that-is-not-there"}}"#.to_owned(), "r.io", None),
        (r#"{"auths": {"r.io": {}}}"#.to_owned(), "r.io", None),
        (r#"{"auths": {"r.io": {"auth": ""}}}"#.to_owned(), "r.io", None),
        (format!(r#"{{"auths": {{"r.io": {{"auth": "{pw}"}}}}}} trailing"#), "r.io", ada()),
        (format!(r#"{{"Auths": {{"r.io": {{"Auth": "{pw}"}}}}}}"#), "r.io", ada()),
        (format!(r#"{{"auths": {{"https://r.io": {{"auth": "{pw}"}}}}}}"#), "r.io", ada()),
        (format!(r#"{{"auths": {{"http://r.io/v1/": {{"auth": "{pw}"}}}}}}"#), "r.io", ada()),
        (format!(r#"{{"auths": {{"https://r.io:5000/v2/": {{"auth": "{pw}"}}}}}}"#), "r.io:5000", ada()),
        (format!(r#"{{"auths": {{"r.io:5000": {{"auth": "{pw}"}}}}}}"#), "r.io", None),
        (format!(r#"{{"auths": {{"r.io.example": {{"auth": "{pw}"}}}}}}"#), "r.io", None),
        (format!(r#"{{"auths": {{"r.io/team": {{"auth": "{pw}"}}}}}}"#), "r.io", ada()),
        (format!(r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{pw}"}}}}}}"#), "docker.io", ada()),
        (format!(r#"{{"auths": {{"docker.io": {{"auth": "{pw}"}}}}}}"#), "docker.io", ada()),
        (format!(r#"{{"auths": {{"other.io": 7, "r.io": {{"auth": "{pw}", "email": null}}}}}}"#), "r.io", ada()),
        (r#"{"auths": {"r.io": {"auth": "YWRh\nOnB3\r\n"}}}"#.to_owned(), "r.io", ada()),
        (r#"{"auths": {"r.io": {"auth": "YWRhOmE6YjpjAAA="}}}"#.to_owned(), "r.io", pair("ada", "a:b:c")),
        (r#"{"auths": {"r.io": {"username": "ada", "password": "pw"}}}"#.to_owned(), "r.io", ada()),
        (
            r#"{"auths": {"r.io": {"registrytoken": "t"}}}"#.to_owned(),
            "r.io",
            Some(Credentials(Kind::Token("t".into()))),
        ),
        // As `docker login` leaves it where it was given an identity token for the password.
        (
            r#"{"auths": {"r.io": {"auth": "YWRhOg==", "identitytoken": "t"}}}"#.to_owned(),
            "r.io",
            Some(Credentials(Kind::Identity("t".into()))),
        ),
        (r#"{"auths": {"r.io": {"auth": "YWRhOnB3", "identitytoken": ""}}}"#.to_owned(), "r.io", ada()),
    ] {
        let dir = docker(&config);
        let known = found(&[("DOCKER_CONFIG", dir.path().to_str().unwrap())], registry).await;
        assert_eq!(known.unwrap_or_else(|error| panic!("{config}: {error}")), is, "{config}");
    }
    for config in [
        "{",
        "[]",
        "7",
        r#"{"auths": []}"#,
        r#"{"credsStore": 7}"#,
        r#"{"credHelpers": "x"}"#,
        r#"{"auths": {"r.io": {"auth": "hunter2"}}}"#,
        r#"{"auths": {"r.io": {"auth": "OnB3"}}}"#,
        r#"{"hunter2"}"#,
    ] {
        let dir = docker(config);
        let error = found(&[("DOCKER_CONFIG", dir.path().to_str().unwrap())], "r.io").await.unwrap_err();
        assert_eq!(error.code, "credentials", "{config}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn what_others_keep_counts_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, word: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let auth = BASE64_STANDARD.encode(format!("{word}:pw"));
        std::fs::write(&path, format!(r#"{{"auths": {{"r.io": {{"auth": "{auth}"}}}}}}"#)).unwrap();
        path.display().to_string()
    };
    write("home/.config/containers/auth.json", "home");
    write("run/containers/auth.json", "run");
    write("docker/config.json", "docker");
    let podman = write("podman.json", "podman");
    let (home, run, docker) = (dir.path().join("home"), dir.path().join("run"), dir.path().join("docker"));
    let in_variable = format!(r#"{{"auths": {{"r.io": {{"auth": "{}"}}}}}}"#, BASE64_STANDARD.encode("variable:pw"));
    let mut variables = vec![("HOME", home.to_str().unwrap())];
    for (more, who) in [
        (None, "home"),
        (Some(("XDG_RUNTIME_DIR", run.to_str().unwrap())), "run"),
        (Some(("DOCKER_CONFIG", docker.to_str().unwrap())), "docker"),
        (Some(("REGISTRY_AUTH_FILE", podman.as_str())), "podman"),
        (Some(("DOCKER_AUTH_CONFIG", in_variable.as_str())), "variable"),
    ] {
        variables.extend(more);
        assert_eq!(found(&variables, "r.io").await.unwrap(), pair(who, "pw"));
    }
    assert_eq!(found(&variables, "other.io").await.unwrap(), None);
}

proptest::proptest! {
    #[test]
    fn any_configuration_is_read_or_refused(text in "[a-zA-Z0-9{}\\[\\]\":, ]{0,80}") {
        if let Ok(config) = Config::read("x", text.as_bytes()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let config = Config { store: None, helpers: Map::new(), ..config };
            let _ = runtime.block_on(config.find("r.io"));
        }
    }
}
