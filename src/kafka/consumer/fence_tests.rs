//! The fence of a member that the coordinator has dropped, on librdkafka's mock cluster.

use std::time::Instant;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use secrecy::SecretString;

use super::*;
use crate::kafka::chatter::Chatter;
use crate::kafka::client::{self, tests::settings};
use crate::kafka::consumer::context::GroupContext;
use crate::kafka::status::Status;
use crate::sync::intake::IntakeBudget;
use crate::sync::ports::{Closed, Inbox, Input};

/// An engine that listens to nothing.
struct Deaf;

impl Inbox for Deaf {
    fn send(&self, _input: Input) -> Result<(), Closed> {
        Ok(())
    }
}

fn worker(brokers: &str) -> Worker {
    let mut config = settings(brokers);
    config.properties.insert("heartbeat.interval.ms".to_owned(), SecretString::from("100".to_owned()));
    let (status, shared) = (Status::new(), Arc::new(Shared::new(&config)));
    let context = GroupContext::new(&config, Chatter::new(&config, status.clone()), Arc::clone(&shared));
    let consumer = Arc::new(client::member(&config).unwrap().create_with_context(context).unwrap());
    Worker::new(&config, consumer, shared, status, Arc::new(Deaf), Arc::new(IntakeBudget::new(1 << 20)))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Its partitions may be another's by now, and the broker would not look: what it is told then is of no generation.
#[test]
fn who_has_lost_the_assignment_takes_no_fence() {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let mut worker = worker(&cluster.bootstrap_servers());
    worker.consumer.subscribe(&["orders"]).unwrap();
    until("the group gives the partition", || worker.serve_group().is_ok() && !worker.partitions.is_empty());
    let source = TopicPartition::new("orders", 0);
    worker.partitions.insert(source.clone(), Stage::Restoring { epoch: Epoch(1) });
    let fence = worker.fence().expect("it is a member");
    assert_eq!(fence.owned, HashMap::from([(source, Epoch(1))]));

    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID; 8]);
    // The group's events wait meanwhile, as they do while this thread does something else.
    until("the coordinator has dropped it", || worker.consumer.assignment_lost());
    let (held, fence) = (worker.partitions.len(), worker.fence());
    // A consumer that nobody closes waits for an answer to its rebalance for ever.
    worker.leave();
    assert_eq!(held, 1, "it has not heard of it yet");
    assert!(fence.is_none());
}
