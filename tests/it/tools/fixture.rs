//! A small world for the tools: a worker has run over a few orders, good and bad, and has ended.

use std::process::{Command, Output};

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::record::Header;
use order_sync::sandbox::{
    Fault, FaultKind, FaultRule, Faults, LogIds, Sandbox, SandboxHandle, SandboxOptions, Target,
};
use serde_json::json;

use crate::run::Site;
use crate::support::real_kafka::RealKafka;

/// Stands in every good event.
pub const OPEN_ID: &str = "_000canaryOPENIDcanary0042";
/// The app's secret of [`Site`].
pub const SECRET: &str = "canary-secret";
/// The order that the platform refuses.
pub const REFUSED: &str = "R-拒绝-1";

pub struct World {
    pub site: Site,
    pub topic: String,
    sandbox: SandboxHandle,
}

/// One event of an order.
pub fn event(order: &str, number: i64, status: &str) -> serde_json::Value {
    json!({
        "event_id": format!("{order}-{number}"), "order_id": order, "app_id": "tt1", "order_type": "normal",
        "status": status, "occurred_at": 1_760_000_000_000_i64 + number * 60_000,
        "order": {
            "open_id": OPEN_ID, "created_at": 1_760_000_000_000_i64, "total_price": 1990,
            "page": {"path": "pages/order", "params": {"id": order}},
            "items": [{"title": "红烧牛肉面", "image_url": "https://img.example/1.png", "price": 1990}],
        },
    })
}

/// What becomes a letter, and two orders that do not.
fn log() -> Vec<(Option<&'static str>, String, Vec<Header>)> {
    let header = |name: &str, value: &str| Header { name: name.to_owned(), value: Some(value.as_bytes().into()) };
    let mut incomplete = event("I-1", 0, "paid");
    incomplete["order"] = json!({"open_id": OPEN_ID});
    vec![
        (Some("G-1"), event("G-1", 0, "pending_payment").to_string(), vec![]),
        (Some("G-1"), event("G-1", 2, "paid").to_string(), vec![]),
        // Older than what was applied: stale.
        (Some("G-1"), event("G-1", 1, "cancelled").to_string(), vec![]),
        (Some("G-2"), event("G-2", 0, "paid").to_string(), vec![]),
        (Some("M-1"), format!(r#"{{"open_id":"{OPEN_ID}","#), vec![header("trace", "t-1")]),
        (Some("I-1"), incomplete.to_string(), vec![]),
        (Some(REFUSED), event(REFUSED, 0, "paid").to_string(), vec![header("trace", "t-2"), header("x-user", OPEN_ID)]),
    ]
}

impl World {
    /// Runs a worker over the log until it has caught up.
    pub fn new(kafka: &RealKafka, exactly_once: bool) -> Self {
        Self::with(kafka, &format!("exactly_once = {exactly_once}"))
    }

    /// The same with further lines of `[kafka]`.
    pub fn with(kafka: &RealKafka, lines: &str) -> Self {
        let topic = kafka.topic("tools", 1, &[]);
        let producer = Producer::connect(&kafka.brokers).unwrap();
        for (key, value, headers) in &log() {
            let key = key.map(str::as_bytes);
            let outgoing =
                Outgoing { partition: Some(0), key, value: Some(value.as_bytes()), headers, timestamp_ms: None };
            producer.send(&topic, outgoing).unwrap();
        }
        producer.flush().unwrap();
        let rule = FaultRule::new(Fault::refusing(FaultKind::Code(40003, None)), Target::Order(REFUSED.to_owned()));
        let faults = Faults { rules: vec![rule], ..Faults::default() };
        let options = SandboxOptions { faults, log_ids: LogIds::InExtra, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).unwrap();
        let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
        let world = Self { site, topic, sandbox };
        world.catch_up();
        world
    }

    /// The platform takes everything from now on, and the refused order has a newer event: a worker delivers it.
    pub fn heal(&self, kafka: &RealKafka) {
        self.mend();
        self.goes_on(kafka, &[(REFUSED, event(REFUSED, 3, "redeemed"))]);
    }

    /// The platform takes everything from now on.
    pub fn mend(&self) {
        self.sandbox.set_faults(Faults::default());
    }

    /// The platform.
    pub fn sandbox(&self) -> &SandboxHandle {
        &self.sandbox
    }

    /// The stamp of what the platform holds of an order.
    pub fn held(&self, order: &str) -> Option<i64> {
        self.sandbox.order("tt1", order)?.stamp
    }

    /// Whether the platform shows `text` for an order.
    pub fn shows(&self, order: &str, text: &str) -> bool {
        let order = self.sandbox.order("tt1", order).unwrap();
        String::from_utf8_lossy(&order.body).contains(text)
    }

    /// All pushes of an order that the platform ever received.
    pub fn pushes(&self, order: &str) -> u64 {
        self.sandbox.order("tt1", order).map_or(0, |order| order.received)
    }

    /// Further events come.
    pub fn send(&self, kafka: &RealKafka, events: &[(&str, serde_json::Value)]) {
        Self::send_to(kafka, &self.topic, events);
    }

    /// The same of another topic.
    pub fn send_to(kafka: &RealKafka, topic: &str, events: &[(&str, serde_json::Value)]) {
        let producer = Producer::connect(&kafka.brokers).unwrap();
        for (order, event) in events {
            let value = event.to_string();
            let (key, value) = (Some(order.as_bytes()), Some(value.as_bytes()));
            let outgoing = Outgoing { partition: Some(0), key, value, ..Outgoing::default() };
            producer.send(topic, outgoing).unwrap();
        }
        producer.flush().unwrap();
    }

    /// Further events come, and a worker folds them.
    pub fn goes_on(&self, kafka: &RealKafka, events: &[(&str, serde_json::Value)]) {
        self.send(kafka, events);
        self.catch_up();
    }

    /// Runs a worker until it has caught up.
    pub fn catch_up(&self) {
        self.catch_up_with(&[]);
    }

    /// The same with further words.
    pub fn catch_up_with(&self, args: &[&str]) {
        assert_eq!(self.site.run(&[&["--until-caught-up"], args].concat()), Some(0), "{}", self.site.log());
    }

    /// Runs a command of the binary with the world's settings.
    pub fn run(&self, args: &[&str]) -> Told {
        Told::of(self.command(args).output().unwrap())
    }

    /// `verify` has nothing to say against what workers and operators have done.
    pub fn is_accounted_for(&self) {
        let told = self.run(&["verify"]);
        assert!(told.code == Some(0) && told.out.contains("every offset is accounted for"), "{told:?}");
    }

    /// Runs a command that must end with this code, say all of these words, and print nothing else.
    pub fn check_refused(&self, args: &[&str], code: i32, words: &[&str]) {
        let told = self.run(args);
        assert_eq!((told.code, told.out.as_str()), (Some(code), ""), "{told:?}");
        assert!(words.iter().all(|words| told.err.contains(words)), "{words:?}: {}", told.err);
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        command.args(args).arg("--config").arg(self.site.config_file());
        command
    }

    /// The text without what differs from run to run: names, times, latencies.
    pub fn steady(&self, text: &str) -> String {
        let text = text.replace(&self.topic, "orders").replace(self.site.group(), "group");
        let words = text.split_inclusive([' ', '"', '\n']).map(|word| {
            let bare = word.trim_end_matches([' ', '"', '\n', ',']);
            let rest = &word[bare.len()..];
            let of_run = |prefix: &str| bare.starts_with(prefix);
            if of_run("2026-") || of_run("2027-") {
                format!("(time){rest}")
            } else if bare.ends_with("ms") && bare.trim_end_matches("ms").parse::<u32>().is_ok() {
                format!("(latency){rest}")
            } else if bare.len() == 8 && bare.matches(':').count() == 2 {
                format!("(clock){rest}")
            } else {
                word.to_owned()
            }
        });
        words.collect::<String>().lines().map(narrow).collect::<Vec<_>>().join("\n")
    }
}

/// Columns are as wide as names that differ from run to run: of their gaps two spaces stay. What is indented stays so.
fn narrow(line: &str) -> String {
    let text = line.trim_start();
    let words: Vec<&str> = text.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    format!("{}{}", &line[..line.len() - text.len()], words.join("  "))
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Told {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// It went well; what it printed.
    pub fn out(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    pub fn lines(self) -> Vec<serde_json::Value> {
        self.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Nothing of it says who a customer is, or a secret.
pub fn assert_silent(text: &str) {
    for canary in [OPEN_ID, SECRET, "access_token\":\""] {
        assert!(!text.contains(canary), "{canary} in:\n{text}");
    }
}
