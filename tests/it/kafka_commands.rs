//! The reader of commands over librdkafka's mock cluster.

use std::sync::{Arc, Mutex};

use order_sync::kafka::commands::CommandsTopic;
use order_sync::kafka::embedded::EmbeddedBroker;
use order_sync::kafka::status::Status;
use order_sync::store::MemoryStore;
use order_sync::sync::command_ports::{CommandFeed as _, CommandNews};
use order_sync::sync::ports::{Closed, Epoch, Inbox, Input};

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
