//! A table that may be wider than the screen.

use maud::{Markup, html};

/// A column's heading, and whether figures stand in it.
pub(super) type Column<'a> = (&'a str, bool);

/// A heading over figures.
pub(super) const fn figures(name: &str) -> Column<'_> {
    (name, true)
}

/// A heading over words.
pub(super) const fn words(name: &str) -> Column<'_> {
    (name, false)
}

/// The table. Each row is its cells; the first names the row.
pub(super) fn table(caption: &str, columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    html! {
        // What scrolls must be within reach of the keyboard.
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for (name, figures) in columns { th.figure[*figures] scope="col" { (name) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, (at, (_, figures))) in row.iter().zip(columns.iter().enumerate()) {
                                @if at == 0 { th.figure[*figures] scope="row" { (cell) } }
                                @else { td.figure[*figures] { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A cell of text.
pub(super) fn text(content: impl AsRef<str>) -> Markup {
    html! { (content.as_ref()) }
}

/// A cell of something typed or made by a machine.
pub(super) fn code(content: impl AsRef<str>) -> Markup {
    html! { code { (content.as_ref()) } }
}
