//! A registry in memory that can be told to fail, and the real one where it is installed.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use card_images::Digest;

/// What a registry has, and how it behaves.
#[derive(Default)]
pub(crate) struct Behaviour {
    pub(crate) blobs: BTreeMap<String, Bytes>,
    pub(crate) manifests: HashMap<String, Bytes>,
    uploads: BTreeMap<usize, Vec<u8>>,
    /// Of these, in `method path`, the beginnings: so many times 500 instead.
    pub(crate) faults: Vec<(&'static str, usize)>,
    /// What every request must have as its `Authorization`.
    pub(crate) lock: Option<&'static str>,
    /// How it asks for it; `Basic` otherwise.
    pub(crate) challenge: Option<String>,
    /// What it answers itself where tokens are given out, at `/token`.
    pub(crate) token: Option<&'static str>,
    /// It takes manifests and forgets them for others.
    pub(crate) forgetful: bool,
    /// Of these, in `method path`, the beginnings: this status and this body instead.
    pub(crate) refusals: Vec<(&'static str, u16, &'static str)>,
    /// So many requests are told to come back after a second.
    pub(crate) busy: usize,
    /// Where uploads go on: `relative`, `bare` (a query alone), or at another registry.
    pub(crate) location: Option<String>,
    /// What was shown with each request, as `method path` and `Authorization`.
    pub(crate) shown: Vec<(String, Option<String>)>,
    /// Bytes of blobs that arrived.
    pub(crate) received: usize,
}

type Shared = Arc<Mutex<Behaviour>>;

/// Listens until the test ends.
pub(crate) async fn start() -> (String, Shared) {
    let shared = Shared::default();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, shared)
}

async fn serve(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut registry = shared.lock().unwrap();
    let path = parts.uri.path().to_owned();
    let what = format!("{} {path}", parts.method);
    let key = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    registry.shown.push((what.clone(), key.map(str::to_owned)));
    if registry.busy > 0 {
        registry.busy -= 1;
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], "").into_response();
    }
    if let Some((_, code, said)) = registry.refusals.iter().find(|(begin, ..)| what.starts_with(begin)) {
        return (StatusCode::from_u16(*code).unwrap(), *said).into_response();
    }
    if let Some(token) = registry.token.filter(|_| path == "/token") {
        return token.into_response();
    }
    if registry.lock.is_some_and(|lock| key != Some(lock)) {
        let challenge = registry.challenge.clone().unwrap_or_else(|| "Basic realm=\"test\"".to_owned());
        let challenge = [(header::WWW_AUTHENTICATE, challenge)];
        return (StatusCode::UNAUTHORIZED, challenge, "").into_response();
    }
    if let Some((_, left)) = registry.faults.iter_mut().find(|(begin, left)| what.contains(begin) && *left > 0) {
        *left -= 1;
        return (StatusCode::INTERNAL_SERVER_ERROR, "of a test").into_response();
    }
    registry.answer(&parts.method, &path, parts.uri.query().unwrap_or_default(), body)
}

impl Behaviour {
    fn answer(&mut self, method: &Method, path: &str, query: &str, body: Bytes) -> Response {
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        let at = |location: String| [(header::LOCATION, location)];
        match (method.as_str(), path) {
            ("GET", "/v2/") => StatusCode::OK.into_response(),
            ("POST", path) => {
                let id = self.uploads.len();
                self.uploads.insert(id, Vec::new());
                let place = match self.location.as_deref() {
                    None => format!("{path}{id}"),
                    Some("relative") => format!("../uploads/{id}"),
                    Some("bare") => format!("{id}?state=a%2Fb"),
                    Some(elsewhere) => format!("{elsewhere}{path}{id}?signature=hunter2"),
                };
                (StatusCode::ACCEPTED, at(place)).into_response()
            }
            ("PATCH" | "PUT", path) if path.contains("/uploads/") => {
                let Some(upload) = last.parse().ok().and_then(|id: usize| self.uploads.get_mut(&id)) else {
                    return StatusCode::NOT_FOUND.into_response();
                };
                self.received += body.len();
                upload.extend(&body);
                let range = format!("0-{}", upload.len().saturating_sub(1));
                if method == Method::PATCH {
                    let answer = (StatusCode::ACCEPTED, [(header::RANGE, range)]);
                    // A Location is only needed where it is another one.
                    return if self.location.is_some() {
                        answer.into_response()
                    } else {
                        (at(path.to_owned()), answer).into_response()
                    };
                }
                let digest = query.rsplit_once("digest=").map_or("", |(_, digest)| digest).replace("%3A", ":");
                let bytes = Bytes::from(std::mem::take(upload));
                if Digest::of(&bytes).as_str() != digest {
                    return StatusCode::BAD_REQUEST.into_response();
                }
                self.blobs.insert(digest.clone(), bytes);
                (StatusCode::CREATED, at(format!("/v2/blobs/{digest}"))).into_response()
            }
            ("PUT", path) => {
                let digest = Digest::of(&body).to_string();
                let kept = if self.forgetful { Bytes::from_static(b"{}") } else { body };
                self.manifests.insert(last, kept.clone());
                self.manifests.insert(digest, kept);
                (StatusCode::CREATED, at(path.to_owned())).into_response()
            }
            (_, path) => {
                let found = if path.contains("/blobs/") { self.blobs.get(&last) } else { self.manifests.get(&last) };
                match found {
                    Some(bytes) => {
                        let digest = [("docker-content-digest", Digest::of(bytes).to_string())];
                        (StatusCode::OK, digest, bytes.clone()).into_response()
                    }
                    None => StatusCode::NOT_FOUND.into_response(),
                }
            }
        }
    }
}

/// Debian's `docker-registry`, on a free port; ends with the value.
pub(crate) struct Real {
    child: Child,
    pub(crate) address: String,
}

impl Real {
    /// None where it is not installed.
    pub(crate) fn start(dir: &Path) -> Option<Self> {
        Self::with(dir, "")
    }

    /// With this at the end of its configuration.
    pub(crate) fn with(dir: &Path, more: &str) -> Option<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = dir.join("registry.yml");
        let root = dir.join("registry");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{more}",
            root.display()
        );
        std::fs::File::create(&config).unwrap().write_all(text.as_bytes()).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => panic!("docker-registry: {error}"),
        };
        let real = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(&real.address).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(real)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
