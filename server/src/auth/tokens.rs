//! Access tokens (JWT, HS256, short-lived, checked without the store) and refresh tokens (opaque, long-lived, known to
//! the store by their SHA-256 only).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use card_core::accounts::TokenHash;
use card_core::ids::{SessionId, UserId};
use card_core::time::Instant;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What an access token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Whose.
    pub(crate) sub: UserId,
    /// From which sign-in.
    pub(crate) sid: SessionId,
    /// Issued, in seconds since 1970.
    pub(crate) iat: u64,
    /// Expires, in seconds since 1970.
    pub(crate) exp: u64,
    /// What it allows.
    pub(crate) scope: Scope,
}

/// What an access token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scope {
    /// What a user may do.
    User,
}

/// Signs and checks access tokens.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    header: Header,
    validation: Validation,
    lifetime: Duration,
}

impl Tokens {
    pub(crate) fn new(signing_key: &[u8], lifetime: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_aud = false;
        Self {
            encoding: EncodingKey::from_secret(signing_key),
            decoding: DecodingKey::from_secret(signing_key),
            header: Header::new(Algorithm::HS256),
            validation,
            lifetime,
        }
    }

    /// How long an access token works, in seconds.
    pub(crate) fn lifetime_s(&self) -> u64 {
        self.lifetime.as_secs()
    }

    /// An access token for a user. Fails only if the key can't sign at all.
    pub(crate) fn issue(
        &self,
        user: UserId,
        session: SessionId,
        now: Instant,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now.micros().unsigned_abs() / 1_000_000;
        let claims = Claims { sub: user, sid: session, iat, exp: iat + self.lifetime_s(), scope: Scope::User };
        jsonwebtoken::encode(&self.header, &claims, &self.encoding)
    }

    /// What a token says, if this platform signed it and it has not expired.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).ok().map(|data| data.claims)
    }
}

const REFRESH_PREFIX: &str = "rt_";

/// A refresh token. Its `Debug` shows nothing of it.
pub(crate) struct RefreshToken(String);

impl RefreshToken {
    /// A new one: 256 random bits.
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// One that a caller sent; none if it can't be one.
    pub(crate) fn given(text: &str) -> Option<Self> {
        let body = text.strip_prefix(REFRESH_PREFIX)?;
        (URL_SAFE_NO_PAD.decode(body).ok()?.len() == 32).then(|| Self(text.to_owned()))
    }

    /// What the store knows it by.
    pub(crate) fn hash(&self) -> TokenHash {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// For the one answer that hands it out.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn an_access_token_says_whose_it_is() {
        let tokens = Tokens::new(KEY, Duration::from_secs(60));
        let (user, session) = (UserId::new(), SessionId::new());
        let claims = tokens.verify(&tokens.issue(user, session, Instant::now()).unwrap()).unwrap();
        assert_eq!((claims.sub, claims.sid, claims.exp - claims.iat), (user, session, 60));
    }

    #[test]
    fn an_expired_a_foreign_and_an_unsigned_token_are_refused() {
        let tokens = Tokens::new(KEY, Duration::from_secs(60));
        let long_ago = Instant::now().minus(Duration::from_secs(61));
        let expired = tokens.issue(UserId::new(), SessionId::new(), long_ago).unwrap();
        assert!(tokens.verify(&expired).is_none());
        let foreign = Tokens::new(&[7; 32], Duration::from_secs(60));
        assert!(tokens.verify(&foreign.issue(UserId::new(), SessionId::new(), Instant::now()).unwrap()).is_none());
        let good = tokens.issue(UserId::new(), SessionId::new(), Instant::now()).unwrap();
        let payload = good.split('.').nth(1).unwrap();
        let unsigned = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
        assert!(tokens.verify(&unsigned).is_none());
    }

    #[test]
    fn a_refresh_token_survives_its_text() {
        let token = RefreshToken::new();
        let hash = token.hash();
        assert_eq!(RefreshToken::given(&token.into_text()).unwrap().hash(), hash);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC*") {
            let _ = Tokens::new(KEY, Duration::from_secs(1)).verify(&text);
            let _ = RefreshToken::given(&text);
            let _ = RefreshToken::given(&format!("rt_{text}"));
        }
    }
}
