//! A secret that does not show itself by accident (P7).

use rand::Rng;

/// Text that has no `Debug` and no `Display`: it can only be taken out on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it; surrounding white space, such as a file's last line end, is not part of a secret.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text itself, for the header that it belongs in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// So many random bytes, as twice as many hexadecimal digits.
pub(crate) fn hex(bytes: usize) -> String {
    let mut random = vec![0_u8; bytes];
    rand::rng().fill_bytes(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
