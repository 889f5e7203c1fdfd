//! Access tokens (JWT, HS256, short-lived, checked without the store) and refresh tokens (opaque, long-lived, known to
//! the store by their SHA-256 only).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use card_core::accounts::RefreshHashes;
use card_core::ids::{SessionId, UserId};
use card_core::time::Instant;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Whom an access token is for: nothing else that has the same key may take it for its own.
const AUDIENCE: &str = "cardctl-api";

/// What an access token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: UserId,
    /// From which sign-in.
    pub(crate) sid: SessionId,
    /// By which platform: its ledger.
    iss: String,
    /// For whom.
    aud: String,
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
    issuer: String,
}

impl Tokens {
    /// For the platform on this ledger.
    pub(crate) fn new(signing_key: &[u8], ledger: Uuid, lifetime: Duration) -> Self {
        let issuer = ledger.urn().to_string();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self {
            issuer,
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

    /// An access token for a user, that works at most until its session ends. Fails only if the key can't sign at all.
    pub(crate) fn issue(
        &self,
        user: UserId,
        session: SessionId,
        now: Instant,
        ends_at: Instant,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let seconds = |instant: Instant| instant.micros().unsigned_abs() / 1_000_000;
        let (iat, aud) = (seconds(now), AUDIENCE.to_owned());
        let exp = (iat + self.lifetime_s()).min(seconds(ends_at));
        let claims = Claims { sub: user, sid: session, iss: self.issuer.clone(), aud, iat, exp, scope: Scope::User };
        jsonwebtoken::encode(&self.header, &claims, &self.encoding)
    }

    /// Whether this platform signed it, expired or not.
    pub(crate) fn is_own(&self, token: &str) -> bool {
        let validation = Validation { validate_exp: false, ..self.validation.clone() };
        jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).is_ok()
    }

    /// What a token says, if this platform signed it and it has not expired.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).ok()?.claims;
        // The library lets the second of `exp` itself through (RFC 7519: on or after it a token is not accepted).
        (claims.exp > Instant::now().micros().unsigned_abs() / 1_000_000).then_some(claims)
    }
}

const REFRESH_PREFIX: &str = "rt_";

/// A refresh token: 128 random bits that all tokens of a session have in common, and 128 of its own. Its `Debug` shows
/// nothing of it.
pub(crate) struct RefreshToken {
    text: String,
    family: [u8; 16],
}

impl RefreshToken {
    /// The first of a session.
    pub(crate) fn new() -> Self {
        let mut family = [0; 16];
        rand::rng().fill_bytes(&mut family);
        Self::of(family)
    }

    /// The one after this.
    pub(crate) fn next(&self) -> Self {
        Self::of(self.family)
    }

    fn of(family: [u8; 16]) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&family);
        rand::rng().fill_bytes(&mut bytes[16..]);
        Self { text: format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)), family }
    }

    /// One that a caller sent; none if it can't be one.
    pub(crate) fn given(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(REFRESH_PREFIX)?).ok()?;
        let family = bytes.first_chunk().copied().filter(|_| bytes.len() == 32)?;
        Some(Self { text: text.to_owned(), family })
    }

    /// What the store knows it by.
    pub(crate) fn hashes(&self) -> RefreshHashes {
        let family = Sha256::new().chain_update(b"family").chain_update(self.family).finalize();
        RefreshHashes { token: Sha256::digest(self.text.as_bytes()).into(), family: family.into() }
    }

    /// For the one answer that hands it out.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    const LEDGER: Uuid = Uuid::from_u128(1);

    fn tokens() -> Tokens {
        Tokens::new(KEY, LEDGER, Duration::from_secs(60))
    }

    fn issue(tokens: &Tokens, now: Instant) -> String {
        tokens.issue(UserId::new(), SessionId::new(), now, now.plus(Duration::from_secs(86_400))).unwrap()
    }

    #[test]
    fn an_access_token_says_whose_it_is() {
        let (user, session, now) = (UserId::new(), SessionId::new(), Instant::now());
        let issue = |seconds| tokens().issue(user, session, now, now.plus(Duration::from_secs(seconds))).unwrap();
        let claims = tokens().verify(&issue(3600)).unwrap();
        assert_eq!((claims.sub, claims.sid, claims.exp - claims.iat), (user, session, 60));
        let claims = tokens().verify(&issue(30)).unwrap();
        assert_eq!(claims.exp - claims.iat, 30, "it does not outlive its session");
    }

    #[test]
    fn an_expired_a_foreign_and_an_unsigned_token_are_refused() {
        let expired = issue(&tokens(), Instant::now().minus(Duration::from_secs(61)));
        assert!(tokens().verify(&expired).is_none());
        let just = issue(&tokens(), Instant::now().minus(Duration::from_secs(60)));
        assert!(tokens().verify(&just).is_none(), "its last second is over");
        let foreign = Tokens::new(&[7; 32], LEDGER, Duration::from_secs(60));
        assert!(tokens().verify(&issue(&foreign, Instant::now())).is_none());
        let good = issue(&tokens(), Instant::now());
        let payload = good.split('.').nth(1).unwrap();
        let unsigned = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
        assert!(tokens().verify(&unsigned).is_none());
    }

    #[test]
    fn a_token_of_another_platform_with_the_same_key_is_refused() {
        let other = Tokens::new(KEY, Uuid::from_u128(2), Duration::from_secs(60));
        let token = issue(&other, Instant::now());
        assert!(other.verify(&token).is_some() && tokens().verify(&token).is_none());
        let good = issue(&tokens(), Instant::now());
        let payload = URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let signed = |change: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
            let mut claims = claims.as_object().unwrap().clone();
            change(&mut claims);
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(KEY)).unwrap()
        };
        assert!(tokens().verify(&signed(&|_| ())).is_some());
        for name in ["iss", "aud", "exp"] {
            assert!(tokens().verify(&signed(&|claims| drop(claims.remove(name)))).is_none(), "without {name}");
        }
        for name in ["iss", "aud"] {
            assert!(tokens().verify(&signed(&|claims| claims[name] = "else".into())).is_none(), "another {name}");
        }
    }

    #[test]
    fn a_refresh_token_survives_its_text() {
        let token = RefreshToken::new();
        let hashes = token.hashes();
        assert_eq!(RefreshToken::given(&token.into_text()).unwrap().hashes(), hashes);
    }

    #[test]
    fn the_tokens_of_a_session_have_their_family_in_common_and_nothing_else() {
        let (one, stranger) = (RefreshToken::new(), RefreshToken::new());
        let next = one.next();
        assert_eq!(next.hashes().family, one.hashes().family);
        assert_ne!(next.hashes().token, one.hashes().token);
        assert_ne!(stranger.hashes().family, one.hashes().family);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC*") {
            let _ = tokens().verify(&text);
            let _ = RefreshToken::given(&text);
            let _ = RefreshToken::given(&format!("rt_{text}"));
        }
    }
}
