//! `check` and `run` against a real Kafka that wants TLS and a password, with the settings that users write.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

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
