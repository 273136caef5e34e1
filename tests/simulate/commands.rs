//! The commands topic as a worker reads it: its followers are the library's own, its records come in made-up order.

use order_sync::order::AppId;
use order_sync::record::TopicPartition;
use order_sync::record::{NextOffset, RecordOffset};
use order_sync::sync::command::{Action, Command, Read};
use order_sync::sync::command_ports::{CommandInput, CommandNews, Incoming};
use order_sync::sync::followers::Ahead;
use order_sync::sync::ports::{Epoch, Input};

use super::life::Life;
use super::plant::Plant;
use super::ports::{number, record, source};
use super::script;

/// What the engine asks of the reader.
pub(crate) enum Ask {
    Follow(Epoch, TopicPartition, Option<NextOffset>),
    Leave(TopicPartition),
}

/// The command as an operator gives it.
pub(crate) fn command_of(partition: usize, id: &str, command: &script::Command) -> Command {
    let (app_id, at) = (AppId::new("tt1"), |offset: i64| RecordOffset::new(offset));
    let mut at_ms = 1_700_000_000_000;
    let action = match command {
        script::Command::Redrive(offset) => Action::Redrive { offset: at(*offset), letter: None },
        script::Command::Fold(offset) => Action::Fold { offset: at(*offset) },
        script::Command::Discard(offset) => Action::Discard { offset: at(*offset) },
        script::Command::Resync(order, time) => {
            at_ms = *time;
            Action::Resync { app_id, order_id: order.as_str().into() }
        }
        script::Command::Pause => Action::Pause { app_id },
        script::Command::Resume => Action::Resume { app_id },
    };
    Command { id: id.into(), source: source(partition), action, who: "a".into(), why: "".into(), at_ms }
}

impl Life {
    /// Commands come in, as far as they are given, some in their turn and some ahead.
    pub(crate) fn read_commands(&mut self, given: &[usize]) {
        let asks = std::mem::take(&mut self.asked.lock().unwrap().commands);
        for ask in asks {
            match ask {
                Ask::Follow(epoch, source, from) => {
                    let from = from.unwrap_or(NextOffset::new(0));
                    self.followers.follow(epoch, &source, from);
                    let end = NextOffset::new(i64::try_from(given[number(&source)]).unwrap());
                    self.tell(Input::Commands(CommandInput { epoch, source, news: CommandNews::Followed(end) }));
                }
                Ask::Leave(source) => self.followers.leave(&source),
            }
        }
        let (mut rng, script) = {
            let mut kafka = self.wire.kafka();
            (kafka.rng.fork(), std::sync::Arc::clone(&kafka.audit.script))
        };
        for (partition, place) in self.followers.places() {
            let partition = usize::try_from(partition).unwrap();
            for offset in usize::try_from(place.get()).unwrap()..given[partition] {
                if rng.bool() {
                    break;
                }
                let (id, command) = &script[partition].commands[offset];
                let at = RecordOffset::new(i64::try_from(offset).unwrap());
                self.take(partition, at, &Read::Command(command_of(partition, id, command)));
            }
        }
        while rng.u8(..3) > 0 && self.take_turn() {}
    }

    fn take(&mut self, partition: usize, offset: RecordOffset, read: &Read) {
        for Ahead { epoch, source, read, told } in self.followers.take(i32::try_from(partition).unwrap(), offset, read)
        {
            // A bug: what waits its turn counts as told.
            let told = if self.wire.plant == Plant::CommandsPassed { offset.next() } else { told };
            let incoming = Box::new(Incoming { offset, read, original: None, request: None });
            self.tell(Input::Commands(CommandInput { epoch, source, news: CommandNews::Command(incoming, told) }));
        }
    }

    fn take_turn(&mut self) -> bool {
        let Some(turn) = self.followers.next_turn() else { return false };
        let Some(told) = self.followers.told(&turn) else { return false };
        let source = turn.command.source.clone();
        let original = turn.command.action.offset().and_then(|offset| {
            let kafka = self.wire.kafka();
            let event = kafka.audit.script[number(&source)].events.get(usize::try_from(offset.get()).unwrap())?;
            Some(record(offset.get(), event))
        });
        let incoming = Incoming { offset: turn.offset, read: Read::Command(turn.command), original, request: None };
        let news = CommandNews::Command(Box::new(incoming), told);
        self.tell(Input::Commands(CommandInput { epoch: turn.epoch, source, news }));
        true
    }
}
