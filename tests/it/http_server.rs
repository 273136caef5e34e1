//! A scripted HTTP server on loopback: it speaks bytes, so that it can also speak wrong ones.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What the server does with one request.
pub(crate) enum Reply {
    /// These bytes; the connection stays open.
    Keep(Vec<u8>),
    /// These bytes; then the connection is closed.
    Close(Vec<u8>),
    /// Nothing, until the peer goes.
    Silence,
}

/// One request as it came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_token(&self) -> bool {
        self.line.contains("/api/apps/v2/token") || self.line.contains("client_token/")
    }

    /// Reads one request; `None` at the end of the connection.
    fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut seen = Self { line: read_line(from)?, ..Self::default() };
        while let Some(line) = read_line(from).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            seen.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
        seen.body.resize(length, 0);
        from.read_exact(&mut seen.body).ok()?;
        Some(seen)
    }
}

fn read_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    match from.read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end().to_owned()),
    }
}

/// The server. Its threads end with their connections, at the latest with the test.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers every request by `script`.
    pub(crate) fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let script = Arc::new(script);
        Self::accept(move |server, socket| {
            let script = Arc::clone(&script);
            let mut reader = BufReader::new(socket.try_clone().unwrap());
            let writer = socket;
            serve(&server, &mut reader, writer, &*script);
        })
    }

    /// Hands every connection to `handle`, on a thread of its own.
    pub(crate) fn accept(handle: impl Fn(Self, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), seen: Arc::default(), connections: Arc::default() };
        let (handle, counted) = (Arc::new(handle), server.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let (handle, server) = (Arc::clone(&handle), counted.clone());
                std::thread::spawn(move || handle(server, socket));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The pushes among them.
    pub(crate) fn pushes(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| !seen.is_token()).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Serves one connection, whatever carries it.
pub(crate) fn serve(
    server: &Server,
    reader: &mut impl BufRead,
    mut writer: impl Write + AsSocket,
    script: &dyn Fn(&Seen) -> Reply,
) {
    while let Some(seen) = Seen::read(reader) {
        let reply = script(&seen);
        server.seen.lock().unwrap().push(seen);
        match reply {
            Reply::Keep(bytes) => writer.write_all(&bytes).unwrap(),
            Reply::Close(bytes) => {
                // The peer may have gone before all is written: that is part of some scripts.
                drop(writer.write_all(&bytes));
                drop(writer.socket().shutdown(Shutdown::Both));
                return;
            }
            Reply::Silence => {
                drop(reader.read(&mut [0]));
                return;
            }
        }
    }
}

/// What lies under a connection.
pub(crate) trait AsSocket {
    fn socket(&self) -> &TcpStream;
}

impl AsSocket for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// An answer with a body of a known length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Success in the platform's words.
pub(crate) fn accepted() -> Reply {
    Reply::Keep(answer("200 OK", "", r#"{"err_code":0,"err_msg":"","body":""}"#))
}

/// A token in the words of getAccessToken.
pub(crate) fn token(text: &str) -> Reply {
    let data = serde_json::json!({"access_token": text, "expires_in": 7200});
    let body = serde_json::json!({"err_no": 0, "err_tips": "success", "data": data});
    Reply::Keep(answer("200 OK", "", &body.to_string()))
}
