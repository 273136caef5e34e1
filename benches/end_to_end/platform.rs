//! `order-sync sandbox` as a process of its own, and what the bench asks it.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) struct Platform {
    child: Child,
    address: String,
}

impl Platform {
    pub(crate) fn start(latency: &str, home: &Path) -> Self {
        let port_file = home.join("port");
        let child = Command::new(env!("CARGO_BIN_EXE_order-sync"))
            .args(["sandbox", "--listen", "127.0.0.1:0", "--keep", "1", "--latency", latency, "--port-file"])
            .arg(&port_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut platform = Self { child, address: String::new() };
        let since = Instant::now();
        while platform.address.is_empty() {
            assert!(since.elapsed() < Duration::from_secs(20), "the sandbox does not start");
            if let Ok(port) = std::fs::read_to_string(&port_file) {
                platform.address = format!("127.0.0.1:{}", port.trim());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        platform
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn report(&self) -> Value {
        self.call("GET", "/_sandbox/report", "")
    }

    /// Forgets every order, so that the same stamps are taken again.
    pub(crate) fn forget(&self) {
        let report = self.report();
        assert_eq!(report["violations_total"], 0, "{report}");
        assert_eq!(report["refused"], 0, "{report}");
        self.call("DELETE", "/_sandbox/orders", "");
    }

    /// How long each of these orders has waited from the given time until its last push was applied, by the sandbox's own
    /// clock, which is the machine's; milliseconds.
    pub(crate) fn waits(&self, sent_at_ms: &HashMap<String, u64>) -> Vec<u64> {
        let (mut waits, mut offset) = (Vec::new(), 0);
        loop {
            let page = self.call("GET", &format!("/_sandbox/orders?limit=1000&offset={offset}"), "");
            let orders = page["orders"].as_array().unwrap();
            // The orders that were last applied come first.
            if orders.is_empty() || waits.len() == sent_at_ms.len() {
                return waits;
            }
            offset += orders.len();
            for order in orders {
                if let Some(sent) = sent_at_ms.get(order["order_id"].as_str().unwrap()) {
                    waits.push(order["applied_at_ms"].as_u64().unwrap().saturating_sub(*sent));
                }
            }
        }
    }

    pub(crate) fn token(&self) -> String {
        let body = r#"{"appid":"ttbench","secret":"bench","grant_type":"client_credential"}"#;
        let answer = self.call("POST", "/api/apps/v2/token", body);
        answer["data"]["access_token"].as_str().unwrap().to_owned()
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        let length = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all([&head, &length, body].concat().as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{method} {path}: {head}"))
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What an address answers to a GET.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
