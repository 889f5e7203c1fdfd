//! Commands to type next, for the platform that this command spoke to.

use card_core::settings::Origin;

use crate::context::Context;

/// `cardctl` with these words, and with the flags that name the platform if they were given as flags.
#[must_use]
pub fn command(context: &Context, words: &str) -> String {
    let settings = &context.settings.settings;
    let mut line = "cardctl".to_owned();
    for (key, flag, value) in [("instance", "--instance", &settings.instance), ("target", "--target", &settings.target)] {
        if matches!(context.settings.origins.get(key), Some(Origin::Flag(_))) {
            line.push_str(&format!(" {flag} {value}"));
        }
    }
    line.push(' ');
    line.push_str(words);
    line
}
