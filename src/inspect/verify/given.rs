//! Commands that the partition's position has passed: each has left its outcome, whatever it came to, and that says of the
//! command what the command says.
//!
//! Outcomes are never removed, and what retention or compaction has taken of the commands topic is not asked about. Where a
//! changelog begins, by a rebase too, it records its settings anew, and with them how far commands had come: those before
//! that place may have been passed over.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::account::Account;
use super::evidence::{order_key, short};
use super::facts::Facts;
use super::outcome::Reason;
use super::partition::Asked;
use crate::order::Identity;
use crate::record::{NextOffset, RecordOffset};
use crate::sync::command::{Command, CommandDone, Read, read};
use crate::sync::scan::{LogScan, ScanError, Span};

/// So many are told.
const LOST_MAX: usize = 1000;

/// What outcomes say of their commands, by the ids in short; `None` of one that cannot be read.
#[derive(Default)]
pub(super) struct Outcomes(HashMap<u64, Option<Said>, RandomState>);

/// What an outcome says of its command: the word, the record or the subject that it is about, each name in short, and where it
/// lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    word: u32,
    app: Option<NonZeroU32>,
    order: Option<NonZeroU32>,
    about: i64,
    command_offset: i64,
}

impl Said {
    /// The record of a command that is about none.
    const NO_RECORD: i64 = i64::MIN;
}

/// A name in 32 bits: what is looked for is another one in its place, not one among millions.
fn name(text: &str) -> u32 {
    u32::try_from(short(text.as_bytes()) >> 32).unwrap_or(u32::MAX)
}

/// The same of one that may not be there.
fn some_name(text: &str) -> Option<NonZeroU32> {
    NonZeroU32::new(name(text) | 1)
}

impl Outcomes {
    /// Puts one down. True where it was not there.
    pub(super) fn put(&mut self, id: &str, done: Option<&CommandDone>) -> bool {
        let said = done.map(|done| Said {
            word: name(&done.command),
            app: done.app_id.as_ref().and_then(|app_id| some_name(app_id.as_str())),
            order: done.order_id.as_deref().and_then(some_name),
            about: done.offset.map_or(Said::NO_RECORD, RecordOffset::get),
            command_offset: done.command_offset.get(),
        });
        self.0.insert(short(id.as_bytes()), said).is_none()
    }
}

/// A command without an outcome, or with that of another one.
pub(super) struct Lost {
    reason: Reason,
    /// Where it lies.
    command_offset: i64,
    /// What it is about.
    about: Option<RecordOffset>,
    order: Option<Identity>,
    words: String,
}

/// Looks for such. `from` is the place before which commands may have been passed over; without it nothing can be said.
pub(super) fn read_lost(
    reader: &mut dyn LogScan,
    asked: &Asked,
    facts: &Facts,
    from: Option<i64>,
) -> Result<Vec<Lost>, ScanError> {
    let (mut lost, mut others) = (Vec::new(), Vec::new());
    // By id and place.
    let mut agreeing: HashSet<(u64, i64), RandomState> = HashSet::default();
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
                Given { id, word: command.into(), about: None, app: None, order: None, is_read: false }
            }
            Read::Command(_) | Read::Refused { .. } | Read::Unreadable(_) => return ControlFlow::Continue(()),
        };
        let (at, id) = (seen.offset().get(), short(given.id.as_bytes()));
        match facts.outcomes.0.get(&id) {
            None => lost.push(given.lost(at)),
            Some(Some(said)) if given.contradicts(said) => {
                others.push((id, None, given.other(at, "its word, or what it is about")));
            }
            Some(Some(said)) => {
                agreeing.insert((id, at));
                if said.command_offset != at {
                    others.push((id, Some(said.command_offset), given.other(at, "where it lay")));
                }
            }
            Some(None) => {}
        }
        let is_full = lost.len() >= LOST_MAX || others.len() >= LOST_MAX;
        if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    // One that was given again lies at several places, and has acted by the first of them.
    let first = |id: u64| facts.outcomes.0.get(&id).copied().flatten().map(|said| said.command_offset);
    let is_excused = |id: u64, said: Option<i64>| {
        said.or(first(id)).is_some_and(|said| said < span.from.get() || agreeing.contains(&(id, said)))
    };
    lost.extend(others.into_iter().filter(|(id, said, _)| !is_excused(*id, *said)).map(|(.., other)| other));
    Ok(lost)
}

/// A command in short.
struct Given {
    id: Box<str>,
    word: String,
    about: Option<RecordOffset>,
    app: Option<NonZeroU32>,
    order: Option<Identity>,
    /// Whether this release knows such commands.
    is_read: bool,
}

impl Given {
    fn of(command: Command) -> Self {
        let Command { id, action, .. } = command;
        let (app, order) = action.subject();
        let app_short = app.and_then(|app_id| some_name(app_id.as_str()));
        let order = app.zip(order).map(|(app_id, order_id)| Identity::new(app_id.clone(), order_id));
        Self { id, word: action.as_str().to_owned(), about: action.offset(), app: app_short, order, is_read: true }
    }

    /// Whether the outcome is of another command. One about a record does not say the order, and what a worker could not read
    /// it has refused by its word alone.
    fn contradicts(&self, said: &Said) -> bool {
        let order = self.order.as_ref().and_then(|order| some_name(&order.order_id));
        let about = self.about.map_or(Said::NO_RECORD, RecordOffset::get);
        said.word != name(&self.word)
            || (self.is_read && said.about != Said::NO_RECORD && said.about != about)
            || self.app.zip(said.app).is_some_and(|(app, said)| said != app)
            || order.zip(said.order).is_some_and(|(order, said)| said != order)
    }

    fn lost(self, command_offset: i64) -> Lost {
        let Self { id, word, about, order, .. } = self;
        let words = format!(
            "the {word} at offset {command_offset} of the commands topic is executed by the position, and the changelog has no \
             outcome of it (id {})",
            id.escape_debug()
        );
        Lost { reason: Reason::CommandMissing, command_offset, about, order, words }
    }

    fn other(self, command_offset: i64, what: &str) -> Lost {
        let Self { id, word, about, order, .. } = self;
        let words = format!(
            "the outcome of the {word} at offset {command_offset} of the commands topic says another thing of it: {what} (id {})",
            id.escape_debug()
        );
        Lost { reason: Reason::CommandDiffers, command_offset, about, order, words }
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
            self.find(at, lost.reason, lost.words.clone(), lost.order.as_ref());
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
