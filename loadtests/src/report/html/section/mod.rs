//! What the page says, in the order in which somebody asks who does not believe it.

mod audit;
mod banner;
mod breakpoint;
mod distribution;
mod figures;
mod promises;
mod regression;
mod run;
mod steps;
mod table;
mod timeline;
mod validity;

use maud::{Markup, html};

pub(super) use self::audit::audit;
pub(super) use self::banner::banner;
pub(super) use self::breakpoint::breakpoint;
pub(super) use self::distribution::distribution;
pub(super) use self::figures::figures;
pub(super) use self::promises::promises;
pub(super) use self::regression::regression;
pub(super) use self::run::run;
pub(super) use self::steps::steps;
pub(super) use self::timeline::timeline;
pub(super) use self::validity::validity;

use super::verdict::chip;
use crate::result::Verdict;

/// A section with its heading, and its verdict if it has one.
fn section(id: &str, title: &str, verdict: Option<Verdict>, lead: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-heading" } {
            div.heading {
                h2 id={ (id) "-heading" } { (title) }
                @if let Some(verdict) = verdict { (chip(verdict)) }
            }
            @if !lead.is_empty() { p.lead { (lead) } }
            (content)
        }
    }
}

/// What is said where there is nothing to show.
fn nothing(text: &str) -> Markup {
    html! { p.nothing { (text) } }
}

/// Pairs of a name and what belongs to it.
fn facts(pairs: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in pairs { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// Sentences: one as it is, several as a list.
fn list(sentences: &[String]) -> Markup {
    html! {
        @match sentences {
            [one] => p.sentences { (one) },
            many => ul.sentences { @for sentence in many { li { (sentence) } } },
        }
    }
}
