//! Files that are compiled in: sent with an entity tag, so that a browser asks again and mostly gets 304.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A file that is compiled in.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    bytes: Bytes,
    content_type: HeaderValue,
    tag: HeaderValue,
    policy: Option<HeaderValue>,
    gzipped: bool,
}

impl Asset {
    pub(crate) fn new(bytes: Bytes, content_type: HeaderValue) -> Self {
        let digest = Sha256::digest(&bytes);
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let tag = HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { bytes, content_type, tag, policy: None, gzipped: false }
    }

    /// With a `content-security-policy`.
    pub(crate) fn policy(mut self, policy: &'static str) -> Self {
        self.policy = Some(HeaderValue::from_static(policy));
        self
    }

    /// The bytes are compressed.
    pub(crate) fn gzipped(mut self, gzipped: bool) -> Self {
        self.gzipped = gzipped;
        self
    }

    /// The answer: 304 if the browser has it.
    pub(crate) fn answer(&self, request: &HeaderMap) -> Response {
        let mut response = Response::default();
        if self.is_known(request) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = self.bytes.clone().into();
            response.headers_mut().insert(header::CONTENT_TYPE, self.content_type.clone());
            if self.gzipped {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag.clone());
        // Asks each time whether it changed: a new version shows at once and costs one small answer.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(policy) = &self.policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        response
    }

    fn is_known(&self, request: &HeaderMap) -> bool {
        let tag = self.tag.to_str().unwrap_or_default();
        let given = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        given
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().trim_start_matches("W/"))
            .any(|value| value == tag || value == "*")
    }
}
