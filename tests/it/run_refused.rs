//! Starts that are refused with words, on brokers that lack what commits by transactions need.

use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::run::{Site, sandbox};
use crate::support::kafka::eventually;

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// `run` ends with 7 and says so; nothing is made, and no group is joined.
fn refused(brokers: &str, reason: &str) {
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(brokers, "orders", &sandbox.base_url());
    let mut worker = site.spawn(&[]);
    eventually("the worker ends", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(7), "{}", site.log());
    let log = site.log();
    assert!(log.contains(reason) && log.contains("set kafka.exactly_once = false and run one worker"), "{log}");
    assert!(!log.contains("created") && !log.contains("assigned a partition"), "{log}");
}

fn cluster() -> Cluster {
    let cluster: Cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    cluster
}

#[test]
fn brokers_without_transactions_are_refused_at_the_start() {
    let cluster = cluster();
    cluster.apiversion(RDKafkaApiKey::InitProducerId, None, None).unwrap();
    refused(&cluster.bootstrap_servers(), "the brokers know no transactions");
}

#[test]
fn a_user_without_the_right_to_transactions_is_refused_at_the_start() {
    let cluster = cluster();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[error; 8]);
    refused(
        &cluster.bootstrap_servers(),
        "grant this user Write and Describe on the transactional ids that begin with",
    );
}

/// As after `order-sync run 2>&1 | head -1`, or where the collector of logs has died.
#[test]
fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let (cluster, sandbox) = (cluster(), sandbox(Duration::ZERO));
    cluster.apiversion(RDKafkaApiKey::InitProducerId, None, None).unwrap();
    let site = Site::new(&cluster.bootstrap_servers(), "orders", &sandbox.base_url());
    let mut worker = Command::new(env!("CARGO_BIN_EXE_order-sync"))
        .args(["run", "--set", "log.level=debug", "--config"])
        .arg(site.config_file())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(worker.stderr.take());
    eventually("the worker ends", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(7), "by its own reason");
}
