//! A worker with transactions to which operator commands are given by hand.

use std::time::Duration;

use bytes::Bytes;
use order_sync::douyin::verdict::Exchange;
use order_sync::order::AppId;
use order_sync::record::{NextOffset, Record, RecordOffset, TopicPartition};
use order_sync::sync::changelog::LetterState;
use order_sync::sync::command::{Action, Command, CommandDone, Outcome, Read};
use order_sync::sync::command_ports::{CommandInput, CommandNews, Incoming};
use order_sync::sync::ports::{AttemptStart, Epoch, Input};

use super::fakes::FakeStore;
use super::world::{Scene, Truth, WALL_MS, World, answer, event};

pub const S: Duration = Duration::from_secs(1);
/// An order's first stamp; its n-th event has this and n.
pub const T: i64 = 1_700_000_000;

pub fn reject(_: &AttemptStart) -> Exchange {
    answer(200, r#"{"err_code":40003,"err_msg":"openid","body":""}"#)
}

pub fn source() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

/// A worker that holds `orders/0`, over a store; commands are given to it by hand.
pub struct Site {
    pub world: World,
    epoch: u64,
    /// The next offset of the commands topic.
    pub next: i64,
    /// What was produced, by offset.
    pub log: Vec<String>,
}

impl Site {
    pub fn over(store: FakeStore, scene: &Scene) -> Self {
        let mut world = World::new(scene, store);
        world.assign(&source(), 0);
        world.handle(Input::Restored { epoch: Epoch(1), source: source(), result: Ok(()) });
        world.started(&source(), 0);
        let next = world.store.0.lock().unwrap().get(&source()).and_then(|shelf| shelf.position.clone());
        let commands = next.and_then(|position| position.commands).map_or(0, NextOffset::get);
        let (_, _, from) = world.asked.lock().unwrap().followed[0].clone();
        assert_eq!(from.map_or(0, NextOffset::get), commands, "it follows from the position on");
        Self { world, epoch: 1, next: commands, log: Vec::new() }
    }

    pub fn new() -> Self {
        Self::over(FakeStore::default(), &scene())
    }

    /// The process dies; the next one has what was committed.
    pub fn restart(self) -> Self {
        self.restart_with(&scene())
    }

    /// The same with other settings.
    pub fn restart_with(self, scene: &Scene) -> Self {
        let (log, next) = (self.log, self.next);
        Self { next, log, ..Self::over(self.world.store.clone(), scene) }
    }

    pub fn produce(&mut self, values: &[String]) {
        self.log.extend_from_slice(values);
        let next = i64::try_from(self.log.len() - values.len()).unwrap();
        let records = (next..).zip(values).map(|(offset, value)| record(offset, value)).collect::<Vec<_>>();
        assert!(self.world.budget.try_draw(records.iter().map(order_sync::sync::IntakeBudget::cost).sum()));
        self.world.handle(Input::Records { epoch: Epoch(self.epoch), source: source(), records });
    }

    /// Hands a command over as the reader does, with its original record. Its offset in the topic is its own.
    pub fn give_at(&mut self, offset: i64, id: &str, action: Action, request: Option<&str>) {
        let original = action.offset().and_then(|offset| {
            let value = self.log.get(usize::try_from(offset.get()).unwrap())?;
            Some(record(offset.get(), value))
        });
        let (source, at_ms) = (source(), self.world.now.wall_ms);
        let command = Command { id: id.into(), source, action, who: "alice".into(), why: "".into(), at_ms };
        self.hand_over(offset, Read::Command(command), original, request);
    }

    pub fn hand_over(&mut self, offset: i64, read: Read, original: Option<Record>, request: Option<&str>) {
        let request = request.map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let incoming = Incoming { offset: RecordOffset::new(offset), read, original, request };
        let news = CommandNews::Command(Box::new(incoming), NextOffset::new(offset + 1));
        self.tell(news);
    }

    pub fn tell(&mut self, news: CommandNews) {
        let (epoch, source) = (Epoch(self.epoch), source());
        self.world.handle(Input::Commands(CommandInput { epoch, source, news }));
    }

    pub fn give(&mut self, id: &str, action: Action) {
        self.next += 1;
        self.give_at(self.next - 1, id, action, None);
    }

    pub fn run(&mut self, platform: &mut dyn FnMut(&AttemptStart) -> Exchange) {
        self.world.run(S, platform);
    }

    /// What a command came to, as committed.
    pub fn done(&self, id: &str) -> Option<CommandDone> {
        self.world.store.0.lock().unwrap().get(&source()).and_then(|shelf| shelf.commands.get(id).cloned())
    }

    pub fn outcome(&self, id: &str) -> Outcome {
        self.done(id).unwrap_or_else(|| panic!("{id} has no outcome")).outcome
    }

    pub fn letter(&self, offset: i64) -> (LetterState, u32) {
        let shelves = self.world.store.0.lock().unwrap();
        let status = shelves[&source()].letters.get(RecordOffset::new(offset)).flatten().unwrap();
        (status.state, status.times)
    }

    pub fn position(&self) -> order_sync::sync::ports::Position {
        self.world.store.0.lock().unwrap()[&source()].position.clone().unwrap()
    }
}

pub fn scene() -> Scene {
    Scene { truth: Truth::Changelog, ..Scene::default() }
}

pub fn record(offset: i64, value: &str) -> Record {
    let order =
        serde_json::from_str::<serde_json::Value>(value).ok().and_then(|v| Some(v["order_id"].as_str()?.to_owned()));
    Record {
        offset: RecordOffset::new(offset),
        timestamp_ms: Some(WALL_MS),
        key: Some(order.unwrap_or_default().into_bytes().into()),
        value: Some(value.as_bytes().into()),
        headers: Vec::new(),
    }
}

pub fn redrive(offset: i64) -> Action {
    Action::Redrive { offset: RecordOffset::new(offset), letter: None }
}

pub fn fold(offset: i64) -> Action {
    Action::Fold { offset: RecordOffset::new(offset) }
}

pub fn discard(offset: i64) -> Action {
    Action::Discard { offset: RecordOffset::new(offset) }
}

pub fn resync(order: &str) -> Action {
    Action::Resync { app_id: AppId::new("tt1"), order_id: order.into() }
}

pub fn pause() -> Action {
    Action::Pause { app_id: AppId::new("tt1") }
}

pub fn resume() -> Action {
    Action::Resume { app_id: AppId::new("tt1") }
}

/// An event that is refused while its clock is ahead, and good an hour later.
pub fn ahead(order: &str, n: i64) -> String {
    let at = WALL_MS + 1_200_000;
    event("tt1", order, n).replace(&(1_700_000_000_000_i64 + n * 1000).to_string(), &at.to_string())
}
