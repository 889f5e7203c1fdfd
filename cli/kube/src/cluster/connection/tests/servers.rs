//! A Kubernetes API with TLS that keeps what it is sent, and the kinds of proxies.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::testing::ApiServer;

/// What a request had: its path, its head, and the client's certificate.
#[derive(Debug, Clone)]
pub(super) struct Had {
    pub(super) path: String,
    pub(super) head: HeaderMap,
    pub(super) certificate: Option<Vec<u8>>,
}

impl Had {
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.head.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }
}

/// The fake API behind TLS.
pub(super) struct Secure {
    pub(super) url: String,
    pub(super) address: SocketAddr,
    /// The CA in PEM, in base64.
    pub(super) authority: String,
    pub(super) pem: String,
    had: Arc<Mutex<Vec<Had>>>,
    issuer: CertifiedIssuer<'static, KeyPair>,
    acceptor: TlsAcceptor,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes any certificate, as it is: what a Go server does with one that its CA signed.
#[derive(Debug)]
pub(super) struct Anybody;

impl Secure {
    pub(super) async fn start() -> Self {
        Self::with(&["127.0.0.1", "localhost", "cluster.example.test"], |_| Arc::new(Anybody)).await
    }

    /// With a certificate for these names, and with this way to look at the clients'.
    pub(super) async fn with(
        names: &[&str],
        verifier: impl FnOnce(&CertificateDer<'static>) -> Arc<dyn ClientCertVerifier>,
    ) -> Self {
        crate::cluster::install_tls();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_client_cert_verifier(verifier(issuer.der()));
        let config = config.with_single_cert(vec![leaf.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let had = Arc::new(Mutex::new(Vec::new()));
        let (router, kept, accepts) = (ApiServer::new().router(), Arc::clone(&had), acceptor.clone());
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (acceptor, router, kept) = (accepts.clone(), router.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(tcp).await else { return };
                    let shown =
                        stream.get_ref().1.peer_certificates().and_then(|all| all.first()).map(|der| der.to_vec());
                    let keep = from_fn(move |request: Request, next: Next| {
                        let (path, head) = (request.uri().path().to_owned(), request.headers().clone());
                        kept.lock().unwrap().push(Had { path, head, certificate: shown.clone() });
                        next.run(request)
                    });
                    let service = TowerToHyperService::new(router.layer(keep));
                    let served =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    let _ = served.with_upgrades().await;
                });
            }
        });
        let pem = issuer.pem();
        Self {
            url: format!("https://{address}"),
            address,
            authority: BASE64_STANDARD.encode(&pem),
            pem,
            had,
            issuer,
            acceptor,
            task,
        }
    }

    pub(super) fn had(&self) -> Vec<Had> {
        self.had.lock().unwrap().clone()
    }

    /// A client's certificate by its CA, with its key.
    pub(super) fn client(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, rustls::Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A proxy that leads every name to one address, and keeps what it was asked for.
pub(super) struct Through {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Through {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Through {
    /// `CONNECT` of HTTP; `login` is what it wants as `Proxy-Authorization`.
    pub(super) async fn http(to: SocketAddr, login: Option<&'static str>) -> Self {
        Self::start(move |client, asked| connect(client, to, login, asked)).await
    }

    /// The same by TLS, with the certificate of that server.
    pub(super) async fn https(to: SocketAddr, like: &Secure, login: Option<&'static str>) -> Self {
        let acceptor = like.acceptor.clone();
        Self::start(move |client, asked| {
            let acceptor = acceptor.clone();
            async move { connect(acceptor.accept(client).await?, to, login, asked).await }
        })
        .await
    }

    /// Version 5 of SOCKS; with a name and a password if it wants one.
    pub(super) async fn socks(to: SocketAddr, login: Option<(&'static str, &'static str)>) -> Self {
        Self::start(move |client, asked| socks(client, to, login, asked)).await
    }

    async fn start<F>(serve: impl Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(client, Arc::clone(&kept)));
            }
        });
        Self { address, asked, task }
    }

    /// `host:port` of each connection.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn connect(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    to: SocketAddr,
    login: Option<&'static str>,
    asked: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let place = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or("no CONNECT");
    asked.lock().unwrap().push(place.to_owned());
    let given = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
    if login.is_some() && given != login {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
    }
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut TcpStream::connect(to).await?).await.map(drop)
}

async fn socks(
    mut client: TcpStream,
    to: SocketAddr,
    login: Option<(&'static str, &'static str)>,
    asked: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut start = [0; 2];
    client.read_exact(&mut start).await?;
    let mut methods = vec![0; start[1].into()];
    client.read_exact(&mut methods).await?;
    let wanted = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        return client.write_all(&[5, 0xff]).await;
    }
    client.write_all(&[5, wanted]).await?;
    if let Some((name, password)) = login {
        client.read_u8().await?;
        let mut given = Vec::new();
        for _ in 0..2 {
            let mut text = vec![0; client.read_u8().await?.into()];
            client.read_exact(&mut text).await?;
            given.push(text);
        }
        let good = given == [name.as_bytes(), password.as_bytes()];
        client.write_all(&[1, u8::from(!good)]).await?;
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request[3] {
        3 => {
            let mut name = vec![0; client.read_u8().await?.into()];
            client.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
        _ => {
            let mut address = [0; 4];
            client.read_exact(&mut address).await?;
            std::net::Ipv4Addr::from(address).to_string()
        }
    };
    let port = client.read_u16().await?;
    asked.lock().unwrap().push(format!("{host}:{port}"));
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut TcpStream::connect(to).await?).await.map(drop)
}
