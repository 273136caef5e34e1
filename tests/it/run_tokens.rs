//! Real workers of one group that share a token: one fetch at the sandbox, whoever comes and goes.

use std::process::Command;
use std::time::Duration;

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::sandbox::{Sandbox, SandboxOptions};

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;
use crate::support::running::Running;
use crate::tokens_shared::records;

fn is_ready(site: &Site) -> bool {
    site.get("/readyz").is_some_and(|(status, _)| status == 200)
}

fn spawn(site: &Site, group: &str) -> Running {
    let group = format!("kafka.group_id={group}");
    site.spawn(&["--set", &group, "--set", "douyin.share_tokens=true"])
}

#[test]
fn real_kafka_workers_of_one_group_fetch_one_token_between_them() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("tokens", 2, &[]);
    let group = RealKafka::name("token-group");
    let sandbox = sandbox(Duration::ZERO);
    let issued = || sandbox.report().tokens_issued.values().sum::<u64>();
    // A killed member is waited for as long as its session lasts.
    let short = "properties = { \"session.timeout.ms\" = 6000 }";
    let sites: Vec<Site> = (0..2).map(|_| Site::with(&kafka.brokers, &topic, &sandbox.base_url(), short)).collect();
    let mut workers: Vec<Running> = sites.iter().map(|site| spawn(site, &group)).collect();
    eventually("both have a token", || sites.iter().all(is_ready));
    assert_eq!(issued(), 1, "one fetched for both");
    let pushes = u64::try_from(produce(kafka, &topic, 50)).unwrap();
    eventually("everything is pushed", || sandbox.report().applied == pushes);
    // Killed and started again: the token is still there.
    workers[0].kill().unwrap();
    workers[0].wait().unwrap();
    workers[0] = spawn(&sites[0], &group);
    eventually("it has taken the token over", || {
        sites[0].log().matches("took over an access token from the group").count() > 0 && is_ready(&sites[0])
    });
    assert_eq!(issued(), 1);
    let checked = Command::new(env!("CARGO_BIN_EXE_order-sync"))
        .args(["check", "--set", &format!("kafka.group_id={group}"), "--set", "douyin.share_tokens=true"])
        .args(["--set", "store.path=/nowhere/order-sync", "--config"])
        .arg(sites[0].config_file())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(told.contains(&format!("token topic {group}.tokens is there")), "{told}");
    for worker in &mut workers {
        assert_eq!(terminate(worker), Some(0));
    }
    for site in &sites {
        let log = site.log();
        assert!(!log.contains("0801") && !log.contains("canary"), "{log}");
    }
    assert_eq!(sandbox.report().violations_total, 0);
}

/// Whoever may write to the token topic can append what lies there already: it is told once, and believed by nobody.
#[test]
fn real_kafka_an_old_token_that_is_appended_again_is_told_once_and_believed_by_nobody() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("tokens-again", 1, &[]);
    let group = RealKafka::name("token-again");
    // It is renewed when half of it is over.
    let options = SandboxOptions { token_lifetime: Duration::from_secs(20), ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).unwrap();
    let issued = || sandbox.report().tokens_issued.values().sum::<u64>();
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), "");
    let mut worker = spawn(&site, &group);
    eventually("it has a token", || is_ready(&site));
    let tokens = format!("{group}.tokens");
    let is_token = |(key, _): &(String, Vec<u8>)| key.ends_with("/token");
    let (key, old) = records(&kafka.brokers, &tokens).into_iter().find(is_token).unwrap();
    eventually("it has another one", || {
        issued() == 2 && records(&kafka.brokers, &tokens).iter().filter(|r| is_token(r)).count() == 2
    });
    let producer = Producer::connect(&kafka.brokers).unwrap();
    for _ in 0..3 {
        let copy = Outgoing { partition: Some(0), key: Some(key.as_bytes()), value: Some(&old), ..Outgoing::default() };
        producer.send(&tokens, copy).unwrap();
    }
    producer.flush().unwrap();
    eventually("it has the next one", || issued() == 3);
    let log = site.log();
    assert_eq!(log.matches("passed over a shared token").count(), 1, "{log}");
    assert_eq!(log.matches("took over an access token").count(), 0, "{log}");
    assert_eq!(terminate(&mut worker), Some(0));
}
