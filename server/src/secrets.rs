//! What the platform must keep to itself. Comes from files or the environment, never from settings or flags.

use std::fmt;

/// The platform's secrets. Their `Debug` shows nothing of them.
#[derive(Clone)]
pub struct Secrets {
    /// Signs access tokens (HMAC-SHA256); at least 32 bytes.
    pub signing_key: Vec<u8>,
    /// Bearer token of operator calls; at least 16 visible ASCII characters. `op_…` by custom.
    pub operator_token: String,
}

/// A secret that is too weak to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// See [`Secrets::signing_key`].
    #[error("the signing key must have at least 32 bytes")]
    SigningKey,
    /// See [`Secrets::operator_token`].
    #[error("the operator token must have at least 16 characters, all of them visible ASCII")]
    OperatorToken,
}

impl Secrets {
    /// Whether they can be used.
    ///
    /// # Errors
    /// Which one can't.
    pub fn check(&self) -> Result<(), WeakSecret> {
        if self.signing_key.len() < 32 {
            return Err(WeakSecret::SigningKey);
        }
        if self.operator_token.len() < 16 || !self.operator_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WeakSecret::OperatorToken);
        }
        Ok(())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}
