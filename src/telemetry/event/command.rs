//! What operators have asked for, and what came of it.

use tracing::{info, warn};

use crate::order::AppId;
use crate::record::{NextOffset, TopicPartition};
use crate::telemetry::meters::Meters;

/// A command was executed, and its outcome is committed.
#[derive(Debug)]
pub struct CommandExecuted<'a> {
    /// The source partition.
    pub source: &'a TopicPartition,
    /// The command's id.
    pub id: &'a str,
    /// What it calls itself.
    pub command: &'a str,
    /// What it came to.
    pub outcome: &'static str,
    /// Who gave it.
    pub who: &'a str,
    /// The outcome in words.
    pub detail: &'a str,
}

impl CommandExecuted<'_> {
    /// Says so and counts it.
    pub fn emit(self, meters: &Meters) {
        meters.command(self.command, self.outcome);
        info!(
            topic = %self.source.topic,
            partition = self.source.partition,
            id = self.id,
            command = self.command,
            outcome = self.outcome,
            who = self.who,
            detail = self.detail,
            "executed a command"
        );
    }
}

/// An app's deliveries of a partition wait until an operator resumes it.
#[derive(Debug)]
pub struct AppPaused<'a> {
    /// The source partition.
    pub source: &'a TopicPartition,
    /// The app.
    pub app_id: &'a AppId,
}

impl AppPaused<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(
            topic = %self.source.topic,
            partition = self.source.partition,
            app_id = %self.app_id,
            "the app is paused by an operator"
        );
    }
}

/// An operator has resumed an app.
#[derive(Debug)]
pub struct AppResumed<'a> {
    /// The source partition.
    pub source: &'a TopicPartition,
    /// The app.
    pub app_id: &'a AppId,
}

impl AppResumed<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(
            topic = %self.source.topic,
            partition = self.source.partition,
            app_id = %self.app_id,
            "the app is resumed"
        );
    }
}

/// A record of the commands topic is nobody's.
#[derive(Debug)]
pub struct CommandUnreadable<'a> {
    /// Its place: partition and offset.
    pub place: &'a TopicPartition,
    /// The offset.
    pub offset: i64,
    /// What is wrong.
    pub error: &'a str,
}

impl CommandUnreadable<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(
            topic = %self.place.topic,
            partition = self.place.partition,
            offset = self.offset,
            error = self.error,
            "skipped a record of the commands topic that names no command"
        );
    }
}

/// The commands topic is not the one that a position speaks of.
#[derive(Debug)]
pub struct CommandsAnew<'a> {
    /// The source partition.
    pub source: &'a TopicPartition,
    /// Where it stood in the commands topic.
    pub position: Option<NextOffset>,
    /// Where it begins now.
    pub begin: NextOffset,
    /// What tells that.
    pub why: &'a str,
}

impl CommandsAnew<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(
            topic = %self.source.topic,
            partition = self.source.partition,
            position = self.position.map(NextOffset::get),
            begin = %self.begin,
            why = self.why,
            "the commands topic was made anew, or has lost records: its commands are executed from its beginning on, save those \
             that have an outcome; any that it has lost were not, so give them again"
        );
    }
}
