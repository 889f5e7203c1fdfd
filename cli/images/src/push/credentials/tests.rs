use super::*;

async fn found(variables: &[(&str, &str)], registry: &str) -> Result<Option<Credentials>, ImageError> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    credentials(registry, |name| variables.get(name).map(OsString::from)).await
}

fn pair(username: &str, password: &str) -> Option<Credentials> {
    Some(Credentials { username: username.into(), password: password.into() })
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
