//! A card issuer that fails for the first task that it hears of, and works for all others.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// Lives as long as the test's process.
pub(crate) struct Issuer {
    pub(crate) url: String,
    poison: Arc<Mutex<Poison>>,
}

#[derive(Default)]
struct Poison {
    task: Option<String>,
    cured: bool,
}

impl Issuer {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let poison = Arc::<Mutex<Poison>>::default();
        let shared = Arc::clone(&poison);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let poison = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &poison));
            }
        });
        Self { url, poison }
    }

    /// The task that it fails for.
    pub(crate) fn poison(&self) -> String {
        self.poison.lock().unwrap().task.clone().expect("there was a call")
    }

    /// From now on it works for that one, too.
    pub(crate) fn cure(&self) {
        self.poison.lock().unwrap().cured = true;
    }
}

/// Answers one call after the other until the caller hangs up.
fn serve(mut stream: TcpStream, poison: &Mutex<Poison>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = request(&mut reader) {
        let task = request["idempotency_key"].as_str().unwrap();
        let fails = {
            let mut poison = poison.lock().unwrap();
            !poison.cured && poison.task.get_or_insert_with(|| task.to_owned()).as_str() == task
        };
        let (status, body) = if fails {
            ("503 Service Unavailable", Value::Null)
        } else {
            ("200 OK", json!({"card_ref": format!("iss_{task}"), "last4": "0042", "network": "visa"}))
        };
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

/// The body of the next request.
fn request(reader: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
