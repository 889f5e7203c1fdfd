//! What may be said of an error of the client library: never what it quotes of what it was given. Its own words hold the
//! environment and the arguments of an exec plugin, passwords in addresses, and values of documents that it could not read.

use std::error::Error;

use kube::client::AuthError;
use kube::core::Status;

use super::connection::LoginError;

/// Why, in words that can be shown. Every error of [`kube`] becomes text through here.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> String {
    let mut at = error;
    loop {
        if let Some(known) = known(at) {
            return known;
        }
        match at.source() {
            Some(source) => at = source,
            None => return at.to_string(),
        }
    }
}

/// Of those that quote, what is left to say.
fn known(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        // It hides the one that it wraps from `source`.
        return Some(reason(inner));
    }
    if let Some(status) = error.downcast_ref::<Status>() {
        return Some(of_status(status));
    }
    if let Some(login) = error.downcast_ref::<LoginError>() {
        return Some(login.reason.clone());
    }
    if let Some(login) = error.downcast_ref::<AuthError>() {
        return Some(of_login(login));
    }
    if let Some(unread) = error.downcast_ref::<serde_json::Error>() {
        return Some(format!("JSON that was not expected, at line {}, column {}", unread.line(), unread.column()));
    }
    match error.downcast_ref::<kube::Error>()? {
        kube::Error::Api(status) => Some(of_status(status)),
        kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. } => {
            Some("the proxy is of a kind that can't be used here".to_owned())
        }
        _ => None,
    }
}

fn of_status(status: &Status) -> String {
    if status.message.is_empty() { format!("{} {}", status.code, status.reason) } else { status.message.clone() }
}

/// Without what the plugin was given, and without what it wrote: both may be secret. Each error is named: what a later release
/// adds may quote as well.
fn of_login(error: &AuthError) -> String {
    let plugin = "the kubeconfig's exec plugin";
    match error {
        AuthError::AuthExecRun { cmd, out } => {
            let name = program(cmd).map(|name| format!(" {name}")).unwrap_or_default();
            format!("{plugin}{name} ended with {}", out.status)
        }
        AuthError::AuthExecStart(error) => format!("{plugin} can't be started: {}", reason(error)),
        AuthError::AuthExecParse(_) => format!("the answer of {plugin} can't be read"),
        AuthError::AuthExecSerialize(_) | AuthError::AuthExec(_) => format!("{plugin} can't be asked"),
        AuthError::ReadTokenFile(error, path) => format!("the token file {} can't be read: {error}", path.display()),
        AuthError::ParseTokenKey(_) | AuthError::MalformedTokenExpirationDate(_) => {
            "the token that was obtained can't be read".to_owned()
        }
        AuthError::InvalidBasicAuth(_) | AuthError::InvalidBearerToken(_) => {
            "the kubeconfig's credentials hold characters that no header can".to_owned()
        }
        AuthError::UnrefreshableTokenResponse => "the login can't be renewed".to_owned(),
        AuthError::ExecPluginFailed => format!("{plugin} gave no credentials"),
        AuthError::MissingCommand => format!("{plugin} has no command"),
        AuthError::ExecMissingClusterInfo => format!("{plugin} wants to know of a cluster that does not exist"),
        AuthError::NoValidNativeRootCA(_) => "this machine has no root certificates".to_owned(),
    }
}

/// The name of the program in a command as [`std::process::Command`] shows it: `KEY="value" "/usr/bin/name" "argument"`.
fn program(shown: &str) -> Option<String> {
    let mut rest = shown;
    if let Some(after) = rest.strip_prefix("cd ") {
        rest = quoted(after)?.1.strip_prefix(" && ")?;
    }
    loop {
        rest = rest.trim_start();
        if rest.starts_with('"') {
            let (name, _) = quoted(rest)?;
            return Some(name.rsplit('/').next().unwrap_or(name).chars().take(64).collect());
        }
        let word = rest.find([' ', '"'])?;
        rest = if rest[word..].starts_with('"') { quoted(&rest[word..])?.1 } else { &rest[word..] };
    }
}

/// What stands in the quotes that a text begins with, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, letter) in inner.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((&inner[..at], &inner[at + 1..])),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plugin_that_fails_is_named_and_nothing_that_it_was_given() {
        let mut command = Command::new("/opt/bin/lab-login");
        command
            .args(["--client-secret", "hunter2"])
            .env("AWS_SECRET_ACCESS_KEY", "hunter2 \" \"x\"")
            .env("A", "hunter2");
        let out = Command::new("sh").args(["-c", "echo hunter2; echo hunter2 >&2; exit 3"]).output().unwrap();
        let failed = AuthError::AuthExecRun { cmd: format!("{command:?}"), out: Box::new(out) };
        let error = kube::Error::Service(Box::new(failed));
        assert_eq!(reason(&error), "the kubeconfig's exec plugin lab-login ended with exit status: 3");
    }

    #[test]
    fn an_error_that_quotes_is_told_without_the_quote() {
        let unread = serde_json::from_str::<u8>("\"hunter2\"").unwrap_err();
        let proxy = Box::new("http://user:hunter2@proxy:1".parse().unwrap());
        for error in [
            kube::Error::SerdeError(unread),
            kube::Error::ProxyProtocolUnsupported { proxy_url: proxy },
            kube::Error::Auth(AuthError::AuthExec("running x --token hunter2 failed".to_owned())),
            kube::Error::ReadEvents(std::io::Error::other(AuthError::AuthExec("hunter2".to_owned()))),
        ] {
            assert!(!reason(&error).contains("hunter2"), "{}", reason(&error));
        }
    }

    proptest! {
        #[test]
        fn whatever_a_command_holds_only_its_name_is_taken(
            name in "[a-z][a-z-]{0,9}", argument in "\\PC*", value in "\\PC*", key in "[A-Z_]{1,9}",
        ) {
            let mut command = Command::new(format!("/usr/bin/{name}"));
            command.arg(argument.replace('\0', "")).env(key, value.replace('\0', ""));
            prop_assert_eq!(program(&format!("{command:?}")), Some(name));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = program(&text);
        }
    }
}
