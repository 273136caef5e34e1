use std::sync::Mutex;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::*;
use crate::kafka::client::tests::{eventually, settings};
use crate::kafka::embedded::EmbeddedBroker;
use crate::kafka::producer::{Outgoing, Producer};
use crate::record::{RecordOffset, TopicPartition};
use crate::store::MemoryStore;
use crate::sync::command::{Action, Command, Read};
use crate::sync::command_ports::{CommandFeed as _, CommandNews};
use crate::sync::ports::{Closed, Epoch, Input};

/// The commands that the engine was told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Inbox for Told {
    fn send(&self, input: Input) -> Result<(), Closed> {
        if let Input::Commands(told) = input
            && let CommandNews::Command(incoming, _) = told.news
            && let Read::Command(command) = incoming.read
        {
            self.0.lock().unwrap().push(command.id.to_string());
        }
        Ok(())
    }
}

/// A command for a source partition, as it is written.
fn write(producer: &Producer, source: &TopicPartition, id: &str) {
    let action = Action::Fold { offset: RecordOffset::new(0) };
    let command = Command { id: id.into(), source: source.clone(), action, who: "a".into(), why: "b".into(), at_ms: 1 };
    let (partition, value) = (Some(source.partition), command.encode().unwrap());
    let record = Outgoing { partition, key: Some(id.as_bytes()), value: Some(&value), ..Outgoing::default() };
    producer.send("group.commands", record).unwrap();
    producer.flush().unwrap();
}

/// One command fills it, and its turn does not come, as nobody knows the original record: the reader hears from its brokers all
/// the same, and goes on where it stood.
#[test]
fn a_reader_without_room_whose_question_fails_still_hears_from_its_brokers() {
    let broker = EmbeddedBroker::start(&[("group.commands", 1)]).unwrap();
    let producer = Producer::connect(broker.brokers()).unwrap();
    let source = TopicPartition::new("orders", 0);
    let ids = ["first", "second", "third"];
    for id in ids {
        write(&producer, &source, id);
    }
    let (config, told, status) = (settings(broker.brokers()), Arc::new(Told::default()), Status::new());
    let (store, inbox) = (Arc::new(MemoryStore::new()), Arc::clone(&told) as Arc<dyn Inbox>);
    let reader = CommandsTopic::start_with(&config, store, inbox, status.clone(), 1).unwrap();
    reader.feed().follow(Epoch(1), &source, None);
    let says = |what: &str| status.problems().iter().any(|words| words.starts_with(what));
    eventually("the question fails", || says("cannot read orders/0 at offset 0: "));
    broker.down().unwrap();
    eventually("the brokers are away", || says("cannot read group.commands: "));
    broker.up().unwrap();
    broker.create_topic("orders", 1).unwrap();
    eventually("every command is told", || told.0.lock().unwrap().len() == ids.len());
    assert_eq!(*told.0.lock().unwrap(), ids);
}

/// One partition has no leader, and its questions fail; whoever comes with it or behind it is told of what is asked of him.
#[test]
fn a_partition_that_finds_no_place_holds_up_nobody_behind_it() {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    for topic in ["orders", "group.commands"] {
        cluster.create_topic(topic, 3, 1).unwrap();
    }
    let producer = Producer::connect(&cluster.bootstrap_servers()).unwrap();
    let [away, beside, behind] = [0, 1, 2].map(|partition| TopicPartition::new("orders", partition));
    for source in [&away, &beside, &behind] {
        write(&producer, source, &source.to_string());
        let original = Outgoing { partition: Some(source.partition), value: Some(b"x"), ..Outgoing::default() };
        producer.send("orders", original).unwrap();
    }
    producer.flush().unwrap();
    cluster.partition_leader("group.commands", 0, None).unwrap();

    let (config, told, status) = (settings(&cluster.bootstrap_servers()), Arc::new(Told::default()), Status::new());
    let (store, inbox) = (Arc::new(MemoryStore::new()), Arc::clone(&told) as Arc<dyn Inbox>);
    let reader = CommandsTopic::start(&config, store, inbox, status.clone()).unwrap();
    let is_told = |source: &TopicPartition| told.0.lock().unwrap().contains(&source.to_string());
    let waits = "the commands for orders/0 wait: cannot ask how far group.commands/0 reaches: ";
    let says = || status.problems().iter().any(|words| words.starts_with(waits));
    for source in [&away, &beside] {
        reader.feed().follow(Epoch(1), source, None);
    }
    eventually("one that came with it is told", || is_told(&beside));
    eventually("what waits is said", says);
    reader.feed().follow(Epoch(1), &behind, None);
    eventually("one behind it is told", || is_told(&behind));
    assert!(says() && !is_told(&away), "{:?}", status.problems());
    cluster.partition_leader("group.commands", 0, Some(1)).unwrap();
    eventually("its own time comes", || is_told(&away));
    eventually("no problem", || status.problems().is_empty());
}
