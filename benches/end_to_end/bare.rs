//! The bare loop: nothing but reqwest, with every body ready before it begins. A process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::options::Options;
use crate::platform::Platform;
use crate::process::Running;

/// Starts this program again as the bare loop; returns when its bodies are in memory, and lets it go.
pub(crate) fn spawn(bodies: &Path, platform: &Platform, in_flight: usize) -> Running {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--bare-loop")
        .arg(bodies)
        .args(["--url", &platform.url(), "--token", &platform.token(), "--in-flight", &in_flight.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    Running(child)
}

/// What the process does.
pub(crate) fn run(bodies: &str, options: &Options) {
    let token = options.text("--token").unwrap();
    let in_flight = options.number("--in-flight").unwrap();
    let url = format!("{}/api/apps/order/v2/push", options.text("--url").unwrap());
    let url = reqwest::Url::parse(&url).unwrap();
    let bodies = Arc::new(ready(&std::fs::read(bodies).unwrap(), token));
    println!("ready");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    let client = reqwest::Client::builder().no_proxy().http1_only().pool_max_idle_per_host(in_flight);
    let client = client.tls_backend_preconfigured(no_tls()).build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..in_flight {
            let (client, bodies, url, next) = (client.clone(), Arc::clone(&bodies), url.clone(), Arc::clone(&next));
            tasks.spawn(async move {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let post = client.post(url.clone()).header("content-type", "application/json");
                    let mut answer = post.body(body.clone()).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    while answer.chunk().await.unwrap().is_some() {}
                }
            });
        }
        tasks.join_all().await;
    });
}

/// The bodies of the file, each with the token in it.
fn ready(file: &[u8], token: &str) -> Vec<Bytes> {
    let head = format!("{{\"access_token\":\"{token}\",");
    let (mut rest, mut bodies) = (file, Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (request, behind) = behind.split_at(usize::try_from(u32::from_le_bytes(*length)).unwrap());
        bodies.push([head.as_bytes(), &request[1..]].concat().into());
        rest = behind;
    }
    bodies
}

/// The client is built without a provider of its own; plain HTTP uses none of it.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
