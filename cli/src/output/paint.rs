//! Styles that vanish where there is no colour.

use card_core::tasks::Status;
use clap::builder::styling::{AnsiColor, Style};

use super::Color;

/// Styles text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// By flag, terminal and `NO_COLOR` (any value but an empty one, no-color.org).
    pub(super) fn new(choice: Color, capable: bool) -> Self {
        let allowed = || std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let on = match choice {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => capable && allowed(),
        };
        Self { on }
    }

    /// Without any style.
    #[must_use]
    pub const fn plain() -> Self {
        Self { on: false }
    }

    /// Whether anything is styled.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.on
    }

    /// What went well.
    #[must_use]
    pub fn good(self, text: impl AsRef<str>) -> String {
        self.styled(AnsiColor::Green.on_default(), text)
    }

    /// What needs a look.
    #[must_use]
    pub fn warn(self, text: impl AsRef<str>) -> String {
        self.styled(AnsiColor::Yellow.on_default(), text)
    }

    /// What went wrong.
    #[must_use]
    pub fn bad(self, text: impl AsRef<str>) -> String {
        self.styled(AnsiColor::Red.on_default().bold(), text)
    }

    /// What to copy: commands, addresses.
    #[must_use]
    pub fn accent(self, text: impl AsRef<str>) -> String {
        self.styled(AnsiColor::Cyan.on_default(), text)
    }

    /// A headline.
    #[must_use]
    pub fn bold(self, text: impl AsRef<str>) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// What is there for completeness.
    #[must_use]
    pub fn dim(self, text: impl AsRef<str>) -> String {
        self.styled(Style::new().dimmed(), text)
    }

    /// A task's status in its colour.
    #[must_use]
    pub fn status(self, status: Status) -> String {
        match status {
            Status::Succeeded => self.good(status.as_str()),
            Status::Declined | Status::Retrying => self.warn(status.as_str()),
            Status::Dead => self.bad(status.as_str()),
            Status::Queued => self.dim(status.as_str()),
            Status::Running => self.accent(status.as_str()),
        }
    }

    fn styled(self, style: Style, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
