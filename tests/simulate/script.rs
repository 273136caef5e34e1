//! What is produced and what operators ask for: a log per partition with its commands, made up from a seed; and the fold of
//! one event by the contract (§6, §7) from the made-up event itself. Nothing of the library is used here.

use std::collections::{BTreeMap, BTreeSet};

/// The time of the first event, milliseconds since the epoch.
pub(crate) const FIRST_MS: i64 = 1_700_000_000_000;

/// How long an order stays that is at its end, where orders leave.
pub(crate) const RETAIN_MS: i64 = 1000;

/// What goes on being sold until the order is given up that fails alone.
const SALES: i64 = 300;

/// The order that may fail alone.
pub(crate) fn stubborn_order(partition: usize) -> String {
    format!("P{partition}-1")
}

/// What kind of record stands at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event that can be sent.
    Good,
    /// An event that can be sent and that the platform rejects.
    Poison,
    /// An event that can be sent and that the platform fails to take each time.
    Stubborn,
    /// An event that cannot be mapped.
    Unmappable,
    /// No JSON.
    Garbage,
    /// A record without a value.
    Tombstone,
    /// An event of a time that has not come.
    Future,
}

impl Kind {
    /// Why its push becomes a dead letter in the end, where the platform never takes it.
    pub(crate) const fn never(self) -> Option<&'static str> {
        match self {
            Self::Poison => Some("rejected_by_platform"),
            Self::Stubborn => Some("retries_exhausted"),
            Self::Good | Self::Unmappable | Self::Garbage | Self::Tombstone | Self::Future => None,
        }
    }
}

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) order: String,
    id: String,
    /// What the order's document holds after it.
    content: i64,
    pub(crate) at_ms: i64,
    is_final: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// To be pushed under this stamp.
    Advanced(i64),
    /// Folded, and nothing is to be pushed; the stamp stays.
    Unchanged(i64),
    /// Seen before.
    Duplicate,
    /// Older than what was applied.
    Stale,
    /// No event at all.
    Empty,
    /// To be set aside before anything is pushed.
    SetAside(&'static str),
}

/// The last state of an order: its stamp, and the offset that was applied last.
pub(crate) type Stand = (i64, i64);

/// How an event comes to the fold (§6, §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Log,
    Redrive,
    Word,
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Redrive(i64),
    Fold(i64),
    Discard(i64),
    /// An order, and the command's own time.
    Resync(String, i64),
    Pause,
    Resume,
}

/// One partition's log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    /// The commands topic, ids first; some are given twice. The last one resumes.
    pub(crate) commands: Vec<(String, Command)>,
}

/// An order's state.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    ids: Vec<String>,
    at_ms: i64,
    pub(crate) content: (i64, Kind),
    pub(crate) stand: Stand,
    pub(crate) is_final: bool,
}

impl Event {
    /// The record's value.
    pub(crate) fn value(&self) -> Option<String> {
        let (content, kind, at_ms) = (self.content, self.kind, self.at_ms);
        let (poison, bad, at_ms) = match kind {
            Kind::Tombstone => return None,
            Kind::Garbage => return Some("{garbage".to_owned()),
            Kind::Good => ("no", false, at_ms),
            Kind::Poison | Kind::Stubborn => (if kind == Kind::Poison { "yes" } else { "so" }, false, at_ms),
            Kind::Unmappable => ("no", true, at_ms),
            Kind::Future => ("no", false, 4_000_000_000_000),
        };
        let (id, order, status) = (&self.id, &self.order, if self.is_final { "redeemed" } else { "paid" });
        Some(format!(
            r#"{{"event_id":"{id}","order_id":"{order}","order_type":"normal","status":"{status}","occurred_at":{at_ms},"order":{{"n":{content},"poison":"{poison}","bad":{bad}}}}}"#
        ))
    }
}

impl Log {
    /// A log of `length` records of the orders of one partition. `repeats` says whether the same content may come twice.
    pub(crate) fn new(rng: &mut fastrand::Rng, partition: usize, length: usize, repeats: Repeats) -> Self {
        let mut log = Self::default();
        let (mut time, mut content) = (0, 0);
        for n in 0..length {
            let order = format!("P{partition}-{}", rng.u8(..2));
            let last = log.events.iter().rev().find(|e| e.order == order && e.kind == Kind::Good).cloned();
            content += 1;
            // A jump past the workers' clocks: what was set aside before it is old then.
            time += if rng.u8(..12) == 0 { 40 } else { rng.i64(0..3) };
            let kind = match rng.u8(..40) {
                0 => Kind::Poison,
                1 => Kind::Unmappable,
                2 => Kind::Garbage,
                3 => Kind::Tombstone,
                4 => Kind::Future,
                _ => Kind::Good,
            };
            let at_ms = FIRST_MS + if rng.u8(..6) == 0 { time - 5 } else { time } * 1000;
            let (id, is_final) = (format!("{partition}-{n}"), rng.u8(..3) > 0);
            let mut event = Event { kind, order, id, content, at_ms, is_final };
            match (last, rng.u8(..12)) {
                (Some(last), 0) if kind == Kind::Good => event = last,
                (Some(last), 1) if kind == Kind::Good && repeats == Repeats::Come => event.content = last.content,
                _ => {}
            }
            log.events.push(event);
        }
        log
    }

    /// One event of the partition's second order is one that the platform fails to take. The first order goes on then, as long
    /// as it takes: an order that fails while nobody is accepted is no bad one. False where that order has no event.
    pub(crate) fn harden(&mut self, rng: &mut fastrand::Rng, partition: usize) -> bool {
        let order = stubborn_order(partition);
        let events: Vec<_> =
            self.events.iter_mut().filter(|event| event.order == order && event.kind == Kind::Good).collect();
        let Some(event) = rng.choice(events) else { return false };
        event.kind = Kind::Stubborn;
        let last_ms = self.events.iter().map(|event| event.at_ms).max().unwrap_or(FIRST_MS);
        for n in 0..SALES {
            self.events.push(Event {
                kind: Kind::Good,
                order: format!("P{partition}-0"),
                id: format!("{partition}-s{n}"),
                content: 1000 + n,
                at_ms: last_ms + 100 * n,
                is_final: false,
            });
        }
        true
    }

    fn command(rng: &mut fastrand::Rng, partition: usize, offset: i64) -> Command {
        match rng.u8(..10) {
            0..3 => Command::Redrive(offset),
            3..5 => Command::Fold(offset),
            5 => Command::Discard(offset),
            6..8 => Command::Resync(format!("P{partition}-{}", rng.u8(..2)), FIRST_MS + rng.i64(-5000..20_000)),
            8 => Command::Pause,
            _ => Command::Resume,
        }
    }

    /// What operators ask for. Where the same content may not come twice, no event is folded twice either.
    pub(crate) fn command_it(&mut self, rng: &mut fastrand::Rng, partition: usize, repeats: Repeats) {
        let mut offset = 0;
        for n in 0..rng.usize(..6) {
            // Several are about one record, and many about those that are no good.
            if rng.u8(..3) > 0 {
                offset = rng.usize(..self.events.len());
                let bad = |at: &usize| self.events[*at].kind != Kind::Good || self.is_late(*at);
                if rng.bool() {
                    offset = (offset..self.events.len()).find(bad).unwrap_or(offset);
                }
            }
            let command = match (Self::command(rng, partition, i64::try_from(offset).unwrap()), repeats) {
                (Command::Fold(offset), Repeats::DoNotCome) => Command::Discard(offset),
                (command, _) => command,
            };
            // What is folded on somebody's word, or set aside for good, another one may try to redrive.
            let redriven = match command {
                Command::Fold(offset) | Command::Discard(offset) if rng.bool() => Some(Command::Redrive(offset)),
                _ => None,
            };
            self.commands.push((format!("{partition}-c{n}"), command));
            self.commands.extend(redriven.map(|command| (format!("{partition}-r{n}"), command)));
            if rng.u8(..4) == 0 {
                let again = self.commands[rng.usize(..self.commands.len())].clone();
                self.commands.push(again);
            }
        }
        // What has come too late is folded on somebody's word at last; another one does not know, and redrives it.
        let late = (0..self.events.len()).rev().find(|at| self.is_late(*at));
        if let (Some(late), Repeats::Come, true) = (late, repeats, rng.bool()) {
            let late = i64::try_from(late).unwrap();
            self.commands.push((format!("{partition}-word"), Command::Fold(late)));
            self.commands.push((format!("{partition}-again"), Command::Redrive(late)));
        }
        self.commands.push((format!("{partition}-last"), Command::Resume));
    }

    /// Whether it is older than an event before it: where orders leave, it may be too old to be folded.
    fn is_late(&self, at: usize) -> bool {
        self.events[..at].iter().any(|before| before.at_ms > self.events[at].at_ms)
    }

    /// So many commands, and as many more as it takes to be resumed.
    pub(crate) fn until_resumed(&self, least: usize) -> usize {
        let is_paused = |end: &usize| {
            let mut seen = BTreeSet::new();
            let first = self.commands[..*end].iter().filter(|(id, _)| seen.insert(id));
            let words = first.filter(|(_, command)| matches!(command, Command::Pause | Command::Resume));
            words.last().is_some_and(|(_, command)| *command == Command::Pause)
        };
        (least..self.commands.len()).find(|end| !is_paused(end)).unwrap_or(self.commands.len())
    }

    /// Its length.
    pub(crate) fn end(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap()
    }
}

/// Whether the same content may come twice in an order's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    Come,
    DoNotCome,
}

/// Folds one event; an unknown order's event lies above what has left, or is set aside.
pub(crate) fn apply(
    states: &mut BTreeMap<String, Order>,
    event: &Event,
    offset: i64,
    removed: i64,
    way: Way,
) -> Outcome {
    match event.kind {
        Kind::Garbage => return Outcome::SetAside("malformed_event"),
        Kind::Tombstone => return Outcome::Empty,
        Kind::Future => return Outcome::SetAside("time_in_future"),
        Kind::Good | Kind::Poison | Kind::Stubborn | Kind::Unmappable => {}
    }
    let old = states.get(&event.order);
    if let Some(state) = old {
        if state.ids.contains(&event.id) || (way == Way::Log && offset <= state.stand.1) {
            return Outcome::Duplicate;
        }
        let is_passed =
            event.at_ms < state.at_ms || (way == Way::Redrive && event.at_ms == state.at_ms && offset <= state.stand.1);
        if is_passed && way != Way::Word {
            return Outcome::Stale;
        }
    }
    if old.is_none() && way != Way::Word && event.at_ms / 1000 <= removed {
        return Outcome::SetAside("older_than_retained");
    }
    if event.kind == Kind::Unmappable {
        return Outcome::SetAside("incomplete_order");
    }
    let content = (event.content, event.kind);
    let last = old.map_or(removed, |state| state.stand.0);
    let is_unchanged = old.is_some_and(|state| state.content == content);
    let stamp = if is_unchanged { last } else { (event.at_ms / 1000).max(last + 1) };
    let mut ids = old.filter(|state| state.at_ms == event.at_ms).map_or(Vec::new(), |state| state.ids.clone());
    ids.push(event.id.clone());
    let mut state = Order { ids, at_ms: event.at_ms, content, stand: (stamp, offset), is_final: event.is_final };
    if let (Way::Redrive | Way::Word, Some(old)) = (way, old) {
        state.stand.1 = offset.max(old.stand.1);
        if event.at_ms < old.at_ms {
            (state.ids, state.at_ms) = (old.ids.clone(), old.at_ms);
        }
    }
    states.insert(event.order.clone(), state);
    if is_unchanged { Outcome::Unchanged(stamp) } else { Outcome::Advanced(stamp) }
}
