//! One assigned source partition: its place in the log, the records not yet folded, and what is not yet committed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::commanded::Commanded;
use super::left::Left;
use super::overlay::Overlay;
use super::ports::{Epoch, Position};
use crate::order::{AppId, EventTime};
use crate::record::{NextOffset, Record, TopicPartition};

/// Names an assigned partition of this process; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(pub u32);

/// One assigned partition.
#[derive(Debug)]
pub struct Partition {
    /// Its name within this process.
    pub id: PartitionId,
    /// The source partition.
    pub source: TopicPartition,
    /// The assignment it belongs to.
    pub epoch: Epoch,
    /// How many partitions its topic has.
    pub partitions_of_topic: i32,
    /// How many all source topics of the group had when it came.
    pub partitions_of_group: usize,
    /// The committed position; `next` of the fold may be ahead of it.
    pub position: Position,
    /// The next offset to fold; everything before it is folded.
    pub folded: NextOffset,
    /// Records that came and are not folded yet, in order.
    pub inbox: VecDeque<Record>,
    /// What is folded and not committed.
    pub overlay: Overlay,
    /// Deliveries that are committed and not settled, by the app's place in the config.
    pub owed: BTreeMap<usize, usize>,
    /// What of them is left to the store, by the app's place in the config.
    pub left: BTreeMap<usize, Left>,
    /// Deliveries owed by apps that are not configured: they stay in the store, and nobody tries them.
    pub stranded: BTreeMap<AppId, usize>,
    /// Dead letters of it that are open, those not yet committed among them.
    pub open_letters: u64,
    /// The time of the newest event that was folded in this assignment.
    pub newest: Option<EventTime>,
    /// When retention last went through it, since the engine's start.
    pub swept: Option<Duration>,
    /// Whether its next record waits for the commit under way, as orders leave with it.
    pub held: bool,
    /// What of its debts counts against `delivery.max_owed`, as of the last turn.
    pub counted: usize,
    /// What of them does not, by the app's place in the config.
    pub uncounted: Vec<usize>,
    /// Whether it owes as much as its share, while others are restored.
    pub over_share: bool,
    /// Whether the consumer has been told to hold it back.
    pub paused: bool,
    /// What operators have made of it.
    pub commanded: Commanded,
    /// The broker's end when reading started; `None` until then.
    pub end_at_start: Option<NextOffset>,
    /// The broker's end as last heard of.
    pub high_watermark: Option<NextOffset>,
    /// Set once no record was found between `folded` and `end_at_start`: only markers stand there.
    pub end_probe: EndProbe,
    /// How far it has come.
    pub phase: Phase,
}

/// Whether only markers are left before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndProbe {
    /// Not asked.
    Idle,
    /// Asked; the answer is under way.
    Asked,
    /// Nothing is left to read.
    AtEnd,
}

/// How far a partition has come, from its assignment to its release. There is one way through: restoring, running,
/// leaving; a partition may leave from anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Given to us; its state is being read from the changelog. Nothing is read, folded or started yet.
    Restoring,
    /// Folding and delivering.
    Running,
    /// Taken back: nothing more is folded or started, the last commit is under way.
    Leaving,
}

impl Partition {
    /// Bytes of the records that wait to be folded.
    pub fn inbox_bytes(&self) -> usize {
        self.inbox.iter().map(super::intake::IntakeBudget::cost).sum()
    }

    /// What it owes of an app at this place in the config, committed or not.
    pub fn owes(&self, app: usize, app_id: &AppId) -> usize {
        let folded = self.overlay.layers().map(|layer| layer.owed_of(app_id)).sum::<usize>();
        self.owed.get(&app).copied().unwrap_or_default() + folded
    }

    /// Nothing stands between what is folded and `next` that anybody reads. Behind a record only: what is remembered of that one,
    /// and that nothing followed it, tells a topic that is made anew; without it nothing would.
    pub fn pass_to(&mut self, next: NextOffset) {
        let has_last = self.position.last.is_some() || self.overlay.layers().any(|layer| layer.last().is_some());
        if has_last && self.folded < next {
            self.folded = next;
            self.overlay.advance(next);
        }
    }

    /// Whether the position has reached the end seen at the start.
    pub fn is_caught_up(&self) -> bool {
        let reached = self.end_at_start.is_some_and(|end| self.folded >= end);
        (reached || self.end_probe == EndProbe::AtEnd) && self.inbox.is_empty()
    }

    /// Records between the committed position and the broker's end.
    pub fn lag(&self) -> Option<u64> {
        self.high_watermark.map(|end| u64::try_from(end.get() - self.position.next.get()).unwrap_or(0))
    }
}
