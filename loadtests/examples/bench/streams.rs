//! Ten thousand event streams at once: memory, and whether each of them hears of everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use card_client::{Accept, Caller, Order};
use card_core::ids::RunId;
use card_kinds::add::{Add, Addition};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::platform::Platform;
use crate::{Failed, report};

const STREAMS: usize = 10_000;
const TASKS: usize = 50;

pub(crate) async fn run() -> Result<(), Failed> {
    let platform = Platform::start().await?;
    let before = platform.resident()?;
    let run = RunId::new();
    let address = platform.url.trim_start_matches("http://").to_owned();
    let (heard, connected) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut readers = tokio::task::JoinSet::new();
    for opened in 0..STREAMS {
        let request = format!(
            "GET /api/v1/events?run={run} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
            platform.token
        );
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(request.as_bytes()).await?;
        let (hearing, answering) = (Arc::clone(&heard), Arc::clone(&connected));
        readers.spawn(async move {
            let mut buffer = [0_u8; 4096];
            let mut rest: Vec<u8> = Vec::new();
            let mut first = true;
            while let Ok(read) = stream.read(&mut buffer).await {
                if read == 0 {
                    return;
                }
                if std::mem::take(&mut first) {
                    answering.fetch_add(1, Ordering::Relaxed);
                }
                rest.extend_from_slice(&buffer[..read]);
                while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
                    let frame: Vec<u8> = rest.drain(..end + 2).collect();
                    let needle = br#""status":"succeeded""#;
                    if frame.windows(needle.len()).any(|part| part == needle) {
                        hearing.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        // Let the server keep up: this measures streams, not a connect storm.
        while opened - connected.load(Ordering::Relaxed).min(opened) > 200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    wait_for(&connected, STREAMS, "streams to open").await?;
    report!("{STREAMS} streams open: {:.0} MB resident ({before:.0} MB without)", platform.resident()?);
    let begun = Instant::now();
    for number in 0..TASKS {
        let order = Order::of::<Addition>(&Add { x: number as i64, y: 1 });
        let accept = Accept { caller: Caller::Operator, run: Some(&run), key: None };
        platform.client.accept(&order, accept).await?;
    }
    wait_for(&heard, STREAMS * TASKS, "events to arrive").await?;
    report!(
        "{TASKS} tasks to each: {} final events heard of {}, {:.1} s; {:.0} MB resident",
        heard.load(Ordering::Relaxed),
        STREAMS * TASKS,
        begun.elapsed().as_secs_f64(),
        platform.resident()?,
    );
    readers.abort_all();
    platform.stop().await
}

async fn wait_for(count: &AtomicUsize, wanted: usize, what: &str) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while count.load(Ordering::Relaxed) < wanted {
        if Instant::now() > deadline {
            return Err(format!("waited two minutes for {what}: {} of {wanted}", count.load(Ordering::Relaxed)).into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
