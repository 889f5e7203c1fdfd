//! A private nginx in front of a server: what stands between clients and a platform.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::ports;
use super::process::{Process, directory, end_of, in_path, tied};
use super::waiting::eventually;

const START: Duration = Duration::from_secs(30);

/// An nginx of its own, in a temporary directory. Ends when it is dropped.
pub struct Nginx {
    // First: it ends before its directory goes.
    _process: Process,
    address: SocketAddr,
    log: PathBuf,
    _dir: TempDir,
}

/// One request, as nginx wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// What the client was answered.
    pub status: u16,
    /// Whether the server behind was asked.
    pub upstream: bool,
    /// The request's method and path.
    pub request: String,
    /// Its `Idempotency-Key`; `-` without one.
    pub key: String,
}

impl Nginx {
    /// Starts one in front of a server, which need not be there. `http` stands in the block of that name (zones, maps),
    /// `server` in that of the only server, beside a `location /` that passes everything on as a proxy for event streams
    /// should.
    ///
    /// # Panics
    /// nginx is not there, or does not start.
    #[must_use]
    pub fn start(upstream: SocketAddr, http: &str, server: &str) -> Self {
        // Debian has it where only root looks.
        let program = in_path("nginx").or_else(|| Some(PathBuf::from("/usr/sbin/nginx")).filter(|path| path.is_file()));
        let program = program.expect("nginx is in PATH or /usr/sbin; on Debian: apt-get install nginx, or run ./test");
        // Somebody else may take the port between our look and the server's.
        for _ in 0..5 {
            let (port, dir) = (ports::free(), directory());
            let at = dir.path().display();
            let configuration = format!(
                "daemon off; master_process off; pid {at}/pid; error_log {at}/log warn;
                events {{ worker_connections 4096; }}
                http {{
                    log_format told '$status $upstream_status $http_idempotency_key $request_method $uri';
                    access_log {at}/access told;
                    client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
                    uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
                    proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off;
                    proxy_read_timeout 1h; keepalive_timeout 1h;
                    {http}
                    server {{ listen 0.0.0.0:{port}; {server} location / {{ proxy_pass http://{upstream}; }} }}
                }}"
            );
            fs::write(dir.path().join("nginx.conf"), configuration).expect("a temporary directory can be written");
            let mut command = tied(&program, "KILL");
            command.args(["-p", &at.to_string(), "-c", "nginx.conf", "-e", "log"]);
            let process = Process::start(command, &dir.path().join("log"));
            let address = ports::loopback(port);
            let listens = eventually("nginx listens", START, || {
                if process.ended() {
                    return Some(false);
                }
                TcpStream::connect(address).is_ok().then_some(true)
            });
            if listens {
                let log = dir.path().join("access");
                return Self { _process: process, address, log, _dir: dir };
            }
            let said = end_of(&dir.path().join("log"));
            assert!(said.contains("in use"), "nginx did not start:\n{said}");
        }
        panic!("nginx found no free port in five attempts");
    }

    /// Where it listens, on every address of this machine.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request that was answered so far, in order.
    ///
    /// # Panics
    /// The log can't be read.
    #[must_use]
    pub fn passed(&self) -> Vec<Passed> {
        let log = fs::read_to_string(&self.log).expect("nginx made its log");
        let lines = log.lines().filter_map(|line| {
            let (status, line) = line.split_once(' ')?;
            let (upstream, line) = line.split_once(' ')?;
            let (key, request) = line.split_once(' ')?;
            let (key, request) = (key.to_owned(), request.to_owned());
            // Empty where nothing else was to be answered: what the client did not wait for.
            Some(Passed { status: status.parse().ok()?, upstream: upstream != "-", request, key })
        });
        lines.collect()
    }

    /// How often each key was sent to a path.
    ///
    /// # Panics
    /// The log can't be read.
    #[must_use]
    pub fn sends(&self, request: &str) -> BTreeMap<String, usize> {
        let mut sends = BTreeMap::new();
        for passed in self.passed().into_iter().filter(|passed| passed.request == request) {
            *sends.entry(passed.key).or_insert(0) += 1;
        }
        sends
    }
}
