//! The proxy in front of an echo, with a client that counts.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::super::waiting::eventually;
use super::super::{Proxy, Redis};
use super::ask_redis;

/// Sends back what it gets. Ends with the process: a test.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut &stream));
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn heard(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    stream.write_all(text)?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back)?;
    assert_eq!(back, text);
    Ok(())
}

#[test]
fn everything_gets_through_and_so_does_the_end() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let text = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&text).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert_eq!(back, sent);
}

#[test]
fn connections_that_are_cut_are_reset_and_new_ones_work() {
    let proxy = Proxy::start(echo());
    let mut streams: Vec<TcpStream> = (0..5).map(|_| connect(&proxy)).collect();
    for stream in &mut streams {
        heard(stream, b"before").unwrap();
    }
    proxy.cut_all();
    for mut stream in streams {
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    heard(&mut connect(&proxy), b"after").unwrap();
}

#[test]
fn a_refusing_proxy_lets_nobody_new_in_until_it_listens_again() {
    let proxy = Proxy::start(echo());
    let mut old = connect(&proxy);
    heard(&mut old, b"before").unwrap();
    proxy.refuse(true);
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    heard(&mut old, b"still").unwrap();
    proxy.refuse(false);
    heard(&mut connect(&proxy), b"after").unwrap();
}

#[test]
fn a_stalled_proxy_is_silent_and_loses_nothing() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    heard(&mut stream, b"before").unwrap();
    proxy.stall(true);
    stream.write_all(b"meanwhile").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut back = [0; 9];
    assert_eq!(stream.read(&mut back).unwrap_err().kind(), ErrorKind::WouldBlock);
    proxy.stall(false);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"meanwhile");
}

#[test]
fn connections_are_cut_at_random_both_ways_until_they_may_live() {
    let proxy = Proxy::start(echo());
    proxy.cut_at_random(7, Duration::from_millis(10));
    let (mut resets, mut closes) = (0, 0);
    eventually("it has reset connections and closed some", Duration::from_secs(60), || {
        let mut stream = connect(&proxy);
        match stream.read(&mut [0]) {
            Ok(0) => closes += 1,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => resets += 1,
            other => panic!("nobody sent anything: {other:?}"),
        }
        (resets >= 5 && closes >= 5).then_some(())
    });
    // Each of the earlier connections had its fate; one that is open now is spared as well.
    proxy.cut_at_random(7, Duration::from_secs(3600));
    let mut stream = connect(&proxy);
    heard(&mut stream, b"a long life").unwrap();
    proxy.let_live();
    heard(&mut stream, b"for ever").unwrap();
}

#[test]
fn one_who_was_connected_is_cut_at_random_too() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    heard(&mut stream, b"before").unwrap();
    proxy.cut_at_random(1, Duration::from_millis(10));
    assert!(!matches!(stream.read(&mut [0]), Ok(1..)), "nobody sent anything");
}

#[test]
fn a_proxy_in_front_of_nobody_resets_and_one_that_is_dropped_is_gone() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address());
    let url = Redis::url_at(proxy.address());
    assert_eq!(ask_redis::<String>(&url, &["PING"]).unwrap(), "PONG");
    redis.kill();
    assert!(ask_redis::<String>(&url, &["PING"]).is_err());
    redis.start_again_empty();
    assert_eq!(ask_redis::<String>(&url, &["PING"]).unwrap(), "PONG");
    let address = proxy.address();
    let mut open = connect(&proxy);
    drop(proxy);
    assert!(TcpStream::connect(address).is_err());
    assert!(!matches!(open.read(&mut [0]), Ok(1..)), "it ended with the proxy");
}
