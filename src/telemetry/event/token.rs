//! Events of tokens that workers share.

use std::time::Duration;

use tracing::{info, warn};

use crate::order::AppId;
use crate::record::RecordOffset;
use crate::telemetry::Meters;

/// What the wish for a token came to, in the order of the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenResult {
    /// This worker fetched one.
    Fetched,
    /// There was none.
    Refused,
    /// Another worker fetched it.
    Shared,
}

/// The platform does not take the token at hand any more. What it refuses is counted with the deliveries.
#[derive(Debug)]
pub struct TokenNotTaken<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Which of its tokens.
    pub generation: u64,
    /// What is done about it.
    pub why: &'a str,
}

impl TokenNotTaken<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(app_id = %self.app_id, generation = self.generation, error = self.why, "no access token that the platform takes");
    }
}

/// A token came from another worker of the group.
#[derive(Debug)]
pub struct TokenShared<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Its number in this process, from 1.
    pub generation: u64,
    /// How long it lives from now.
    pub lifetime: Duration,
}

impl TokenShared<'_> {
    /// Says so and counts it.
    pub fn emit(self, meters: &Meters) {
        meters.token(self.app_id, TokenResult::Shared);
        info!(
            app_id = %self.app_id,
            generation = self.generation,
            lifetime_seconds = self.lifetime.as_secs(),
            "took over an access token from the group"
        );
    }
}

/// A record of the token topic does not open.
#[derive(Debug)]
pub struct TokenRecordIgnored<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Where it lies.
    pub offset: RecordOffset,
}

impl TokenRecordIgnored<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(
            app_id = %self.app_id,
            offset = self.offset.get(),
            "ignored a shared token: it was sealed with another secret of the app, or by another hand; give all workers \
             the same secret"
        );
    }
}

/// A record of the token topic holds a token that is older than the one before it.
#[derive(Debug)]
pub struct TokenRecordOld<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Where it lies.
    pub offset: RecordOffset,
}

impl TokenRecordOld<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(
            app_id = %self.app_id,
            offset = self.offset.get(),
            "passed over a shared token that is not newer than the one before it: a worker was late, or somebody has \
             appended a copy; let nobody but the workers write to the topic (said once until the next new token)"
        );
    }
}

/// The topic of shared tokens was deleted.
#[derive(Debug)]
pub struct TokenTopicGone<'a> {
    /// The topic.
    pub topic: &'a str,
    /// What to do, and what keeps this worker from doing it.
    pub words: &'a str,
}

impl TokenTopicGone<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(topic = self.topic, "the tokens of the group cannot be shared; the one at hand goes on: {}", self.words);
    }
}

/// The topic of shared tokens is there again.
#[derive(Debug)]
pub struct TokenTopicBack<'a> {
    /// The topic.
    pub topic: &'a str,
}

impl TokenTopicBack<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(topic = self.topic, "the topic of shared tokens is there again");
    }
}
