//! A bare reqwest loop and the HTTP edge against the same server: requests per second and CPU time per request.
//!
//! The server is this program again, as a child, so that its CPU time is not counted; `--url` takes another one, which
//! must hand out tokens. Other benches print their own figures as a ratio to the bare loop of the same run.
//!
//! `cargo bench --bench raw_loop -- [--requests N] [--in-flight C] [--latency-ms L] [--rounds R] [--workers W]
//! [--url BASE] [--only bare|edge]`; the best of R rounds counts, as other work on the machine only adds.
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run should say so at once")]
#![expect(clippy::disallowed_methods, reason = "a bare loop and a bare server: their peers are ours, and end with us")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use order_sync::config::{App, Douyin, GoodsEntryType, Secret, TicketLists, TokenKind};
use order_sync::douyin::OutcomeTable;
use order_sync::douyin::verdict::Exchange;
use order_sync::http::HttpEdge;
use order_sync::order::{AppId, OrderType, TimeUnit};
use order_sync::sync::ports::{AttemptStart, Attempts, Closed, Inbox, Input, Ticket, TokenGeneration};

const TOKEN: &[u8] = br#"{"err_no":0,"err_tips":"success","data":{"access_token":"0801121bench","expires_in":7200}}"#;
const PUSHED: &[u8] = br#"{"err_code":0,"err_msg":"","body":""}"#;

fn main() {
    let options = Options::read();
    if let Some(latency) = options.get("--serve") {
        return serve(Duration::from_millis(latency));
    }
    let (requests, in_flight) =
        (options.get("--requests").unwrap_or(200_000), options.get("--in-flight").unwrap_or(256));
    let (in_flight, latency) = (usize::try_from(in_flight).unwrap(), options.get("--latency-ms").unwrap_or(0));
    let (server, url) = match options.0.get("--url") {
        Some(url) => (None, url.clone()),
        None => spawn_server(latency),
    };
    let only = options.0.get("--only").map_or("", String::as_str);
    println!("{requests} requests, {in_flight} in flight, {latency} ms of latency");
    let workers = usize::try_from(options.get("--workers").unwrap_or(2)).unwrap();
    let rounds = options.get("--rounds").unwrap_or(3);
    let mut base = None;
    for (name, run) in SHAPES.iter().filter(|(name, _)| only.is_empty() || *name == only) {
        let round = |_| {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            run(&runtime.worker_threads(workers).enable_all().build().unwrap(), &url, requests, in_flight)
        };
        let best = (0..rounds).map(round).reduce(Figures::best).unwrap();
        println!("{name:>6}: {:>7.0}/s, {:>5.1} us of CPU per request", best.per_second, best.cpu_us);
        if let Some(base) = base.replace(best.cpu_us) {
            println!("        {:.2} times the CPU of the line above", best.cpu_us / base);
        }
    }
    if let Some(mut server) = server {
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

type Run = fn(&tokio::runtime::Runtime, &str, u64, usize) -> Figures;
const SHAPES: &[(&str, Run)] = &[("bare", bare), ("edge", edge)];

#[derive(Clone, Copy)]
struct Figures {
    per_second: f64,
    cpu_us: f64,
}

impl Figures {
    fn best(self, other: Self) -> Self {
        Self { per_second: self.per_second.max(other.per_second), cpu_us: self.cpu_us.min(other.cpu_us) }
    }
}

/// Runs `work` for `requests` requests and reads both clocks around it.
fn measure(requests: u64, work: impl FnOnce()) -> Figures {
    let (cpu, clock) = (cpu_time(), Instant::now());
    work();
    let (cpu, clock) = (cpu_time().saturating_sub(cpu), clock.elapsed());
    let requests = f64::from(u32::try_from(requests).unwrap());
    Figures { per_second: requests / clock.as_secs_f64(), cpu_us: cpu.as_secs_f64() * 1e6 / requests }
}

/// User and system time of this process so far, by /proc; a tick is 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// A request of an ordinary order's size (about 800 bytes), without the token.
fn request() -> Bytes {
    let detail = format!("{{\\\"order_id\\\":\\\"D1\\\",\\\"title\\\":\\\"{}\\\"}}", "x".repeat(600));
    let head = r#"{"app_name":"douyin","open_id":"_000bench","update_time":1694761400,"order_type":0,"order_status":1"#;
    format!(r#"{head},"order_detail":"{detail}"}}"#).into()
}

/// `in_flight` tasks, each posting the same bytes one after another: nothing but reqwest.
fn bare(runtime: &tokio::runtime::Runtime, url: &str, requests: u64, in_flight: usize) -> Figures {
    let client = reqwest::Client::builder().no_proxy().http1_only().pool_max_idle_per_host(in_flight);
    let client = client.tls_backend_preconfigured(no_tls()).build().unwrap();
    let body: Bytes = [br#"{"access_token":"0801121bench","#.as_slice(), &request()[1..]].concat().into();
    let url = reqwest::Url::parse(&format!("{url}/api/apps/order/v2/push")).unwrap();
    let loops = |count: u64| {
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for lane in 0..in_flight as u64 {
                let (client, body, url) = (client.clone(), body.clone(), url.clone());
                let share = count / in_flight as u64 + u64::from(lane < count % in_flight as u64);
                tasks.spawn(async move {
                    for _ in 0..share {
                        let post = client.post(url.clone()).header("content-type", "application/json");
                        let answer = post.body(body.clone()).send().await.unwrap().bytes().await.unwrap();
                        assert_eq!(answer.first(), Some(&b'{'));
                    }
                });
            }
            tasks.join_all().await;
        });
    };
    loops(in_flight as u64 * 4);
    measure(requests, || loops(requests))
}

/// The client is built without a provider of its own; plain HTTP uses none of it.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

struct Queue(SyncSender<Input>);

impl Inbox for Queue {
    fn send(&self, input: Input) -> Result<(), Closed> {
        self.0.send(input).map_err(|_| Closed)
    }
}

/// The same through the edge: this thread stands for the engine and keeps `in_flight` attempts going.
fn edge(runtime: &tokio::runtime::Runtime, url: &str, requests: u64, in_flight: usize) -> Figures {
    let (sender, inputs) = sync_channel(in_flight * 2);
    let app = AppId::new("ttbench");
    let apps = [App {
        app_id: app.clone(),
        secret: Secret::Inline("bench".into()),
        client_key: None,
        order_types: OrderType::ALL.to_vec(),
        update_time_unit: TimeUnit::Seconds,
    }];
    let table = Arc::new(OutcomeTable::built_in().unwrap());
    let inbox = Arc::new(Queue(sender));
    let mut edge = HttpEdge::new(&douyin(url), &apps, in_flight, table, runtime.handle().clone(), inbox).unwrap();
    edge.fetch_token(&app, TokenGeneration(0));
    assert!(matches!(inputs.recv().unwrap(), Input::TokenFetched { .. }));
    drive(&mut edge, &inputs, &app, in_flight as u64 * 4, in_flight);
    measure(requests, || drive(&mut edge, &inputs, &app, requests, in_flight))
}

fn drive(edge: &mut HttpEdge, inputs: &Receiver<Input>, app: &AppId, requests: u64, in_flight: usize) {
    let request = request();
    let mut start = |ticket| {
        edge.start(AttemptStart { ticket: Ticket(ticket), app_id: app.clone(), request: request.clone() });
    };
    let mut started = requests.min(in_flight as u64);
    (0..started).for_each(&mut start);
    for _ in 0..requests {
        let Input::Attempted { exchange: Exchange::Answered(answer), .. } = inputs.recv().unwrap() else {
            panic!("an attempt without an answer")
        };
        assert_eq!(answer.status, 200);
        if started < requests {
            start(started);
            started += 1;
        }
    }
}

fn douyin(url: &str) -> Douyin {
    Douyin {
        base_url: url.to_owned(),
        open_base_url: url.to_owned(),
        request_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(3),
        token: TokenKind::AccessToken,
        token_url: None,
        token_file: None,
        share_tokens: false,
        proxy: None,
        ca_file: None,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
        error_codes: Vec::new(),
    }
}

struct Options(BTreeMap<String, String>);

impl Options {
    /// `--key value` pairs; cargo's own `--bench` is skipped.
    fn read() -> Self {
        let mut options = BTreeMap::new();
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let (Some(key), Some(value)) = (args.next(), args.next()) {
            options.insert(key, value);
        }
        Self(options)
    }

    fn get(&self, key: &str) -> Option<u64> {
        self.0.get(key).map(|value| value.parse().unwrap())
    }
}

fn spawn_server(latency_ms: u64) -> (Option<Child>, String) {
    let program = std::env::current_exe().unwrap();
    let mut server = Command::new(program);
    server.args(["--serve", &latency_ms.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = server.spawn().unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (Some(server), format!("http://{}", address.trim()))
}

/// Says its address, then answers every push with success after `latency`, until its parent is gone.
fn serve(latency: Duration) {
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let service = service_fn(move |request| answer(request, latency));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
}

async fn answer(
    request: hyper::Request<Incoming>,
    latency: Duration,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let is_token = request.uri().path().ends_with("/token");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{"));
    if !latency.is_zero() && !is_token {
        tokio::time::sleep(latency).await;
    }
    Ok(hyper::Response::new(Full::from(if is_token { TOKEN } else { PUSHED })))
}
