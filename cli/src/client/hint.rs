//! Commands to type next, for the platform that this command spoke to.

use card_core::settings::Origin;

use crate::context::Context;

/// `cardctl` with these words, meaning the same platform.
#[must_use]
pub fn command(context: &Context, words: &str) -> String {
    let program = context.program();
    match context.settings.origins.get("target") {
        Some(Origin::Flag(_)) => {
            let consent = match context.plain_http_flag {
                true => format!(" --plain-http {}", context.plain_http),
                false => String::new(),
            };
            format!("{program} --target {}{consent} {words}", context.settings.settings.target)
        }
        _ => format!("{program} {words}"),
    }
}

/// The words of a command with the flags that were given, as they are typed in any POSIX shell.
#[must_use]
pub fn words(command: &str, flags: &[(&str, Option<String>)]) -> String {
    let given = flags.iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", word(value.as_deref()?))));
    std::iter::once(command.to_owned()).chain(given).collect()
}

/// A word, in quotes where a shell would make something else of it.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.,:/=@%+".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { quote(text) }
}

/// Safe in any POSIX shell.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_not_leave_its_quotes() {
        assert_eq!(quote("a'b; rm"), r"'a'\''b; rm'");
    }

    #[test]
    fn flags_are_written_as_they_were_given() {
        let flags = [("--kind", Some("add".to_owned())), ("--run", None), ("--error", Some("a b|c".to_owned()))];
        assert_eq!(words("tasks list", &flags), "tasks list --kind add --error 'a b|c'");
    }
}
