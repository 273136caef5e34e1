//! `check` and `run` against a real Kafka that wants TLS and a password, with the settings that users write.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use order_sync::sandbox::SandboxHandle;

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;
use crate::support::running::Running;

const WRONG: &str = "canary-wrong-password";

/// The lines of `[kafka]` for this mechanism; without a password here, it comes from elsewhere.
fn lines(kafka: &RealKafka, mechanism: &str, password: Option<&str>) -> String {
    let password = password.map(|password| format!("sasl.password = \"{password}\"\n")).unwrap_or_default();
    format!(
        "[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\nsasl.mechanism = \"{mechanism}\"\n\
         sasl.username = \"order-sync\"\nssl.ca.location = \"{}\"\n{password}",
        kafka.secured.1
    )
}

/// Exit code and report of `order-sync check`.
fn check(config: &Path) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_order-sync")).args(["check", "--config"]).arg(config).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

/// Check says yes, and a batch is worked off.
fn works(kafka: &RealKafka, kafka_lines: &str) {
    let topic = kafka.topic("secured", 1, &[]);
    let pushes = u64::try_from(produce(kafka, &topic, 20)).unwrap();
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.secured.0, &topic, &sandbox.base_url(), kafka_lines);
    let (code, told) = check(&site.config_file());
    assert_eq!(code, 0, "{told}");
    assert!(told.contains(&format!("ok       kafka: source topic {topic} has 1 partitions")), "{told}");
    let mut worker = site.spawn(&["--until-caught-up"]);
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
    assert_eq!((sandbox.report().applied, sandbox.report().violations_total), (pushes, 0));
    assert!(!site.log().contains("right-password") && !told.contains("right-password"), "{}", site.log());
}

#[test]
fn real_kafka_plain_and_scram_over_tls_work_through_the_settings() {
    let Some(kafka) = RealKafka::secured() else { return };
    works(kafka, &lines(kafka, "PLAIN", Some("right-password")));
    works(kafka, &lines(kafka, "SCRAM-SHA-512", Some("right-password")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kafka.properties");
    std::fs::write(&file, "# not in the settings\nsasl.password=right-password\n").unwrap();
    let lines = lines(kafka, "SCRAM-SHA-256", None);
    works(kafka, &format!("properties_file = \"{}\"\n{lines}", file.display()));
}

/// Both commands name the reason and never the password; `run` waits, as somebody may put it right at the broker.
fn refused(kafka: &RealKafka, kafka_lines: &str, reason: &str) {
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.secured.0, "orders", &sandbox.base_url(), kafka_lines);
    let (code, told) = check(&site.config_file());
    assert_eq!(code, 7, "{told}");
    assert!(told.contains(reason) && told.contains("sasl.*"), "{told}");
    let mut worker = site.spawn(&[]);
    let mut ready = String::new();
    eventually("readiness has the reason", || {
        ready = site.get("/readyz").map(|(_, body)| body).unwrap_or_default();
        ready.contains(reason)
    });
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());
    assert!(site.log().contains(reason), "{}", site.log());
    for text in [told, ready, site.log()] {
        assert!(!text.contains(WRONG), "{text}");
    }
}

#[test]
fn real_kafka_a_wrong_password_is_said_and_never_shown() {
    let Some(kafka) = RealKafka::secured() else { return };
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        refused(kafka, &lines(kafka, mechanism, Some(WRONG)), "SASL authentication error: ");
    }
}

#[test]
fn real_kafka_a_certificate_that_nobody_trusts_is_said() {
    let Some(kafka) = RealKafka::secured() else { return };
    let lines = lines(kafka, "PLAIN", Some(WRONG));
    let trusting: Vec<&str> = lines.lines().filter(|line| !line.starts_with("ssl.ca.location")).collect();
    refused(kafka, &trusting.join("\n"), "ssl.ca.location");
}

/// A worker without a right that its commits need says which one, and of whom; with it, nothing was lost.
struct Rights {
    site: Site,
    sandbox: SandboxHandle,
    kafka: &'static RealKafka,
    topic: String,
    pushes: u64,
}

impl Rights {
    fn ends_with(&self, code: i32, mut worker: Running) {
        eventually("the worker ends", || worker.try_wait().unwrap().is_some());
        assert_eq!(worker.wait().unwrap().code(), Some(code), "{}", self.site.log());
    }

    /// A start without the right to write `own` ends with 7 before anything is pushed.
    fn start_is_refused(&self, own: &str) {
        let before = self.sandbox.report().received;
        self.kafka.acl("deny", own);
        self.ends_with(7, self.site.spawn(&["--until-caught-up"]));
        let words = format!(
            "the brokers deny User:order-sync the operation Write on topic {own}; nothing is lost. Grant Write and Describe"
        );
        assert!(self.site.log().contains(&words), "{}", self.site.log());
        assert_eq!(self.sandbox.report().received, before);
        let (code, told) = check(&self.site.config_file());
        assert!(code == 7 && told.contains(&words), "{code} {told}");
        self.kafka.acl("allow", own);
    }

    /// Everything arrives once.
    fn catches_up(&self) {
        self.ends_with(0, self.site.spawn(&["--until-caught-up"]));
        let report = self.sandbox.report();
        assert_eq!((report.applied, report.repeats, report.violations_total), (self.pushes, 0, 0));
    }

    fn produce(&mut self) {
        self.pushes = u64::try_from(produce(self.kafka, &self.topic, 60)).unwrap();
    }
}

fn rights(kafka: &'static RealKafka) -> Rights {
    let topic = kafka.topic("rights", 1, &[]);
    let sandbox = sandbox(Duration::ZERO);
    let kafka_lines = lines(kafka, "PLAIN", Some("right-password"));
    let site = Site::with(&kafka.secured.0, &topic, &sandbox.base_url(), &kafka_lines);
    let rights = Rights { site, sandbox, kafka, topic, pushes: 0 };
    // The first start makes the topics.
    rights.catches_up();
    rights
}

#[test]
fn real_kafka_a_start_without_the_right_to_write_its_topics_is_refused() {
    let Some(kafka) = RealKafka::secured() else { return };
    let mut rights = rights(kafka);
    let own = |what: &str| format!("{}.{what}", rights.site.group());
    let (changelog, letters) = (own("changelog"), own("dead-letters"));
    rights.produce();
    let written = |topic| kafka.count_uncommitted(topic);
    let before = written(&changelog);
    rights.start_is_refused(&changelog);
    rights.start_is_refused(&letters);
    assert_eq!((written(&changelog), written(&letters)), (before, 0), "asking leaves no record, aborted or not");
    rights.catches_up();
    assert_eq!(written(&letters), 0);
    let (code, told) = check(&rights.site.config_file());
    assert!(code == 0 && told.contains("changelog and dead letters may be written"), "{code} {told}");
}

#[test]
fn real_kafka_a_right_that_is_taken_away_is_waited_for_and_then_ends_the_worker() {
    let Some(kafka) = RealKafka::secured() else { return };
    let mut rights = rights(kafka);
    let changelog = format!("{}.changelog", rights.site.group());
    let worker = rights.site.spawn(&[]);
    eventually("it runs", || rights.site.get("/readyz").is_some_and(|(status, _)| status == 200));
    let before = rights.sandbox.report().received;
    kafka.acl("deny", &changelog);
    rights.produce();
    rights.ends_with(7, worker);
    let log = rights.site.log();
    let words = format!("the brokers deny User:order-sync the operation Write on topic {changelog} or ");
    assert!(log.matches(&words).count() > 1, "it tries again, and ends with the same words: {log}");
    assert!(!log.contains("Erroneous state"), "each failure says why: {log}");
    // One failure is nothing that a person has to see to; a row of them is.
    for (words, level) in [("a commit failed and is tried again", "WARN"), ("commits fail again and again", "ERROR")] {
        let mut told = log.lines().filter(|line| line.contains(words)).peekable();
        assert!(told.peek().is_some(), "{words}: {log}");
        assert!(told.all(|line| line.contains(&format!("\"level\":\"{level}\""))), "{words}: {log}");
    }
    assert_eq!(rights.sandbox.report().received, before, "nothing leaves before its commit");
    kafka.acl("allow", &changelog);
    rights.catches_up();
}
