//! Argon2id (RFC 9106) with OWASP's parameters (19 MiB, 2 passes, 1 lane), in memory that is kept from hash to hash.
//!
//! Taking 19 MiB anew for each hash costs the other threads more than the hashing: the kernel clears the pages and
//! interrupts every core when they are given back.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;

/// Why a hash could not be computed. Says nothing of the password.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("argon2 failed")]
pub(crate) struct Fault;

/// Stands in for the hash of a user that there is not: verifying against it takes the same time, and no password has it.
pub(crate) const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const OUTPUT: usize = 32;

/// Hashes one password after the other.
#[derive(Debug, Default)]
pub(crate) struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    /// The PHC string to store.
    pub(crate) fn hash(&mut self, password: &str) -> Result<String, Fault> {
        let params = Params::new(19 * 1024, 2, 1, Some(OUTPUT)).map_err(|_| Fault)?;
        let salt = Salt::generate();
        let mut output = [0; OUTPUT];
        self.compute(password, &salt, &params, &mut output)?;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(|_| Fault)?,
            salt: Some(salt),
            hash: Some(Output::new(&output).map_err(|_| Fault)?),
        };
        Ok(hash.to_string())
    }

    /// Whether the PHC string is that of this password; compares in constant time.
    pub(crate) fn verify(&mut self, password: &str, stored: &str) -> Result<bool, Fault> {
        let stored = PasswordHash::new(stored).map_err(|_| Fault)?;
        let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else { return Err(Fault) };
        if stored.algorithm != ARGON2ID_IDENT || stored.version != Some(Version::V0x13.into()) {
            return Err(Fault);
        }
        let params = Params::try_from(&stored).map_err(|_| Fault)?;
        let mut output = vec![0; expected.len()];
        self.compute(password, &salt, &params, &mut output)?;
        Ok(output.ct_eq(expected.as_bytes()).into())
    }

    /// Gives the memory back.
    pub(crate) fn rest(&mut self) {
        self.memory = Vec::new();
    }

    fn compute(&mut self, password: &str, salt: &[u8], params: &Params, output: &mut [u8]) -> Result<(), Fault> {
        if self.memory.len() < params.block_count() {
            self.memory.resize(params.block_count(), Block::new());
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let memory = &mut self.memory[..params.block_count()];
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory).map_err(|_| Fault)
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier;

    use super::*;

    #[test]
    fn the_crates_own_verifier_agrees() {
        let mut hasher = Hasher::default();
        let text = hasher.hash("correct horse").unwrap();
        let hash = PasswordHash::new(&text).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &hash).is_ok());
        assert!(Argon2::default().verify_password(b"wrong horse", &hash).is_err());
    }

    #[test]
    fn what_an_earlier_password_left_in_the_memory_does_not_matter() {
        let mut hasher = Hasher::default();
        let one = hasher.hash("one password").unwrap();
        let other = hasher.hash("other password").unwrap();
        hasher.rest();
        assert!(hasher.verify("one password", &one).unwrap());
        assert!(hasher.verify("other password", &other).unwrap());
        assert!(!hasher.verify("one password", &other).unwrap());
        assert!(!hasher.verify("", DUMMY).unwrap());
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let mut hasher = Hasher::default();
        assert_ne!(hasher.hash("a password").unwrap(), hasher.hash("a password").unwrap());
    }
}
