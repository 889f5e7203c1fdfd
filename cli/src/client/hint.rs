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
