//! What the dead-letter topic says of one source partition: of every letter what it judges, and its original in short.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::evidence::{names_key, record_key, short};
use super::facts::StatusSeen;
use crate::inspect::LetterRow;
use crate::order::{DeadLetterReason, Stage};
use crate::record::{Record, TopicPartition};
use crate::sync::letter::{REQUEST_BYTES_MAX, measures};
use crate::sync::letter_original::letter_of;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// What a letter has of its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Original {
    Whole(u64),
    /// Its measures alone.
    Measured(u64),
    /// The source no longer had it.
    Gone,
}

/// One letter.
#[derive(Clone, Copy, Debug)]
pub(super) struct LetterSeen {
    /// Of the original.
    offset: i64,
    /// `None`: a code that this release does not know.
    pub(super) reason: Option<DeadLetterReason>,
    /// `None`: a word that this release does not know.
    stage: Option<Stage>,
    /// Whether its event was folded.
    pub(super) is_of_delivery: bool,
    /// The worker's clock when it failed first.
    pub(super) first_failed_ms: i64,
    original: Original,
    /// The delivery's; 0 where there is none.
    stamp: i64,
    /// Of the bytes that were sent; 0 where the letter does not have all of them.
    request: u64,
    times: u32,
    /// App and order in short.
    names: u64,
}

impl LetterSeen {
    /// The letter that set a record aside and is lost, as far as the status of it tells; `None` of a delivery's.
    pub(super) fn lost(offset: i64, status: &StatusSeen) -> Option<Self> {
        status.stamp.is_none().then_some(Self {
            offset,
            reason: Some(status.reason),
            stage: Some(stage_of(status.reason)),
            is_of_delivery: false,
            first_failed_ms: i64::MIN,
            original: Original::Gone,
            stamp: 0,
            request: 0,
            times: status.times,
            names: status.order,
        })
    }

    /// Whether reason, stage and stamp go together.
    pub(super) fn is_of_one_piece(&self, reason: DeadLetterReason) -> bool {
        self.stage == Some(stage_of(reason)) && self.is_of_delivery == self.stamp().is_some()
    }

    /// Whether this is the record that the letter is of.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        match self.original {
            Original::Whole(key) => key == record_key(record),
            Original::Measured(key) => key == short(measures(record).as_bytes()),
            Original::Gone => true,
        }
    }

    /// The stamp of its delivery.
    pub(super) fn stamp(&self) -> Option<i64> {
        (self.stamp != 0).then_some(self.stamp)
    }

    /// Whether these are the bytes that were sent, as far as either is known.
    pub(super) fn has_sent(&self, request: Option<u64>) -> bool {
        self.request == 0 || request.is_none_or(|request| request == self.request)
    }

    /// How often its record has been dead-lettered.
    pub(super) fn times(&self) -> u32 {
        self.times
    }

    /// App and order in short, each as far as it is known.
    pub(super) fn names(&self) -> u64 {
        self.names
    }
}

/// All letters of a source partition.
#[derive(Default)]
pub(super) struct LettersSeen {
    /// By the offsets of their originals, each offset's in the order of the log.
    letters: Vec<LetterSeen>,
    /// Orders and stamps of the deliveries that were given up.
    given_up: HashSet<(u64, i64), RandomState>,
    /// Originals that were asked for.
    pub(super) originals: HashMap<i64, Record, RandomState>,
}

impl LettersSeen {
    /// Reads those that were written at this time or later, and keeps the originals at `needed`.
    pub(super) fn read(
        reader: &mut dyn LogScan,
        topic: &str,
        span: Span,
        source: &TopicPartition,
        needed: &HashSet<i64, RandomState>,
        since_ms: i64,
    ) -> Result<Self, ScanError> {
        let mut letters = Self::default();
        reader.read(topic, &[span], &mut |seen| {
            if seen.timestamp_ms().is_none_or(|at_ms| at_ms >= since_ms) {
                letters.take(seen, source, needed);
            }
            ControlFlow::Continue(())
        })?;
        letters.given_up = letters.letters.iter().filter_map(|letter| Some((letter.names, letter.stamp()?))).collect();
        // The sort is stable.
        letters.letters.sort_by_key(|letter| letter.offset);
        Ok(letters)
    }

    fn take(&mut self, seen: &dyn Seen, source: &TopicPartition, needed: &HashSet<i64, RandomState>) {
        let Some(row) = LetterRow::read(seen).filter(|row| row.id.source == *source) else { return };
        let (record, offset) = (seen.record(), row.id.offset);
        let text = |name: &str| {
            let header = record.headers.iter().rev().find(|header| header.name == name)?;
            std::str::from_utf8(header.value.as_deref()?).ok()
        };
        let content = letter_of(&record, source, offset);
        let (original, request) = content.map_or((None, None), |content| (content.original, content.request));
        // One that is cut off ends near the limit.
        let request = request.filter(|request| request.len() + 4 <= REQUEST_BYTES_MAX);
        let stages = [Stage::Decode, Stage::Fold, Stage::Deliver];
        let stage = stages.into_iter().find(|stage| text("__connect.errors.stage") == Some(stage.as_str()));
        self.letters.push(LetterSeen {
            offset: offset.get(),
            reason: DeadLetterReason::ALL.into_iter().find(|reason| reason.as_str() == &*row.reason),
            stage,
            is_of_delivery: stage == Some(Stage::Deliver),
            first_failed_ms: row.first_failed_at.as_deref().and_then(ms).unwrap_or(i64::MAX),
            original: match (&original, text("order-sync.omitted")) {
                (Some(record), _) => Original::Whole(record_key(record)),
                (None, Some(measures)) => Original::Measured(short(measures.as_bytes())),
                (None, None) => Original::Gone,
            },
            stamp: row.update_time.unwrap_or(0),
            request: request.as_deref().map_or(0, short),
            times: row.times,
            names: names_key(row.app_id.as_deref(), row.order_id.as_deref()),
        });
        if let Some(record) = original.filter(|_| needed.contains(&offset.get())) {
            self.originals.insert(offset.get(), record);
        }
    }

    /// The letters of the record at this offset.
    pub(super) fn of(&self, offset: i64) -> &[LetterSeen] {
        let from = self.letters.partition_point(|letter| letter.offset < offset);
        let letters = self.letters.get(from..).unwrap_or_default();
        let count = letters.iter().take_while(|letter| letter.offset == offset).count();
        letters.get(..count).unwrap_or_default()
    }

    /// Whether a delivery of the order under this stamp was ever given up.
    pub(super) fn has_given_up(&self, order: u64, stamp: i64) -> bool {
        self.given_up.contains(&(order, stamp))
    }

    /// The offsets of their originals, the least first.
    pub(super) fn offsets(&self) -> impl Iterator<Item = i64> + '_ {
        self.letters.iter().map(|letter| letter.offset)
    }
}

/// Where a worker judges so.
const fn stage_of(reason: DeadLetterReason) -> Stage {
    match reason {
        DeadLetterReason::RecordTooLarge
        | DeadLetterReason::MissingKey
        | DeadLetterReason::MalformedEvent
        | DeadLetterReason::UnsupportedSchemaVersion
        | DeadLetterReason::UnknownApp
        | DeadLetterReason::TimeInFuture => Stage::Decode,
        DeadLetterReason::OlderThanRetained
        | DeadLetterReason::OrderTypeChanged
        | DeadLetterReason::StatusNotSupported
        | DeadLetterReason::IncompleteOrder
        | DeadLetterReason::MalformedOrder
        | DeadLetterReason::FieldOverLimit
        | DeadLetterReason::DocumentTooLarge => Stage::Fold,
        DeadLetterReason::RejectedByPlatform | DeadLetterReason::RetriesExhausted => Stage::Deliver,
    }
}

fn ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
