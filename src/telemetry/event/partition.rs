//! Partitions that come and go.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::order::AppId;
use crate::record::{NextOffset, TopicPartition};
use crate::telemetry::meters::Meters;

/// The group gave us a partition.
#[derive(Debug)]
pub struct PartitionAssigned<'a> {
    /// Which.
    pub source: &'a TopicPartition,
    /// Where reading starts; `None` where the store has never seen it and `kafka.start_from` decides.
    pub position: Option<NextOffset>,
    /// How many deliveries it owes.
    pub owed: usize,
}

impl PartitionAssigned<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(
            topic = %self.source.topic,
            partition = self.source.partition,
            position = self.position.map(NextOffset::get),
            owed = self.owed,
            "assigned a partition"
        );
    }
}

/// The store does not know a partition of which the group has committed an offset: it was lost, or is another one.
#[derive(Debug)]
pub struct StoreKnowsNothing<'a> {
    /// Which partition.
    pub source: &'a TopicPartition,
    /// What the group has committed.
    pub group: NextOffset,
    /// Where reading starts.
    pub next: NextOffset,
}

impl StoreKnowsNothing<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(
            topic = %self.source.topic,
            partition = self.source.partition,
            group = self.group.get(),
            next = self.next.get(),
            "the store does not know a partition that this group has worked on: states, debts and stamps from before are known only as \
             far as they follow from the events from here on, and stamps that commands gave not at all; where the store was lost, a \
             copy of it is better than this; where the group had transactions before, so is `order-sync store detach`"
        );
    }
}

/// A partition holds deliveries of an app that is no longer configured.
#[derive(Debug)]
pub struct OwedByUnknownApp<'a> {
    /// Which partition.
    pub source: &'a TopicPartition,
    /// One such app.
    pub app_id: &'a AppId,
    /// How many deliveries of such apps it owes.
    pub owed: usize,
}

impl OwedByUnknownApp<'_> {
    /// Says so.
    pub fn emit(self) {
        error!(
            topic = %self.source.topic,
            partition = self.source.partition,
            app_id = %self.app_id,
            owed = self.owed,
            "deliveries of an app that is not configured stay in the store; add it to the apps again to deliver them"
        );
    }
}

/// An app's stamps go on in another unit than before.
#[derive(Debug)]
pub struct UnitChanged<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// What that means.
    pub words: &'a str,
}

impl UnitChanged<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(app_id = %self.app_id, "{}", self.words);
    }
}

/// The store owes deliveries of a topic that is not among the source topics.
#[derive(Debug)]
pub struct OwedOfUnreadTopic<'a> {
    /// Which topic.
    pub topic: &'a str,
    /// How many deliveries of it the store owes.
    pub owed: usize,
}

impl OwedOfUnreadTopic<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(
            topic = self.topic,
            owed = self.owed,
            "this worker's store owes deliveries of a topic that is not in kafka.topics; none of them is pushed until it is \
             there again"
        );
    }
}

/// The group took a partition back.
#[derive(Debug)]
pub struct PartitionRevoked<'a> {
    /// Which.
    pub source: &'a TopicPartition,
    /// The committed position that the next owner starts from.
    pub position: Option<NextOffset>,
    /// Records that were read and not committed; the next owner reads them again.
    pub dropped_records: usize,
    /// Attempts whose results will be dropped; the next owner repeats them identically.
    pub abandoned_attempts: usize,
    /// Deliveries that were accepted or given up, which no commit says; the next owner repeats them identically.
    pub dropped_results: usize,
    /// Commands that were executed, and have no outcome in any commit; the next owner executes them.
    pub dropped_commands: usize,
}

impl PartitionRevoked<'_> {
    /// Says so, and takes the partition's lag away. WARN where something is dropped.
    pub fn emit(self, meters: &Meters) {
        meters.lag(self.source, None);
        let (topic, partition) = (&self.source.topic, self.source.partition);
        let position = self.position.map(NextOffset::get);
        let Self { dropped_records, abandoned_attempts, dropped_results, dropped_commands, .. } = self;
        if dropped_records + abandoned_attempts + dropped_results + dropped_commands == 0 {
            info!(%topic, partition, position, "a partition was taken away");
        } else {
            warn!(
                %topic,
                partition,
                position,
                dropped_records,
                abandoned_attempts,
                dropped_results,
                dropped_commands,
                "a partition was taken away; its next owner repeats what was not committed"
            );
        }
    }
}

/// Retention went through all orders of a partition.
#[derive(Debug)]
pub struct RetentionPass<'a> {
    /// Which.
    pub source: &'a TopicPartition,
    /// Orders looked at.
    pub seen: usize,
    /// Orders that have left.
    pub removed: usize,
    /// Statuses of dead letters that were superseded long ago, and are forgotten.
    pub forgotten: usize,
    /// From its first page to its last.
    pub took: Duration,
}

impl RetentionPass<'_> {
    /// Says so; a pass that changed nothing is everyday life.
    pub fn emit(self) {
        let Self { source, seen, removed, forgotten, took } = self;
        let took_s = took.as_secs();
        if removed + forgotten > 0 {
            info!(
                topic = %source.topic, partition = source.partition, orders = seen, removed, forgotten, took_s,
                "orders that were at their end have left"
            );
        } else {
            debug!(topic = %source.topic, partition = source.partition, orders = seen, took_s, "no order may leave yet");
        }
    }
}
