//! What a registry's refusal means.

use std::error::Error;

use super::http::Trouble;
use crate::error::{ErrorKind, ImageError};

/// Words of a registry that is full, or that has given us as much as it gives: it has one code for that and for whoever may
/// not send at all.
const FULL: [&str; 8] =
    ["quota", "exceed", "storage limit", "no space", "insufficient storage", "limit reached", "too large", "disk full"];

/// The failure for people.
pub(crate) fn failure(host: &str, trouble: &Trouble) -> ImageError {
    match trouble {
        Trouble::Refused(refused) => {
            of(host, Some(refused.code), false, format!("{} {}", refused.code, words(&refused.said)).trim())
        }
        Trouble::Lost(error) => of(host, None, true, &chain(error)),
        Trouble::Nonsense(what) => of(host, None, false, what),
    }
}

fn of(host: &str, status: Option<u16>, is_lost: bool, said: &str) -> ImageError {
    let unknown =
        |code, message: String| ImageError::new(code, ErrorKind::Unknown, message).evidence(without_queries(said));
    let lower = said.to_lowercase();
    let is_full = FULL.iter().any(|words| lower.contains(words));
    match status {
        Some(413 | 507) => {
            full(unknown("registry-full", format!("the registry {host} rejects an upload of this size")))
        }
        Some(403) if is_full => full(unknown("registry-full", format!("the registry {host} accepts no more"))),
        Some(401) => unknown("registry-refused", format!("the registry {host} refuses")).fix(format!(
            "docker login {host}, or set CARDCTL_REGISTRY_USERNAME and CARDCTL_REGISTRY_PASSWORD (or …_PASSWORD_FILE)"
        )),
        Some(403) => unknown("registry-refused", format!("the registry {host} refuses")).fix(format!(
            "ask for push permission, or docker login {host} as a user who has it (or set \
             CARDCTL_REGISTRY_USERNAME and CARDCTL_REGISTRY_PASSWORD)"
        )),
        Some(404) => {
            unknown("not-in-registry", format!("the registry {host} does not have it")).fix("cardctl images push")
        }
        Some(429) => unknown("registry-busy", format!("the registry {host} is rate limiting"))
            .fix("wait, then try again; uploaded blobs are not sent again"),
        None if is_lost => unknown("registry-unreachable", format!("the registry {host} can't be reached"))
            .fix("check the name, the network and the registry's certificate, then try again"),
        _ => unknown("registry-failed", format!("the registry {host} failed"))
            .fix("try again; uploaded blobs are not sent again"),
    }
}

fn full(error: ImageError) -> ImageError {
    error.fix("delete unused images there, or raise its quota")
}

/// What a document of errors says, or the beginning of whatever else it is.
fn words(said: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(said).unwrap_or_default();
    let errors = document["errors"].as_array().into_iter().flatten();
    let lines: Vec<String> = errors
        .map(|error| {
            let text = |field: &str| error[field].as_str().unwrap_or_default().trim().to_owned();
            let detail = if error["detail"].is_null() { String::new() } else { error["detail"].to_string() };
            [text("code"), text("message"), detail]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(": ")
        })
        .collect();
    let text = if lines.is_empty() { said.trim().to_owned() } else { lines.join("; ") };
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

/// Addresses without what may let others in: that of an upload has a signature in its query.
fn without_queries(said: &str) -> String {
    let part = |word: &str| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => format!("{address}?…"),
        _ => word.to_owned(),
    };
    said.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

/// With its causes: `error sending request` alone says nothing.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_what_it_means() {
        for (code, said, is, fix) in [
            (401, "", "registry-refused", "docker login r.io"),
            (403, "", "registry-refused", "ask for push permission"),
            (
                403,
                r#"{"errors": [{"code": "DENIED", "message": "quota exceeded"}]}"#,
                "registry-full",
                "delete unused images",
            ),
            (413, "", "registry-full", "delete unused images"),
            (429, "", "registry-busy", "wait"),
            (404, "", "not-in-registry", "cardctl images push"),
            (500, "oops", "registry-failed", "try again"),
        ] {
            let refused = super::super::http::Refused { code, said: said.to_owned(), again: None };
            let error = failure("r.io", &Trouble::Refused(refused));
            assert_eq!(error.code, is, "{code} {said}");
            assert!(error.fix.unwrap().contains(fix), "{code} {said}");
        }
    }

    #[test]
    fn signatures_in_addresses_are_not_repeated() {
        let said = without_queries("error of https://s3.example/b?X-Amz-Signature=hunter2 and what? more");
        assert_eq!(said, "error of https://s3.example/b?… and what? more");
    }
}
