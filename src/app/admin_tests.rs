//! The admin HTTP over a socket.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Answers what the test last said.
#[derive(Default)]
struct Said {
    live: Mutex<Vec<String>>,
    ready: Mutex<Vec<String>>,
}

impl Health for Said {
    fn live(&self) -> Result<(), Vec<String>> {
        let reasons = self.live.lock().unwrap().clone();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        let reasons = self.ready.lock().unwrap().clone();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn circuits(&self) -> BTreeMap<String, &'static str> {
        BTreeMap::from([("tt1".to_owned(), "half-open")])
    }

    fn no_tokens(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("tt2".to_owned(), "no answer".to_owned())])
    }

    fn token_ages(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("tt1".to_owned(), 61)])
    }

    fn paused(&self) -> BTreeMap<String, usize> {
        BTreeMap::from([("tt2".to_owned(), 3)])
    }
}

struct Served {
    address: SocketAddr,
    meters: Meters,
    said: Arc<Said>,
    shutdown: CancellationToken,
    task: JoinSet<()>,
}

async fn serve() -> Served {
    let admin = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = admin.address();
    let (meters, said, shutdown) = (Meters::new(), Arc::new(Said::default()), CancellationToken::new());
    let health: Arc<dyn Health> = Arc::clone(&said) as _;
    let mut task = JoinSet::new();
    task.spawn(admin.serve(meters.clone(), health, shutdown.clone()));
    Served { address, meters, said, shutdown, task }
}

impl Served {
    async fn ask(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn check(&self, head: &str, status: &str, part: &str) {
        let answer = self.ask(head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        assert!(answer.contains(part), "{head}: {answer}");
    }
}

#[tokio::test]
async fn it_answers_probes_scrapers_and_people() {
    let served = serve().await;
    served.meters.in_flight(42);
    served.check("GET /metrics", "200", "order_sync_in_flight 42\n").await;
    served.check("GET /metrics", "200", "content-type: text/plain; version=0.0.4").await;
    served.check("GET /livez", "200", "{\"live\":true,\"reasons\":[]}").await;
    served
        .check(
            "GET /readyz?verbose",
            "200",
            "{\"circuits\":{\"tt1\":\"half-open\"},\"no_token\":{\"tt2\":\"no answer\"},\"paused\":{\"tt2\":3},\"ready\":true,\"reasons\":[],\"token_age_seconds\":{\"tt1\":61}}",
        )
        .await;
    served.check("GET /", "200", "/readyz").await;
    served.check("GET /orders", "404", "try /").await;
    served.check("POST /metrics", "405", "allow: GET, HEAD").await;
    served.check("HEAD /livez", "200", "content-type: application/json").await;

    served.said.ready.lock().unwrap().push("kafka: no broker answers".to_owned());
    served.check("GET /readyz", "503", "\"ready\":false,\"reasons\":[\"kafka: no broker answers\"],\"tok").await;
    served.check("GET /livez", "200", "true").await;
    served.said.live.lock().unwrap().push("no commit for 61 s".to_owned());
    served.check("GET /livez", "503", "no commit for 61 s").await;
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let served = serve().await;
    let error = Admin::bind(served.address).await.unwrap_err().to_string();
    assert!(error.contains(&served.address.to_string()) && error.contains("admin.listen"), "{error}");
}

#[tokio::test]
async fn shutdown_waits_for_no_idle_client() {
    let mut served = serve().await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    served.check("GET /", "200", "order-sync").await;
    let mut stuck = TcpStream::connect(served.address).await.unwrap();
    stuck.write_all(b"GET / HT").await.unwrap();
    served.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), served.task.join_next()).await.unwrap().unwrap().unwrap();
    let mut rest = Vec::new();
    drop(idle.read_to_end(&mut rest).await);
    assert!(rest.is_empty());
}

#[tokio::test]
async fn more_clients_than_slots_wait_their_turn() {
    let served = serve().await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    let answer = served.ask("GET /livez");
    let mut answer = std::pin::pin!(answer);
    let early = tokio::time::timeout(Duration::from_millis(200), answer.as_mut()).await;
    assert!(early.is_err(), "answered although every slot is taken");
    silent.clear();
    assert!(answer.await.starts_with("HTTP/1.1 200"));
}
