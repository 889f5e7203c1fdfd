//! The operator's token.

use subtle::ConstantTimeEq;

/// Compares in a time that does not depend on how much of a guess is right.
pub(crate) struct OperatorToken(String);

impl OperatorToken {
    pub(crate) fn new(token: String) -> Self {
        Self(token)
    }

    /// Whether this is it.
    pub(crate) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}
