//! The reader of commands over librdkafka's mock cluster.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use order_sync::kafka::commands::CommandsTopic;
use order_sync::kafka::embedded::EmbeddedBroker;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::kafka::status::Status;
use order_sync::order::{AppId, Identity, OrderState};
use order_sync::record::{NextOffset, RecordOffset, TopicPartition};
use order_sync::store::MemoryStore;
use order_sync::sync::changelog::LetterStatus;
use order_sync::sync::command::{Action, Command, CommandDone, Read};
use order_sync::sync::command_ports::{CommandFeed as _, CommandNews};
use order_sync::sync::ports::{Closed, Epoch, Inbox, Input, OwedEntry, PortError, Position, StateReader};
use order_sync::sync::statuses::OpenLetters;
use order_sync::sync::{Owed, OwedKey};

use crate::support::kafka::{at, eventually, settings};

/// How far the commands were told to be read, each time that it was told.
#[derive(Default)]
struct Told(Mutex<Vec<i64>>);

impl Inbox for Told {
    fn send(&self, input: Input) -> Result<(), Closed> {
        if let Input::Commands(told) = input
            && let CommandNews::ReadTo(next) = told.news
        {
            self.0.lock().unwrap().push(next.get());
        }
        Ok(())
    }
}

/// At the end of the topic nothing else would say so: no command comes.
#[test]
fn a_reader_whose_broker_is_back_can_read_again() {
    let broker = EmbeddedBroker::start(&[("shop.commands", 1)]).unwrap();
    let config = settings(broker.brokers(), "shop", &["orders"]);
    let (status, told) = (Status::new(), Arc::new(Told::default()));
    let inbox = Arc::clone(&told) as Arc<dyn Inbox>;
    let reader = CommandsTopic::start(&config, Arc::new(MemoryStore::new()), inbox, status.clone()).unwrap();
    reader.feed().follow(Epoch(1), &at("orders", 0), None);
    eventually("the end is told", || *told.0.lock().unwrap() == [0]);
    assert_eq!(status.problems(), [""; 0]);

    broker.down().unwrap();
    eventually("that it cannot read", || {
        status.problems().iter().any(|words| words.starts_with("cannot read shop.commands: "))
    });
    broker.up().unwrap();
    eventually("that it can", || status.problems().is_empty());
    assert_eq!(*told.0.lock().unwrap(), [0], "nothing has come");
}

/// An engine that takes nothing while somebody has its door, and notes the commands that it was told.
#[derive(Default)]
struct Engine {
    callers: AtomicUsize,
    door: Mutex<()>,
    told: Mutex<Vec<(TopicPartition, String)>>,
}

impl Inbox for Engine {
    fn send(&self, input: Input) -> Result<(), Closed> {
        self.callers.fetch_add(1, Ordering::SeqCst);
        drop(self.door.lock().unwrap());
        if let Input::Commands(told) = input
            && let CommandNews::Command(incoming, _) = told.news
            && let Read::Command(command) = incoming.read
        {
            self.told.lock().unwrap().push((told.source, command.id.to_string()));
        }
        Ok(())
    }
}

impl Engine {
    fn was_told(&self, source: &TopicPartition, id: &str) -> bool {
        self.told.lock().unwrap().iter().any(|(about, told)| (about, told.as_str()) == (source, id))
    }
}

/// A store that does not say which commands were executed.
struct Silent;

impl StateReader for Silent {
    fn position(&self, _: &TopicPartition) -> Result<Option<Position>, PortError> {
        unreachable!()
    }

    fn state(&self, _: &TopicPartition, _: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        unreachable!()
    }

    fn scan_owed(&self, _: &TopicPartition, _: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError> {
        unreachable!()
    }

    fn owed(&self, _: &TopicPartition, _: &OwedKey) -> Result<Option<Owed>, PortError> {
        unreachable!()
    }

    fn letter(&self, _: &TopicPartition, _: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
        unreachable!()
    }

    fn open_letters(&self, _: &TopicPartition, _: &Identity) -> Result<OpenLetters, PortError> {
        unreachable!()
    }

    fn open_letter_count(&self, _: &TopicPartition) -> Result<u64, PortError> {
        unreachable!()
    }

    fn command(&self, _: &TopicPartition, _: &str) -> Result<Option<CommandDone>, PortError> {
        Err(PortError::Passing("the store does not answer".to_owned()))
    }
}

/// Several source topics share the commands topic. What was placed before another's question failed is read from its own place,
/// and not from where the reader stands for the rest.
#[test]
fn a_partition_whose_neighbour_finds_no_place_misses_no_command() {
    let broker = EmbeddedBroker::start(&[("shop.commands", 1)]).unwrap();
    let (orders, refunds, returns) = (at("orders", 0), at("refunds", 0), at("returns", 0));
    let producer = Producer::connect(broker.brokers()).unwrap();
    let give = |source: &TopicPartition, id: &str| {
        let action = Action::Pause { app_id: AppId::new("tt1") };
        let command =
            Command { id: id.into(), source: source.clone(), action, who: "a".into(), why: "b".into(), at_ms: 1 };
        let (partition, value) = (Some(0), command.encode().unwrap());
        let record = Outgoing { partition, key: Some(id.as_bytes()), value: Some(&value), ..Outgoing::default() };
        producer.send("shop.commands", record).unwrap();
        producer.flush().unwrap();
    };
    give(&refunds, "first");
    give(&returns, "second");
    give(&orders, "third");
    let config = settings(broker.brokers(), "shop", &["orders", "refunds", "returns"]);
    let (engine, status) = (Arc::new(Engine::default()), Status::new());
    let inbox = Arc::clone(&engine) as Arc<dyn Inbox>;
    let reader = CommandsTopic::start(&config, Arc::new(Silent), inbox, status.clone()).unwrap();
    reader.feed().follow(Epoch(1), &orders, None);
    eventually("the reader is at the end", || engine.was_told(&orders, "third"));

    let door = engine.door.lock().unwrap();
    let callers = engine.callers.load(Ordering::SeqCst);
    give(&orders, "fourth");
    eventually("the reader waits", || engine.callers.load(Ordering::SeqCst) > callers);
    reader.feed().follow(Epoch(1), &refunds, None);
    reader.feed().follow(Epoch(1), &returns, Some(NextOffset::new(2)));
    drop(door);
    eventually("one has no place", || !status.problems().is_empty());
    give(&orders, "fifth");
    eventually("the reader goes on", || engine.was_told(&orders, "fifth"));
    eventually("nothing is left out", || engine.was_told(&refunds, "first"));
    assert!(!engine.was_told(&returns, "second"));

    // Nor does it keep those from a place who come later.
    let swaps = at("swaps", 0);
    give(&swaps, "sixth");
    reader.feed().follow(Epoch(1), &swaps, None);
    eventually("one that came later has its place", || engine.was_told(&swaps, "sixth"));
    assert!(!status.problems().is_empty(), "the other's question fails still");
}
