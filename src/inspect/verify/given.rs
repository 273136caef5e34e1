//! Commands that the partition's position has passed: each has left its outcome, whatever it came to.
//!
//! Outcomes are never removed, and what retention or compaction has taken of the commands topic is not asked about. Where a
//! changelog begins, by a rebase too, it records its settings anew, and with them how far commands had come: those before
//! that place may have been passed over.

use std::collections::HashSet;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::account::Account;
use super::evidence::{order_key, short};
use super::facts::Facts;
use super::outcome::Reason;
use super::partition::Asked;
use crate::order::Identity;
use crate::record::{NextOffset, RecordOffset};
use crate::sync::command::{Command, Read, read};
use crate::sync::scan::{LogScan, ScanError, Span};

/// So many are told.
const LOST_MAX: usize = 1000;

/// The ids that have an outcome, in short.
#[derive(Default)]
pub(super) struct Outcomes(HashSet<u64, RandomState>);

impl Outcomes {
    /// Puts one down.
    pub(super) fn put(&mut self, id: &str) {
        self.0.insert(short(id.as_bytes()));
    }

    fn has(&self, id: &str) -> bool {
        self.0.contains(&short(id.as_bytes()))
    }
}

/// A command without an outcome.
pub(super) struct Lost {
    /// Where it lies.
    command_offset: i64,
    /// What it is about.
    about: Option<RecordOffset>,
    order: Option<Identity>,
    words: String,
}

/// Looks for them. `from` is the place before which commands may have been passed over; without it nothing can be said.
pub(super) fn read_lost(
    reader: &mut dyn LogScan,
    asked: &Asked,
    facts: &Facts,
    from: Option<i64>,
) -> Result<Vec<Lost>, ScanError> {
    let mut lost = Vec::new();
    let partition = asked.source.partition;
    let until = facts.position.as_ref().and_then(|position| position.commands);
    let (Some(from), Some(until)) = (from, until) else { return Ok(lost) };
    if reader.partitions(&asked.commands)?.is_none_or(|count| partition >= count) {
        return Ok(lost);
    }
    let Some(extent) = reader.extents(&asked.commands, &[partition])?.first().copied() else { return Ok(lost) };
    let span = Span { partition, from: extent.from.max(NextOffset::new(from)), until: extent.until.min(until) };
    if span.offsets() == 0 {
        return Ok(lost);
    }
    reader.read(&asked.commands, &[span], &mut |seen| {
        let given = match read(seen.key(), seen.value()) {
            Read::Command(command) if command.source == asked.source => Given::of(command),
            Read::Refused { id, source, command, .. } if source == asked.source => {
                Given { id, word: command.into(), about: None, order: None }
            }
            Read::Command(_) | Read::Refused { .. } | Read::Unreadable(_) => return ControlFlow::Continue(()),
        };
        if !facts.outcomes.has(&given.id) {
            lost.push(given.lost(seen.offset().get()));
        }
        if lost.len() < LOST_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(lost)
}

/// A command in short.
struct Given {
    id: Box<str>,
    word: String,
    about: Option<RecordOffset>,
    order: Option<Identity>,
}

impl Given {
    fn of(command: Command) -> Self {
        let Command { id, action, .. } = command;
        let order = match action.subject() {
            (Some(app_id), Some(order_id)) => Some(Identity::new(app_id.clone(), order_id)),
            _ => None,
        };
        Self { id, word: action.as_str().to_owned(), about: action.offset(), order }
    }

    fn lost(self, command_offset: i64) -> Lost {
        let Self { id, word, about, order } = self;
        let words = format!(
            "the {word} at offset {command_offset} of the commands topic is executed by the position, and the changelog has no \
             outcome of it (id {})",
            id.escape_debug()
        );
        Lost { command_offset, about, order, words }
    }
}

impl Account<'_> {
    /// Tells those about a record or an order before what follows from them, and the others behind everything else.
    pub(super) fn tell_lost(&mut self, which: Which) {
        let begin = self.low.max(self.begin);
        let end = (self.facts.next().unwrap_or(0) - 1).max(begin);
        let all = self.lost;
        for lost in all.iter().filter(|lost| which == lost.which()) {
            let of_order = || self.facts.states.get(&order_key(lost.order.as_ref()?))?.state.as_ref();
            let about = lost.about.map(RecordOffset::get).or_else(|| Some(of_order()?.applied_offset));
            let at = about.unwrap_or_else(|| self.facts.acted_before(lost.command_offset)).clamp(begin, end);
            self.find(at, Reason::CommandMissing, lost.words.clone(), lost.order.as_ref());
        }
    }
}

/// Of what a lost command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Of a record or an order.
    OfOrders,
    /// Of an app.
    Others,
}

impl Lost {
    fn which(&self) -> Which {
        if self.about.is_some() || self.order.is_some() { Which::OfOrders } else { Which::Others }
    }
}

impl Facts {
    /// Where the source stood when the commands before this place had acted.
    fn acted_before(&self, command_offset: i64) -> i64 {
        let before = self.commands.iter().filter(|done| done.command_offset.get() < command_offset);
        before.map(|done| done.next.get()).max().unwrap_or(0)
    }
}
