use std::sync::Mutex;

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

/// One command fills it, and its turn does not come, as nobody knows the original record: the reader hears from its brokers all
/// the same, and goes on where it stood.
#[test]
fn a_reader_without_room_whose_question_fails_still_hears_from_its_brokers() {
    let broker = EmbeddedBroker::start(&[("group.commands", 1)]).unwrap();
    let producer = Producer::connect(broker.brokers()).unwrap();
    let source = TopicPartition::new("orders", 0);
    let ids = ["first", "second", "third"];
    for id in ids {
        let action = Action::Fold { offset: RecordOffset::new(0) };
        let command =
            Command { id: id.into(), source: source.clone(), action, who: "a".into(), why: "b".into(), at_ms: 1 };
        let (partition, value) = (Some(0), command.encode().unwrap());
        let record = Outgoing { partition, key: Some(id.as_bytes()), value: Some(&value), ..Outgoing::default() };
        producer.send("group.commands", record).unwrap();
    }
    producer.flush().unwrap();
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
