//! Programs that a kubeconfig names to say who asks (`exec`), as `kubectl` runs them:
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.
//!
//! What it is called with, and what it answers, is secret: neither is in any message.

use std::io::{ErrorKind, IsTerminal};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::login::{Login, LoginError, bearer};
use super::tls::{self, Identity};
use crate::cluster::kubeconfig::{Cluster, Exec, Snapshot};

/// One that asks nobody answers in this time.
const LIMIT: Duration = Duration::from_secs(30);
/// One that asks the person at the terminal, or sends them to a browser.
const LIMIT_WITH_A_PERSON: Duration = Duration::from_secs(300);
/// More than this is no credential.
const LARGEST: u64 = 1 << 20;

const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
/// What a cluster has for its plugin.
const EXTENSION: &str = "client.authentication.k8s.io/exec";

pub(super) struct Plugin {
    exec: Exec,
    /// `KUBERNETES_EXEC_INFO`.
    info: String,
    is_interactive: bool,
    pub(super) limit: Duration,
    /// Shown besides, if the kubeconfig has one.
    identity: Option<Identity>,
}

impl Plugin {
    /// # Errors
    /// It can't be run as the kubeconfig has it.
    pub(super) fn of(exec: &Exec, snapshot: &Snapshot, identity: Option<Identity>) -> Result<Self, String> {
        if exec.command.is_empty() {
            return Err("its exec plugin has no command".to_owned());
        }
        if !VERSIONS.contains(&exec.api_version.as_str()) {
            return Err(format!(
                "its exec plugin has the apiVersion {:?}; there are {}",
                exec.api_version,
                VERSIONS.join(" and ")
            ));
        }
        if exec.env.iter().any(|variable| variable.name.is_empty() || variable.name.contains(['=', '\0'])) {
            return Err("its exec plugin has an env without a name".to_owned());
        }
        if exec.args.iter().chain(exec.env.iter().map(|variable| &variable.value)).any(|text| text.contains('\0')) {
            return Err("its exec plugin has an argument or an env with a zero byte".to_owned());
        }
        let has_terminal = std::io::stdin().is_terminal();
        let is_interactive = match (exec.interactive_mode.as_str(), has_terminal) {
            ("Never", _) => false,
            ("IfAvailable", there) => there,
            ("Always", true) => true,
            ("Always", false) => return Err("its exec plugin needs a terminal, and stdin is not a terminal".to_owned()),
            ("", there) if exec.api_version != VERSIONS[0] => there,
            ("", _) => return Err("its exec plugin has no interactiveMode, which v1 needs".to_owned()),
            _ => return Err("the interactiveMode of its exec plugin is none of Never, IfAvailable, Always".to_owned()),
        };
        let mut spec = json!({"interactive": is_interactive});
        if exec.provide_cluster_info {
            spec["cluster"] = of_cluster(&snapshot.cluster, &snapshot.server.to_string())?;
        }
        let info = json!({"kind": "ExecCredential", "apiVersion": exec.api_version, "spec": spec}).to_string();
        let limit = if is_interactive { LIMIT_WITH_A_PERSON } else { LIMIT };
        Ok(Self { exec: exec.clone(), info, is_interactive, limit, identity })
    }

    /// Runs it, and answers until when what it says is good.
    pub(super) async fn run(&self) -> Result<(Login, Option<jiff::Timestamp>), LoginError> {
        let limit = self.limit;
        let mut child = self.command().spawn().map_err(|error| self.not_started(&error))?;
        let _group = Group::of(&child, self.is_interactive);
        let ended = tokio::time::timeout(limit, async {
            let mut answer = Vec::new();
            if let Some(stdout) = child.stdout.take() {
                stdout.take(LARGEST).read_to_end(&mut answer).await?;
            }
            child.wait().await.map(|status| (status, answer))
        });
        let name = self.name();
        let (status, answer) = match ended.await {
            Err(_) => {
                return Err(LoginError {
                    fix: Some(format!("run {name} by hand to see what it is waiting for")),
                    ..LoginError::new(format!(
                        "the exec plugin {name} did not answer in {} s, and was ended",
                        limit.as_secs()
                    ))
                });
            }
            Ok(Err(error)) => return Err(self.not_started(&error)),
            Ok(Ok(ended)) => ended,
        };
        if !status.success() {
            return Err(self.failed(status));
        }
        self.read(&answer).map_err(|reason| LoginError::new(format!("the exec plugin {name} {reason}")))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.exec.command);
        command.args(&self.exec.args).stdout(Stdio::piped()).kill_on_drop(true);
        command.envs(self.exec.env.iter().map(|variable| (&variable.name, &variable.value)));
        command.env("KUBERNETES_EXEC_INFO", &self.info);
        // Its words are for the person who sees them now; a log keeps them, and who knows what they are.
        command.stderr(if std::io::stderr().is_terminal() { Stdio::inherit() } else { Stdio::null() });
        if self.is_interactive {
            command.stdin(Stdio::inherit());
        } else {
            command.stdin(Stdio::null()).process_group(0);
        }
        command
    }

    /// The name of its file: a path may lead through anything.
    fn name(&self) -> String {
        let command = Path::new(&self.exec.command);
        command.file_name().map_or_else(|| "of the kubeconfig".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    fn not_started(&self, error: &std::io::Error) -> LoginError {
        let name = self.name();
        let hint = Some(self.exec.install_hint.trim().to_owned()).filter(|hint| !hint.is_empty());
        if error.kind() == ErrorKind::NotFound {
            let fix = hint.or_else(|| Some(format!("install {name}, or add its directory to PATH")));
            return LoginError { fix, ..LoginError::new(format!("the exec plugin {name} does not exist")) };
        }
        LoginError { fix: hint, ..LoginError::new(format!("the exec plugin {name} can't be started: {error}")) }
    }

    fn failed(&self, status: ExitStatus) -> LoginError {
        use std::os::unix::process::ExitStatusExt;
        let name = self.name();
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("with the exit code {code}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "without a word".to_owned(),
        };
        LoginError {
            fix: Some(format!("log in with {name} again; run by hand as the kubeconfig has it, it says what is wrong")),
            ..LoginError::new(format!("the exec plugin {name} ended {how}"))
        }
    }

    fn read(&self, answer: &[u8]) -> Result<(Login, Option<jiff::Timestamp>), String> {
        let unreadable = || "gave an unreadable answer".to_owned();
        let text = card_yaml::decode(answer).map_err(|_| unreadable())?;
        let found = card_yaml::documents(&text, card_yaml::Repeated::LastCounts).map_err(|_| unreadable())?;
        let credential = found.into_iter().next().ok_or_else(unreadable)?.value;
        if credential["kind"] != "ExecCredential" {
            return Err("did not answer with an ExecCredential".to_owned());
        }
        if credential["apiVersion"] != self.exec.api_version.as_str() {
            return Err(format!("answered in another apiVersion than {}", self.exec.api_version));
        }
        let status = &credential["status"];
        let field = |name: &str| match &status[name] {
            Value::Null => Ok(""),
            Value::String(text) => Ok(text.as_str()),
            _ => Err(format!("answered a {name} that is not text")),
        };
        let (token, certificate, key) = (field("token")?, field("clientCertificateData")?, field("clientKeyData")?);
        let identity = match (certificate, key) {
            ("", "") if token.is_empty() => return Err("answered neither a token nor a certificate".to_owned()),
            ("", "") => self.identity.clone(),
            ("", _) | (_, "") => return Err("answered a certificate without its key, or a key alone".to_owned()),
            (certificate, key) => {
                let certified = tls::certified(certificate.as_bytes(), key.as_bytes());
                Some(certified.map_err(|reason| format!("answered a certificate that can't be used: {reason}"))?)
            }
        };
        let until = match field("expirationTimestamp")? {
            "" => None,
            text => Some(text.parse().map_err(|_| "answered an expirationTimestamp that is not a time".to_owned())?),
        };
        let token = Some(token).filter(|token| !token.is_empty()).map(bearer).transpose();
        let token = token.map_err(|_| "answered a token that no request can have".to_owned())?;
        Ok((Login { number: 0, token, identity }, until))
    }
}

/// What a plugin is told of the cluster, if the kubeconfig wants that.
fn of_cluster(cluster: &Cluster, server: &str) -> Result<Value, String> {
    let authority = match cluster.certificate_authority_data.as_slice() {
        [] if cluster.certificate_authority.is_empty() => Vec::new(),
        [] => tls::file("certificate-authority", &cluster.certificate_authority)?,
        data => data.to_vec(),
    };
    let mut said = json!({"server": server, "config": null});
    let mut add = |name: &str, value: Value, is_said: bool| {
        if is_said {
            said[name] = value;
        }
    };
    let texts = [("tls-server-name", &cluster.tls_server_name), ("proxy-url", &cluster.proxy_url)];
    texts.into_iter().for_each(|(name, text)| add(name, text.as_str().into(), !text.is_empty()));
    add("insecure-skip-tls-verify", true.into(), cluster.insecure_skip_tls_verify);
    add("disable-compression", true.into(), cluster.disable_compression);
    add("certificate-authority-data", BASE64_STANDARD.encode(&authority).into(), !authority.is_empty());
    if let Some(own) = cluster.extensions.iter().find(|extension| extension.name == EXTENSION) {
        add("config", own.extension.clone(), true);
    }
    Ok(said)
}

/// Ends a plugin and all that it started when nobody waits for it any more.
struct Group(Option<Pid>);

impl Group {
    /// One that speaks with the person at the terminal is in our own group, or the terminal would stop it.
    fn of(child: &Child, is_interactive: bool) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Self(leader.filter(|_| !is_interactive))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // An error says that nobody is left.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}
