//! The result as one HTML file: it opens offline, asks nobody for anything, works without scripts, prints.
//!
//! ```text
//! page ─► section/*  one for each question that a doubter asks, in that order
//!            └─► ../chart/*  SVG, drawn here: nothing is left to the browser but the width
//! ```
//!
//! All text goes through maud, which escapes it; the style and the script are the only things that are not text, and
//! the policy in the page's head names them by hash, so that nothing else could run even if it got in.

mod page;
mod section;
#[cfg(test)]
mod tests;
mod verdict;

use card_core::plain;

use crate::result::Report;

/// The whole file.
#[must_use]
pub fn render(report: &Report) -> String {
    // maud keeps text from being markup; this keeps it from acting on a terminal that shows the file, or turning letters around.
    plain::document(&page::page(report).into_string())
}
