//! What a kubeconfig may say is what `kubectl` takes, and what it means is what `kubectl` sends.
//!
//! Needs a kubectl. Without one there is nothing to compare with: in CI that is a failure, elsewhere it is said.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Place;
use super::servers::{Had, Secure};
use crate::cluster::Cluster;

fn kubectl() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|directory| directory.join("kubectl")).find(|program| program.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "there is no kubectl to compare with");
    found
}

/// What of a request says who asks: its path, its headers that do, and the client's certificate.
type Who = (String, Vec<(String, String)>, Option<Vec<u8>>);

/// That of the last request. None if there was none.
fn who(had: &[Had]) -> Option<Who> {
    let last = had.last()?;
    let mut head: Vec<(String, String)> = last
        .head
        .iter()
        .filter(|(name, _)| name.as_str() == "authorization" || name.as_str().starts_with("impersonate-"))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    head.sort();
    Some((last.path.clone(), head, last.certificate.clone()))
}

struct Case {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    /// As `$KUBECONFIG` has them.
    list: Vec<&'static str>,
}

fn text(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {cluster}\nusers:\n- name: u\n  user: {user}\n\
         contexts:\n- name: it\n  context: {{cluster: c, user: u}}\n"
    )
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn cases(server: &Secure) -> Vec<Case> {
    let (certificate, key) = server.client();
    let (crt, k) = (BASE64_STANDARD.encode(&certificate), BASE64_STANDARD.encode(&key));
    let (url, ca) = (&server.url, &server.authority);
    let cluster = format!("{{server: '{url}', certificate-authority-data: {ca}}}");
    let one = |name: &'static str, bytes: Vec<u8>| Case {
        name,
        files: vec![
            ("config", bytes),
            ("ca.crt", server.pem.clone().into_bytes()),
            ("me.crt", certificate.clone().into_bytes()),
            ("me.key", key.clone().into_bytes()),
            ("token", b" of-a-file\n".to_vec()),
            ("empty", Vec::new()),
        ],
        list: vec!["config"],
    };
    let users = [
        ("nobody", "{}".to_owned()),
        ("null", "null".to_owned()),
        ("a token", "{token: t}".to_owned()),
        ("a token of null", "{token: null, username: ~}".to_owned()),
        ("a token that is a number", "{token: 123}".to_owned()),
        ("a token that is a switch", "{token: yes}".to_owned()),
        ("a file of a token", "{tokenFile: token}".to_owned()),
        ("a token and a file", "{token: t, tokenFile: ./token}".to_owned()),
        ("a token and no file", "{token: t, tokenFile: nowhere}".to_owned()),
        ("no file", "{tokenFile: nowhere}".to_owned()),
        ("an empty file", "{tokenFile: empty}".to_owned()),
        ("in other letters", "{Token: t, tokenfile: token}".to_owned()),
        ("a name and a password", "{username: ada, password: 'p:w é'}".to_owned()),
        ("a name alone", "{username: ada}".to_owned()),
        ("a token and a password", "{token: t, username: ada, password: p}".to_owned()),
        (
            "as another",
            "{token: t, as: eve, as-uid: '7', as-groups: [g, h], as-user-extra: {'a/b': [x, y], C: [z]}}".to_owned(),
        ),
        ("groups of nobody", "{token: t, as-groups: [g]}".to_owned()),
        ("groups of null", "{token: t, as: eve, as-groups: null}".to_owned()),
        ("groups that are text", "{token: t, as: eve, as-groups: g}".to_owned()),
        ("a certificate", format!("{{client-certificate-data: {crt}, client-key-data: {k}}}")),
        ("a certificate in files", "{client-certificate: me.crt, client-key: ./me.key}".to_owned()),
        ("a certificate in data, a key in a file", format!("{{client-certificate-data: {crt}, client-key: me.key}}")),
        ("a certificate and a token", format!("{{client-certificate-data: {crt}, client-key-data: {k}, token: t}}")),
        ("a certificate without a key", format!("{{client-certificate-data: {crt}}}")),
        ("a key alone", format!("{{client-key-data: {k}}}")),
        ("base64 that is none", "{client-certificate-data: '%%', client-key-data: '%%'}".to_owned()),
        ("an unknown field", "{token: t, of-tomorrow: {a: 1}}".to_owned()),
        ("a list", "[]".to_owned()),
        ("text", "t".to_owned()),
        ("a provider", "{auth-provider: {name: gcp, config: {}}}".to_owned()),
        ("a tag", "{token: !!str 123}".to_owned()),
        ("a block", "{token: \"t\\x41\"}".to_owned()),
        ("twice", "{token: a, token: b}".to_owned()),
    ];
    let clusters = [
        ("a CA in a file", format!("{{server: '{url}', certificate-authority: ca.crt}}")),
        ("not verified", format!("{{server: '{url}', insecure-skip-tls-verify: true}}")),
        ("not verified in YAML 1.1", format!("{{server: '{url}', insecure-skip-tls-verify: yes}}")),
        ("not verified as text", format!("{{server: '{url}', insecure-skip-tls-verify: 'true'}}")),
        (
            "not verified by a CA",
            format!("{{server: '{url}', insecure-skip-tls-verify: true, certificate-authority-data: {ca}}}"),
        ),
        ("nobody's CA", format!("{{server: '{url}', certificate-authority-data: eA==}}")),
        ("no CA", format!("{{server: '{url}'}}")),
        ("another name", format!("{{server: '{url}', certificate-authority-data: {ca}, tls-server-name: localhost}}")),
        ("a wrong name", format!("{{server: '{url}', certificate-authority-data: {ca}, tls-server-name: else.where}}")),
        ("a question", format!("{{server: '{url}?a=b#c', certificate-authority-data: {ca}}}")),
        ("without a scheme", format!("{{server: '{}', certificate-authority-data: {ca}}}", server.address)),
        ("in capitals", format!("{{server: '{}', certificate-authority-data: {ca}}}", url.replace("https", "HTTPS"))),
        ("another scheme", format!("{{server: 'ftp://{}', certificate-authority-data: {ca}}}", server.address)),
        ("no server", "{}".to_owned()),
        ("a server of null", "{server: null}".to_owned()),
        (
            "a proxy that can't be",
            format!("{{server: '{url}', certificate-authority-data: {ca}, proxy-url: 'ftp://x'}}"),
        ),
        ("a proxy of nothing", format!("{{server: '{url}', certificate-authority-data: {ca}, proxy-url: ''}}")),
        ("no compression", format!("{{server: '{url}', certificate-authority-data: {ca}, disable-compression: true}}")),
        (
            "extensions",
            format!(
                "{{server: '{url}', certificate-authority-data: {ca}, extensions: [{{name: x, extension: {{a: 1}}}}]}}"
            ),
        ),
        ("extensions of null", format!("{{server: '{url}', certificate-authority-data: {ca}, extensions: null}}")),
    ];
    let mut all: Vec<Case> = users.iter().map(|(name, user)| one(name, text(&cluster, user).into_bytes())).collect();
    all.extend(clusters.iter().map(|(name, cluster)| one(name, text(cluster, "{token: t}").into_bytes())));
    let usual = text(&cluster, "{token: t}");
    let json = format!(
        "{{\"kind\":\"Config\",\"apiVersion\":\"v1\",\"clusters\":[{{\"name\":\"c\",\"cluster\":{{\"server\":\"{url}\",\
         \"certificate-authority-data\":\"{ca}\"}}}}],\"users\":[{{\"name\":\"u\",\"user\":{{\"token\":\"\\u0074\"}}}}],\
         \"contexts\":[{{\"name\":\"it\",\"context\":{{\"cluster\":\"c\",\"user\":\"u\"}}}}]}}"
    );
    let lines = ca.as_bytes().chunks(64).map(|line| format!("      {}\n", String::from_utf8_lossy(line)));
    let folded = usual.replace(
        &cluster,
        &format!("\n    server: '{url}'\n    certificate-authority-data: |\n{}", lines.collect::<String>()),
    );
    let plain = usual.replace(&cluster, &format!("\n    server: '{url}'\n    certificate-authority-data: {ca}"));
    for (name, bytes) in [
        ("windows", usual.replace('\n', "\r\n").into_bytes()),
        ("a byte order mark", format!("\u{feff}{usual}").into_bytes()),
        ("UTF-16", utf16(&usual)),
        ("JSON", json.into_bytes()),
        ("base64 over lines", folded.into_bytes()),
        ("a document before", format!("---\n{usual}").into_bytes()),
        ("a document after", format!("{usual}---\nusers: [{{name: u, user: {{token: other}}}}]\n").into_bytes()),
        ("nothing before", format!("# nothing\n---\n{usual}").into_bytes()),
        ("aliases", plain.replace("user: {token: t}", "user: &u {token: t}\n- name: w\n  user: *u").into_bytes()),
        ("merged", usual.replace("user: {token: t}", "user: {<<: {token: m, as: eve}, token: t}").into_bytes()),
        ("without a kind", usual.replace("apiVersion: v1\nkind: Config\n", "").into_bytes()),
        ("another kind", usual.replace("kind: Config", "kind: ConfigMap").into_bytes()),
        ("another version", usual.replace("apiVersion: v1", "apiVersion: v2").into_bytes()),
        ("lists of null", usual.replace("users:", "preferences: null\nextensions: null\nusers:").into_bytes()),
        ("no users", usual.replace("users:\n- name: u\n  user: {token: t}", "users: null").into_bytes()),
        ("a user that does not exist", usual.replace("user: u}", "user: other}").into_bytes()),
        ("a context without a user", usual.replace(", user: u}", "}").into_bytes()),
        ("a cluster that does not exist", usual.replace("{cluster: c,", "{cluster: other,").into_bytes()),
        ("a context of null", usual.replace("{cluster: c, user: u}", "null").into_bytes()),
        ("a name that is a number", usual.replace("name: u", "name: 7").into_bytes()),
        ("a name twice", usual.replace("users:\n", "users:\n- name: u\n  user: {token: first}\n").into_bytes()),
        ("an entry of null", usual.replace("users:\n", "users:\n- null\n").into_bytes()),
        (
            "another cluster that is wrong",
            usual.replace("clusters:\n", "clusters:\n- name: x\n  cluster: {server: [1]}\n").into_bytes(),
        ),
        (
            "another user that is wrong",
            usual.replace("users:\n", "users:\n- name: x\n  user: {tokenFile: nowhere}\n").into_bytes(),
        ),
        ("no YAML", b"a: [1\n".to_vec()),
        ("Latin-1", [usual.as_bytes(), b"x: \xe9\n"].concat()),
        ("nothing", Vec::new()),
        ("only a comment", b"# x\n".to_vec()),
        ("text alone", b"hello\n".to_vec()),
    ] {
        all.push(one(name, bytes));
    }
    let half = |user: &str| format!("users: [{{name: u, user: {user}}}]\n").into_bytes();
    let other = usual.replace("{token: t}", "{token: second}").into_bytes();
    for (name, first, second, list) in [
        ("two files, the first counts", half("{token: first}"), other.clone(), vec!["one", "two"]),
        ("two files, whole users count", half("{as: eve}"), other.clone(), vec!["one", "two"]),
        ("a file that does not exist", Vec::new(), other.clone(), vec!["nowhere", "two"]),
        ("an empty name", Vec::new(), other.clone(), vec!["", "two"]),
        ("an empty file", Vec::new(), other.clone(), vec!["one", "two"]),
        ("a file of null", b"null\n".to_vec(), other.clone(), vec!["one", "two"]),
        ("a wrong file", b"a: [1".to_vec(), other.clone(), vec!["one", "two"]),
        ("a directory", Vec::new(), other.clone(), vec![".", "two"]),
        ("the same file twice", Vec::new(), other.clone(), vec!["two", "two"]),
    ] {
        all.push(Case { name, files: vec![("one", first), ("two", second)], list });
    }
    all
}

/// As `$KUBECONFIG` has them.
fn joined(place: &Path, list: &[&str]) -> String {
    let full = |name: &&str| if name.is_empty() { String::new() } else { place.join(name).display().to_string() };
    list.iter().map(full).collect::<Vec<_>>().join(":")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kubeconfig_says_is_what_kubectl_makes_of_it() {
    let Some(kubectl) = kubectl() else { return };
    let server = Secure::start().await;
    let mut differences = Vec::new();
    for case in cases(&server) {
        let place = Place::new();
        for (name, bytes) in &case.files {
            std::fs::write(place.path().join(name), bytes).unwrap();
        }
        let list = joined(place.path(), &case.list);
        let before = server.had().len();
        let mut command = tokio::process::Command::new(&kubectl);
        command.args(["get", "--raw", "/api/v1/namespaces/kube-system", "--context", "it", "--request-timeout", "20s"]);
        command.env_clear().env("KUBECONFIG", &list).env("HOME", place.path()).current_dir(place.path());
        let theirs = command.kill_on_drop(true).output().await.unwrap();
        let said = String::from_utf8_lossy(&theirs.stderr).into_owned();
        let asks = said.trim() == "error: EOF";
        let theirs = theirs.status.success().then(|| who(&server.had()[before..])).flatten();
        let before = server.had().len();
        let mut options = place.options();
        options.kubeconfig = Some(list.into());
        let ours = Cluster::connect(&options).await;
        let (sent, error) = match ours {
            Ok(_) => (who(&server.had()[before..]), None),
            Err(error) => (None, Some(error.to_string())),
        };
        // It has nothing to show, and would ask the person at the terminal for a name and a password.
        if asks && sent.as_ref().is_some_and(|(_, head, _)| head.iter().all(|(name, _)| name != "authorization")) {
            continue;
        }
        if sent != theirs {
            differences.push(format!("{}: we {sent:?} {error:?}; kubectl {theirs:?} {said}", case.name));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
