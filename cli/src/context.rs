//! What every command needs to know: settings, output, the instance, when to stop, and where the platform is.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use card_client::ClientError;
use card_core::files::{self, Distrust};
use card_core::settings::{Origin, Resolved, holds_credentials};
use card_http::PlainHttp;
use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::instance::{Local, Paths, Phase, Record, flat, is_held};
use crate::kubernetes::{self, Deployment, Kind, Reached};
use crate::output::Printer;
use crate::project::Sources;
use crate::secret::Secret;
use card_core::exit::Exit;

/// The code of a failure that says that there is no platform, here or in the cluster.
pub const NOT_RUNNING: &str = "not-running";

/// Handed to every command.
pub struct Context {
    /// The settings and where each came from.
    pub settings: Resolved,
    /// The files that they came from.
    pub sources: Sources,
    /// The only way to stdout and stderr.
    pub printer: Arc<Printer>,
    /// Where the instance keeps what.
    pub instance: Paths,
    /// Cancelled by the first SIGINT, SIGTERM or SIGHUP; a second SIGINT or SIGTERM ends the program at once.
    pub stop: CancellationToken,
    /// `CARDCTL_ISSUER_URL`: the issuer of a platform at a URL.
    pub issuer_url: Option<String>,
    /// Where secrets may go without TLS: what the user said, by flag or variable.
    pub plain_http: PlainHttp,
    /// Whether that was said by a flag.
    pub plain_http_flag: bool,
    /// `--yes`: what would be asked is answered.
    pub yes: bool,
    /// Whether somebody is there to be asked: stdin and stderr are terminals.
    pub interactive: bool,
    /// The platform in a cluster, once it was reached: what leads there is kept as long as the command runs.
    pub(crate) cluster: tokio::sync::OnceCell<Reached>,
    /// The signal that cancelled [`Context::stop`].
    pub(crate) signal: Arc<OnceLock<Signal>>,
    /// Cancelled when nobody reads stdout any more; then [`Context::stop`] is too, for a command that only tells what it reads.
    pub(crate) reader_gone: CancellationToken,
}

/// A platform that is reachable, as far as is known without asking it.
#[derive(Clone)]
pub struct Endpoint {
    /// Of the API, without a slash at the end.
    pub base_url: String,
    /// What the operator calls need, if it is known.
    pub operator_token: Option<Secret>,
    /// The simulated card issuer, if it is known.
    pub issuer_url: Option<String>,
    /// Where the token may go without TLS.
    pub plain_http: PlainHttp,
    /// `embedded`, `processes`, or the URL that was asked for.
    pub target: String,
}

/// Where a platform runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This machine.
    Local(Local),
    /// A Kubernetes cluster.
    Kubernetes(Kind),
    /// A server that runs somewhere.
    Url(String),
}

impl Context {
    /// What the settings' `target` means. If nothing was said, it is where the instance was deployed to last, unless it
    /// runs here.
    ///
    /// # Errors
    /// There is no such target.
    pub fn target(&self) -> Result<Target, Failure> {
        let is_said = !matches!(self.settings.origins.get("target"), None | Some(Origin::BuiltIn));
        if !is_said
            && Record::running(&self.instance).is_none()
            && let Some(deployment) = Deployment::load(&self.instance)
        {
            return Ok(Target::Kubernetes(deployment.kind));
        }
        parse_target(&self.settings.settings.target)
    }

    /// How a command ends that was stopped by a signal: 130, or 143 for SIGTERM and for a terminal that was closed (SIGHUP);
    /// 0 if it was stopped because nobody reads what it says.
    #[must_use]
    pub fn interrupted(&self) -> Exit {
        match self.signal.get() {
            Some(Signal::SIGTERM | Signal::SIGHUP) => Exit::Terminated,
            None if self.reader_gone.is_cancelled() => Exit::Done,
            _ => Exit::Interrupted,
        }
    }

    /// The failure of a command that was stopped by a signal.
    #[must_use]
    pub fn interruption(&self) -> Failure {
        let exit = self.interrupted();
        let (code, message) = match exit {
            Exit::Done => return Failure::closed_output(),
            Exit::Terminated => ("terminated", "terminated"),
            _ => ("interrupted", "interrupted"),
        };
        Failure::new(code, exit, message)
    }

    /// How to call this program so that it means the same instance: for the commands that are suggested.
    #[must_use]
    pub fn program(&self) -> String {
        match self.instance.name.as_str() {
            "default" => "cardctl".to_owned(),
            name => format!("cardctl --instance {name}"),
        }
    }

    /// Where the platform is: the URL that was asked for, or the instance that runs on this machine.
    ///
    /// # Errors
    /// Nothing runs (exit 4), or what is needed to speak to it can't be read.
    pub async fn endpoint(&self) -> Result<Endpoint, Failure> {
        match self.target()? {
            Target::Url(base_url) => Ok(Endpoint {
                target: base_url.clone(),
                // Before anything is sent to it.
                operator_token: self.operator_token_for(&base_url)?,
                base_url,
                plain_http: self.plain_http.clone(),
                issuer_url: self.issuer_url.clone(),
            }),
            Target::Kubernetes(kind) => self
                .cluster
                .get_or_try_init(|| kubernetes::reach(kind, self))
                .await
                .map(|reached| reached.endpoint.clone()),
            Target::Local(_) => match Record::running(&self.instance) {
                Some(record) if record.phase == Phase::Serving => endpoint(&record),
                _ => Err(self.nothing_runs()),
            },
        }
    }

    /// The operator's token of the environment, for an address that the person at the keyboard chose. One that a project's file
    /// names gets none: the file came with the project, the token did not.
    fn operator_token_for(&self, url: &str) -> Result<Option<Secret>, Failure> {
        let token = operator_token_of_environment()?;
        self.name_from_project(&["target"]);
        match self.sources.project_of("target", &self.settings) {
            Some(file) if token.is_some() => {
                self.printer.say(format!(
                    "the operator token is not sent to {url}, because the address comes from {}; use -t {url} or CARDCTL_TARGET to send it",
                    file.display()
                ));
                Ok(None)
            }
            _ if token.is_some() => self.may_have_token(url).map(|()| token),
            _ => Ok(None),
        }
    }

    fn may_have_token(&self, url: &str) -> Result<(), Failure> {
        match reqwest::Url::parse(url) {
            Ok(url) if !self.plain_http.lets(&url) => {
                Err(ClientError::PlainHttp { host: card_http::host(&url).to_owned() }.into())
            }
            // What is no address is said when it is used.
            _ => Ok(()),
        }
    }

    /// Says of each of these settings, if a project's file is where it comes from, that it does: for what decides whom this
    /// program speaks to, or who can speak to it.
    pub fn name_from_project(&self, keys: &[&str]) {
        let values = flat(&self.settings.settings);
        for key in keys {
            if let (Some(file), Some(value)) = (self.sources.project_of(key, &self.settings), values.get(*key)) {
                self.printer.say(format!("{} sets {key} = {value}", file.display()));
            }
        }
    }

    /// Nothing runs here: where that was looked up, and what starts one.
    #[must_use]
    pub fn nothing_runs(&self) -> Failure {
        let name = &self.instance.name;
        let up =
            if name == "default" { "cardctl up -d".to_owned() } else { format!("cardctl --instance {name} up -d") };
        let record = self.instance.record();
        if is_held(&self.instance).unwrap_or(false) {
            return Failure::new("starting", Exit::Unknown, format!("instance {name:?} is starting or stopping"))
                .evidence(format!(
                    "{} is locked, {} names no process yet",
                    self.instance.lock().display(),
                    record.display()
                ))
                .fix("cardctl status --wait");
        }
        let found = match Record::load(&self.instance) {
            Some(stale) => format!("names process {}, which no longer exists", stale.process.pid),
            None => "is not there".to_owned(),
        };
        Failure::new(NOT_RUNNING, Exit::Unknown, format!("no platform is running as instance {name:?}"))
            .evidence(format!("{} {found}", record.display()))
            .fix(up)
    }
}

/// The endpoint of a platform that runs on this machine.
///
/// # Errors
/// Its operator token can't be read.
pub fn endpoint(record: &Record) -> Result<Endpoint, Failure> {
    let plain_http = stays_here(&record.url);
    let Some(plain_http) = plain_http else {
        return Err(Failure::new("record", Exit::NotReady, "the operator token is not sent away from this machine")
            .evidence(format!("the record of the running platform has {}", record.url))
            .fix("cardctl down, then cardctl up -d"));
    };
    let path = Paths::operator_token(&record.data_dir);
    let token = files::read_secret(&path).map_err(|error| {
        let failure =
            Failure::new("operator-token", Exit::NotReady, "the operator token of the running platform can't be read");
        match Distrust::of(&error) {
            Some(distrust) => failure.evidence(distrust).fix(distrust.fix.as_str()),
            None => failure
                .evidence(format!("{}: {error}", path.display()))
                .fix("cardctl down, then cardctl up -d, which creates a token if there is none"),
        }
    })?;
    Ok(Endpoint {
        base_url: record.url.clone(),
        operator_token: Some(Secret::new(&token)),
        plain_http,
        issuer_url: record.issuer_url.clone(),
        target: record.target.name().to_owned(),
    })
}

/// What it takes for the token to go to a platform that `up` started, if what is sent there stays on this machine or goes by
/// TLS; else none.
fn stays_here(url: &str) -> Option<PlainHttp> {
    let url = reqwest::Url::parse(url).ok()?;
    let nowhere = PlainHttp::nowhere();
    if nowhere.lets(&url) {
        return Some(nowhere);
    }
    // An address of this machine's own: the kernel does not let it out.
    let address: IpAddr = card_http::host(&url).parse().ok()?;
    std::net::UdpSocket::bind((address, 0)).ok().map(|_| nowhere.and(&url))
}

/// Reads a target. Names of later releases are told apart from mistakes.
///
/// # Errors
/// There is no such target.
pub fn parse_target(text: &str) -> Result<Target, Failure> {
    for local in [Local::Embedded, Local::Processes] {
        if text == local.name() {
            return Ok(Target::Local(local));
        }
    }
    for kind in [Kind::Minikube, Kind::Kube] {
        if text == kind.name() {
            return Ok(Target::Kubernetes(kind));
        }
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let scheme = scheme.to_ascii_lowercase();
        if matches!(scheme.as_str(), "http" | "https") && !rest.trim_end_matches('/').is_empty() {
            return Ok(Target::Url(format!("{scheme}://{}", rest.trim_end_matches('/'))));
        }
    }
    let usage = |message: String| Failure::new("usage", Exit::Usage, message);
    Err(match text {
        "podman" => usage(format!("target {text:?} is not part of this release; it comes with a later one"))
            .fix("use --target embedded (the default), processes, minikube, kube, or the URL of a running server"),
        _ => usage(format!("no such target: {text:?}")).fix(match meant(text) {
            Some(meant) => format!("did you mean --target {meant}?"),
            None => "use --target embedded (the default), processes, minikube, kube, or a URL, such as http://127.0.0.1:7400".to_owned(),
        }),
    })
}

/// The target that a text was probably meant to be: a URL without its scheme or with a mistyped one, or a name.
fn meant(text: &str) -> Option<String> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if strsim::damerau_levenshtein(&scheme.to_ascii_lowercase(), "https") <= 2 => rest,
        Some(_) => return None,
        None => text,
    };
    let host = rest.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map(|(name, _)| name);
    let is_host = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte))
    };
    if name.is_some_and(is_host) || host == "localhost" || (host.contains('.') && is_host(host)) {
        return Some(format!("http://{}", rest.trim_end_matches('/')));
    }
    let names = [Local::Embedded.name(), Local::Processes.name(), Kind::Minikube.name(), Kind::Kube.name()];
    let near = |name: &&str| strsim::damerau_levenshtein(&text.to_ascii_lowercase(), name) <= 2;
    names.into_iter().find(near).map(str::to_owned)
}

/// `CARDCTL_ISSUER_URL`.
///
/// # Errors
/// It is no address, or one with a password.
pub(crate) fn issuer_of_environment() -> Result<Option<String>, Failure> {
    const NAME: &str = "CARDCTL_ISSUER_URL";
    let Some(url) = std::env::var(NAME).ok().filter(|url| !url.is_empty()) else { return Ok(None) };
    let wrong = |what: &str| Failure::new("usage", Exit::Usage, format!("${NAME}: {what}"));
    if holds_credentials(&url) {
        return Err(wrong("an address must not hold a user name or a password")
            .fix("name the address alone, such as http://HOST:PORT; the operator's token is sent to it"));
    }
    match reqwest::Url::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Ok(Some(url)),
        _ => Err(wrong("it is not an HTTP address")
            .fix(format!("set {NAME} to an address such as http://HOST:PORT, or unset it"))),
    }
}

/// `CARDCTL_OPERATOR_TOKEN`, or the file that `CARDCTL_OPERATOR_TOKEN_FILE` names.
fn operator_token_of_environment() -> Result<Option<Secret>, Failure> {
    if let Some(token) = std::env::var("CARDCTL_OPERATOR_TOKEN").ok().filter(|token| !token.is_empty()) {
        return Ok(Some(Secret::new(&token)));
    }
    let Some(path) = std::env::var_os("CARDCTL_OPERATOR_TOKEN_FILE").filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    let token = files::read_named_secret(&path).map_err(|error| {
        let failure = Failure::new("operator-token", Exit::NotReady, "the operator token can't be read");
        match Distrust::of(&error) {
            Some(distrust) => {
                failure.evidence(format!("$CARDCTL_OPERATOR_TOKEN_FILE: {distrust}")).fix(distrust.fix.as_str())
            }
            None => failure
                .evidence(format!("$CARDCTL_OPERATOR_TOKEN_FILE, {}: {error}", path.display()))
                .fix("set CARDCTL_OPERATOR_TOKEN_FILE to the path of a file that holds the token"),
        }
    })?;
    Ok(Some(Secret::new(&token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_this_machine_stays_on_it() {
        for (url, stays) in [
            ("http://127.0.0.1:7400", true),
            ("http://127.8.9.1:7400", true),
            ("http://[::1]:7400", true),
            ("https://cards.example:7400", true),
            ("http://cards.example:7400", false),
            ("http://127.0.0.1.example:7400", false),
            ("http://127.0.0.1@198.51.100.7:7400", false),
            ("http://198.51.100.7:7400", false),
            ("http://0.0.0.0:7400", true),
            ("nonsense", false),
        ] {
            assert_eq!(stays_here(url).is_some(), stays, "{url}");
        }
    }

    #[test]
    fn a_target_is_embedded_or_a_url() {
        assert_eq!(parse_target("embedded").unwrap(), Target::Local(Local::Embedded));
        assert_eq!(parse_target("processes").unwrap(), Target::Local(Local::Processes));
        assert_eq!(parse_target("http://127.0.0.1:1/").unwrap(), Target::Url("http://127.0.0.1:1".into()));
        assert_eq!(parse_target("minikube").unwrap(), Target::Kubernetes(Kind::Minikube));
        assert_eq!(parse_target("kube").unwrap(), Target::Kubernetes(Kind::Kube));
        for text in ["HTTP://127.0.0.1:1", "Http://127.0.0.1:1/"] {
            assert_eq!(parse_target(text).unwrap(), Target::Url("http://127.0.0.1:1".into()), "a scheme has no case");
        }
        for text in ["http://", "podman", "embeded", "ftp://127.0.0.1", ""] {
            assert_eq!(parse_target(text).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn a_mistyped_target_is_answered_with_what_was_meant() {
        for (text, meant) in [
            ("127.0.0.1:7611", Some("http://127.0.0.1:7611")),
            ("localhost:7611/", Some("http://localhost:7611")),
            ("[::1]:7611", Some("http://[::1]:7611")),
            ("localhost", Some("http://localhost")),
            ("cards.example.org", Some("http://cards.example.org")),
            ("htp://127.0.0.1:7611", Some("http://127.0.0.1:7611")),
            ("embeded", Some("embedded")),
            ("Kube", Some("kube")),
            ("production", None),
            ("ftp://127.0.0.1:7611", None),
        ] {
            let fix = parse_target(text).unwrap_err().fix.unwrap_or_default();
            let expected = meant.map(|meant| format!("did you mean --target {meant}?"));
            assert!(expected.is_none_or(|expected| expected == fix), "{text}: {fix}");
            assert_eq!(fix.starts_with("did you mean"), meant.is_some(), "{text}: {fix}");
        }
    }
}
