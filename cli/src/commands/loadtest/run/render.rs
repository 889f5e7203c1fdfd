//! The reports of a result, by kind.

use card_core::plain;
use card_loadtests::report::{html, junit, markdown};
use card_loadtests::result::Report;

use super::super::values::Kind;
use crate::failure::Failure;

/// The text of a report.
pub(super) fn render(kind: Kind, report: &Report) -> Result<String, Failure> {
    Ok(match kind {
        Kind::Html => html::render(report),
        Kind::Md => markdown::render(report),
        Kind::Json => json(report)?,
        Kind::Junit => junit::render(report),
    })
}

/// The result itself, as it is on stdout under `-o json`.
pub(super) fn json(report: &Report) -> Result<String, Failure> {
    serde_json::to_string_pretty(report).map(|text| plain::json(&text).into_owned() + "\n").map_err(Failure::internal)
}
