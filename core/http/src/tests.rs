use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn this_machine_is_told_by_its_address() {
    for (text, is_here) in [
        ("http://127.0.0.1:7400", true),
        ("http://127.8.9.1", true),
        ("http://2130706433/", true),
        ("http://[::1]:7400", true),
        ("http://[::ffff:127.0.0.1]:7400", true),
        ("http://LOCALHOST:7400", true),
        ("http://0.0.0.0:7400", true),
        ("http://[::]:7400", true),
        ("http://127.0.0.1.example:7400", false),
        ("http://localhost.example", false),
        ("http://127.0.0.1@198.51.100.7:7400", false),
        ("http://198.51.100.7:7400", false),
        ("http://[2001:db8::1]", false),
    ] {
        assert_eq!(is_this_machine(&url(text)), is_here, "{text}");
    }
}

#[test]
fn a_secret_goes_without_tls_only_to_this_machine_and_where_it_was_allowed() {
    let allowed: PlainHttp = "Server, 192.168.49.2,fd00::7".parse().unwrap();
    for (text, by_nobody, by_user) in [
        ("https://cards.example", true, true),
        ("http://127.0.0.1:7400", true, true),
        ("http://[::1]:7400", true, true),
        ("http://server:7400", false, true),
        ("http://SERVER:7400", false, true),
        ("http://192.168.49.2:30740", false, true),
        ("http://[fd00::7]:1", false, true),
        ("http://server.example:7400", false, false),
        ("http://server@192.168.49.3", false, false),
        ("http://192.168.49.20", false, false),
    ] {
        assert_eq!(PlainHttp::nowhere().lets(&url(text)), by_nobody, "{text}");
        assert_eq!(allowed.lets(&url(text)), by_user, "{text}");
    }
    assert_eq!(allowed.to_string().parse(), Ok(allowed.clone()));
    assert_eq!(allowed.clone().and(&url("http://server")), allowed, "once is enough");
    assert_eq!(PlainHttp::nowhere().and(&url("http://10.0.0.7:1")).to_string(), "10.0.0.7");
    assert_eq!("".parse(), Ok(PlainHttp::nowhere()));
}

#[test]
fn consent_names_hosts_and_nothing_else() {
    for text in ["http://server", "server:7400", "server/x", "a b", "user@server", "*", "server?x", "server#x"] {
        assert_eq!(text.parse::<PlainHttp>(), Err(NoHost), "{text}");
    }
}

/// Answers each request with a redirect to there; counts them.
fn redirector(to: &str) -> (Url, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = url(&format!("http://{}/", listener.local_addr().unwrap()));
    let head =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).unwrap_or(0);
            let _ = tell.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
            let _ = stream.write_all(head.as_bytes());
        }
    });
    (address, heard)
}

#[tokio::test]
async fn a_platform_that_redirects_is_not_followed() {
    let (target, heard) = redirector("http://127.0.0.1:9/");
    let (from, _) = redirector(target.as_str());
    let answer = platform("test", &from).build().unwrap().get(from).bearer_auth("secret").send().await.unwrap();
    assert_eq!(answer.status(), 307);
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn others_redirect_a_few_times() {
    let (target, heard) = redirector("/again");
    let error = elsewhere("test", &target).build().unwrap().get(target).send().await.unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
    assert_eq!(heard.try_iter().count(), REDIRECTS + 1);
}

#[tokio::test]
async fn somebody_elses_server_does_not_lead_to_this_machine() {
    let (target, heard) = redirector("/");
    let (from, _) = redirector(target.as_str());
    // By a name, the first is elsewhere.
    let named = url(&format!("http://elsewhere.example:{}/", from.port().unwrap()));
    let address = from.socket_addrs(|| None).unwrap()[0];
    let client = elsewhere("test", &named).no_proxy().resolve("elsewhere.example", address).build().unwrap();
    let error = client.get(named).send().await.unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
    assert!(heard.try_recv().is_err());
}
