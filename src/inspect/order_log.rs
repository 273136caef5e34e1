//! What the changelog says of one order: its state, what it owes, the commands about it, and the settings by which its
//! partition was folded. Keys are looked at as bytes, and only those that can be the order's are taken apart.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::unread::Unread;
use super::verify::{Eras, MakeMapping};
use crate::order::json::write_string;
use crate::order::{AppId, Identity, OrderState, UpdateTime};
use crate::record::{RecordOffset, TopicPartition};
use crate::sync::changelog::{ChangelogKey, SettingsFrom};
use crate::sync::command::{self, Command, CommandDone};
use crate::sync::fold_settings::{Fingerprint, FoldSettings};
use crate::sync::scan::{LogScan, ScanError, Seen, Span};
use crate::sync::{Acceptance, Owed, OwedKey};

/// So many executed commands about one order are kept, the newest: those that name it, those about records that may be its,
/// and those about whole apps, each for themselves, so that none of them crowd out the others.
const COMMANDS_MAX: usize = 200;

/// So many accepted deliveries of one order are kept, the newest.
const ACCEPTED_MAX: usize = 200;

/// A delivery that Douyin has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// When that was committed, milliseconds since the epoch.
    pub at_ms: i64,
    /// The stamp.
    pub stamp: UpdateTime,
    /// How.
    pub how: Acceptance,
}

/// A delivery that is committed and not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    /// The offset of the record that it belongs to.
    pub offset: i64,
    /// When it came to be owed: the time of the commit that holds it, milliseconds since the epoch.
    pub at_ms: i64,
}

/// One order in one source partition.
#[derive(Clone, Debug, Default)]
pub struct OrderLog {
    /// Its state; `None` where the changelog has none.
    pub state: Option<OrderState>,
    /// Its owed deliveries by their stamps.
    pub owed: BTreeMap<UpdateTime, Debt>,
    /// Its accepted deliveries that the changelog still tells of, in their order; the newest of them.
    pub accepted: VecDeque<Accepted>,
}

impl OrderLog {
    /// Notes a settled delivery, where its tombstone says that it was accepted.
    fn accept(&mut self, seen: &dyn Seen, stamp: UpdateTime) {
        let mut how = None;
        seen.headers(&mut |name, value| Acceptance::take(&mut how, name, value));
        let Some(how) = how else { return };
        if self.accepted.len() == ACCEPTED_MAX {
            self.accepted.pop_front();
        }
        self.accepted.push_back(Accepted { at_ms: seen.timestamp_ms().unwrap_or_default(), stamp, how });
    }
}

/// The order in every source partition and under every app in which the changelog knows it.
pub type OrderLogs = BTreeMap<(TopicPartition, Identity), OrderLog>;

/// A command that a worker has executed in a source partition.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The source partition.
    pub source: TopicPartition,
    /// The command's id.
    pub id: Box<str>,
    /// What it was and what it came to.
    pub done: CommandDone,
}

impl Executed {
    /// What it is about.
    fn about(&self) -> About {
        match (&self.done.order_id, self.done.offset) {
            (Some(_), _) => About::Order,
            (None, Some(_)) => About::Record,
            (None, None) => About::App,
        }
    }

    /// Whether it is about a whole app.
    pub fn is_of_app(&self) -> bool {
        self.about() == About::App
    }

    /// Whether it is about this order: by its name, by its app, or by a record of it.
    pub fn is_about(&self, place: &TopicPartition, identity: &Identity, has_record: impl Fn(i64) -> bool) -> bool {
        let done = &self.done;
        let subject = (done.app_id.as_ref(), done.order_id.as_deref(), done.offset);
        self.source == *place && concerns(subject, identity, has_record)
    }
}

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// An order that it names.
    Order,
    /// A record that nobody has read as an order's.
    Record,
    /// A whole app.
    App,
}

/// Whether what names this app, this order and a record at this offset, each where it does, concerns the order.
fn concerns(
    (app, order, offset): (Option<&AppId>, Option<&str>, Option<RecordOffset>),
    identity: &Identity,
    has_record: impl Fn(i64) -> bool,
) -> bool {
    let of_order = match (order, offset) {
        (Some(order), _) => order == &*identity.order_id,
        // Its record has not been read as an order's.
        (None, Some(offset)) => has_record(offset.get()),
        // The whole app's.
        (None, None) => app.is_some(),
    };
    app.is_none_or(|app| *app == identity.app_id) && of_order
}

/// What the changelog knows of an order.
#[derive(Debug, Default)]
pub struct OrderRead {
    /// Its states and debts.
    pub orders: OrderLogs,
    /// Commands that may be about it, in the order of their execution within a partition; the newest of each kind.
    pub commands: VecDeque<Executed>,
    /// What could not be read: such a state counts as none.
    pub unread: Unread,
    /// The ids of all commands that were executed, as digests.
    executed: HashSet<u64, FixedState>,
    /// The records of settings by the numbers of their commits; `None`: one that cannot be read.
    settings: BTreeMap<TopicPartition, BTreeMap<u64, Option<SettingsFrom>>>,
    /// The settings of all of them, each once.
    known: HashMap<Fingerprint, Arc<FoldSettings>, FixedState>,
}

/// The digest of a command's id in its partition.
fn digest(partition: i32, id: &str) -> u64 {
    FixedState::default().hash_one((partition, id))
}

impl OrderRead {
    /// Takes a record of the commands topic: a command that nobody has executed yet, and that may be about the order.
    pub fn waiting(&self, seen: &dyn Seen, order_id: &str) -> Option<Command> {
        let command::Read::Command(given) = command::read(seen.key(), seen.value()) else { return None };
        let is_its = given.action.subject().1.is_none_or(|order| order == order_id);
        (is_its && !self.executed.contains(&digest(seen.partition(), &given.id))).then_some(given)
    }

    /// By which settings a source partition was folded, as far as its log says.
    pub fn eras(&self, place: &TopicPartition, mapping: MakeMapping) -> Eras {
        let mut eras = Eras::default();
        for (number, record) in self.settings.get(place).into_iter().flatten() {
            eras.take(*number, record.clone(), mapping);
        }
        eras
    }

    fn put_settings(&mut self, place: TopicPartition, number: u64, mut record: Option<SettingsFrom>) {
        if let Some(SettingsFrom { by, .. }) = &mut record {
            by.settings = Arc::clone(self.known.entry(by.fingerprint).or_insert_with(|| Arc::clone(&by.settings)));
        }
        self.settings.entry(place).or_default().insert(number, record);
    }
}

/// Whether a command that waits is about this order: by its name, by its app, or by a record of it.
pub fn waits_for(
    given: &Command,
    place: &TopicPartition,
    identity: &Identity,
    has_record: impl Fn(i64) -> bool,
) -> bool {
    let (app, order) = given.action.subject();
    given.source == *place && concerns((app, order, given.action.offset()), identity, has_record)
}

/// Reads these spans of the changelog for an order. `progress` is told how many records were read.
pub fn read_order(
    scan: &mut dyn LogScan,
    changelog: &str,
    within: &[Span],
    sources: &[String],
    order_id: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<OrderRead, ScanError> {
    let mut text = String::new();
    write_string(order_id, &mut text);
    let (state_end, owed_part) = (format!(",{text}]"), format!(",{text},"));
    let (mut found, mut read) = (OrderRead::default(), 0_u64);
    scan.read(changelog, within, &mut |seen| {
        read += 1;
        if read.is_multiple_of(4096) {
            progress(read);
        }
        let key = seen.key().unwrap_or_default();
        let is_state = key.starts_with(b"[1,\"state\",") && key.ends_with(state_end.as_bytes());
        let is_owed = key.starts_with(b"[1,\"owed\",") && contains(key, owed_part.as_bytes());
        let is_command = key.starts_with(b"[1,\"command\",");
        let is_settings = key.starts_with(b"[1,\"settings\",");
        if (is_state || is_owed || is_command || is_settings) && take(seen, sources, order_id, &mut found).is_none() {
            found.unread.put(seen);
        }
        ControlFlow::Continue(())
    })?;
    progress(read);
    found.orders.retain(|_, log| log.state.is_some() || !log.owed.is_empty() || !log.accepted.is_empty());
    Ok(found)
}

/// Takes a record that is the order's, or looks like it; `None` where it cannot be read.
fn take(seen: &dyn Seen, sources: &[String], order_id: &str, found: &mut OrderRead) -> Option<()> {
    for source in sources {
        let place = || TopicPartition::new(source.as_str(), seen.partition());
        match ChangelogKey::decode(seen.key().unwrap_or_default(), source).ok()? {
            Some(ChangelogKey::State(identity)) if *identity.order_id == *order_id => {
                let state = seen.value().map(OrderState::decode).transpose().ok()?;
                found.orders.entry((place(), identity)).or_default().state = state;
            }
            Some(ChangelogKey::Owed(OwedKey { identity, stamp })) if *identity.order_id == *order_id => {
                let owed = seen.value().map(Owed::peek).transpose().ok()?;
                let log = found.orders.entry((place(), identity)).or_default();
                if let Some(owed) = owed {
                    let at_ms = seen.timestamp_ms().or(owed.timestamp_ms).unwrap_or_default();
                    log.owed.insert(stamp, Debt { offset: owed.offset, at_ms });
                } else {
                    log.owed.remove(&stamp);
                    log.accept(seen, stamp);
                }
            }
            Some(ChangelogKey::Command(id)) => {
                let Some(value) = seen.value() else { continue };
                found.executed.insert(digest(seen.partition(), &id));
                let done = CommandDone::decode(value).ok()?;
                if done.order_id.as_deref().is_none_or(|order| *order == *order_id) {
                    executed(found, Executed { source: place(), id, done });
                }
            }
            Some(ChangelogKey::Settings(number)) => {
                let record = SettingsFrom::decode(seen.value().unwrap_or_default()).ok();
                let is_readable = record.is_some();
                found.put_settings(place(), number, record);
                is_readable.then_some(())?;
            }
            _ => {}
        }
    }
    Some(())
}

/// Keeps a command. One that was given again has its outcome written again, and counts once.
fn executed(found: &mut OrderRead, command: Executed) {
    let same = |other: &Executed| other.source == command.source && other.id == command.id;
    if found.commands.iter().any(same) {
        return;
    }
    let is_alike = |other: &Executed| other.about() == command.about();
    if found.commands.iter().filter(|other| is_alike(other)).count() == COMMANDS_MAX
        && let Some(oldest) = found.commands.iter().position(is_alike)
    {
        found.commands.remove(oldest);
    }
    found.commands.push_back(command);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
