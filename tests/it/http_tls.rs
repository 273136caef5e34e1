//! TLS: a private authority is trusted where `douyin.ca_file` names it, and nowhere else.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};

use order_sync::config::{Douyin, Secret};
use order_sync::douyin::OutcomeTable;
use order_sync::http::TokenSource;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http_harness::{Harness, douyin};
use crate::http_server::{AsSocket, Server, accepted, serve, token};

/// One TLS connection, read and written in turns.
#[derive(Clone)]
struct Tls(Arc<Mutex<StreamOwned<ServerConnection, TcpStream>>>, Arc<TcpStream>);

impl std::io::Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().read(buffer)
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap().flush()
    }
}

impl AsSocket for Tls {
    fn socket(&self) -> &TcpStream {
        &self.1
    }
}

/// A server with a certificate of its own for `localhost`, and the certificate as PEM.
fn server() -> (Server, String) {
    let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let server = Server::accept(move |server, socket| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let under = Arc::new(socket.try_clone().unwrap());
        let tls = Tls(Arc::new(Mutex::new(StreamOwned::new(connection, socket))), under);
        serve(&server, &mut BufReader::new(tls.clone()), tls, &|seen| {
            if seen.is_token() { token("0801canary") } else { accepted() }
        });
    });
    (server, made.cert.pem())
}

fn settings(server: &Server, ca_file: Option<&Path>) -> Douyin {
    let mut settings = douyin(&format!("https://localhost:{}", server.address.port()));
    settings.ca_file = ca_file.map(Path::to_path_buf);
    settings
}

#[test]
fn a_private_authority_is_trusted_by_its_file() {
    let (server, pem) = server();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let mut harness = Harness::new(&settings(&server, Some(&file)), Secret::Inline("s3cret".into()));
    harness.fetch().unwrap();
    assert_eq!(harness.answered().status, 200);
    // The same server by an address that its certificate does not name.
    let mut other = settings(&server, Some(&file));
    other.base_url = format!("https://{}", server.address);
    let mut harness = Harness::new(&other, Secret::Inline("s3cret".into()));
    assert!(harness.fetch().unwrap_err().contains("verdict: Retry"));
}

#[test]
fn a_proxy_tunnels_tls() {
    let (server, pem) = server();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let behind = server.address;
    let proxy = Server::accept(move |_, mut socket| {
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        assert!(head.starts_with("CONNECT localhost:"), "{head}");
        assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz"), "{head}");
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        tunnel(socket, TcpStream::connect(behind).unwrap());
    });
    let mut settings = settings(&server, Some(&file));
    settings.proxy = Some(format!("http://user:pass@{}", proxy.address).into());
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    harness.fetch().unwrap();
    assert_eq!(harness.answered().status, 200);
    assert_eq!((proxy.connections(), server.pushes().len()), (1, 1));
}

fn tunnel(client: TcpStream, server: TcpStream) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let (mut from, mut to) = (server, client);
    // Either side may end it.
    drop(std::io::copy(&mut from, &mut to));
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let (server, _) = server();
    let (_, of_another) = self::server();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, of_another).unwrap();
    let mut harness = Harness::new(&settings(&server, Some(&file)), Secret::Inline("s3cret".into()));
    assert!(harness.fetch().unwrap_err().contains("verdict: Retry"));
    assert!(server.seen().is_empty());
}

fn check_refusal(change: impl FnOnce(&mut Douyin), expect: &str) {
    let mut settings = douyin("http://127.0.0.1:1");
    change(&mut settings);
    let table = Arc::new(OutcomeTable::built_in().unwrap());
    let refusal = TokenSource::new(&settings, table).unwrap_err().to_string();
    assert!(refusal.contains(expect) && !refusal.contains("canary"), "{refusal}");
}

#[test]
fn settings_that_cannot_work_are_refused_with_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    check_refusal(|settings| settings.ca_file = Some(file.clone()), "cannot read certificates");
    std::fs::write(&file, "no certificate here").unwrap();
    check_refusal(|settings| settings.ca_file = Some(file.clone()), "holds no certificate");
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").unwrap();
    check_refusal(|settings| settings.ca_file = Some(file.clone()), "cannot read certificates");
    check_refusal(|settings| settings.base_url = "developer-canary".into(), "douyin.base_url is not");
    check_refusal(|settings| settings.base_url = "ftp://user:canary@host".into(), "douyin.base_url is not");
    check_refusal(|settings| settings.base_url = "https://user:canary@host".into(), "holds a user name or a password");
    check_refusal(|settings| settings.proxy = Some("http://user:canary@".into()), "douyin.proxy is not");
    check_refusal(|settings| settings.proxy = Some("ftp://user:canary@host".into()), "douyin.proxy is not");
}
