//! Looks through a store for orders that may leave, page by page, on a thread of its own.
//!
//! What a page names are candidates: it knows nothing of what is not committed, or was committed a moment ago.
//! `retention.rs` asks for pages and decides, on the engine's thread.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::changelog::{LetterState, LetterStatus};
use super::ports::{Epoch, Inbox, Input, PortError, StateReader};
use crate::order::{Identity, OrderState, UpdateTime};
use crate::record::{RecordOffset, TopicPartition};

/// Asks may wait: there is one at a time.
const ASKS_MAX: usize = 4;

/// Reads a store in pages, in its own order.
pub trait StatePages: StateReader {
    /// Visits up to `rows` states behind `after`; what is written meanwhile may be seen or not.
    fn page_states(
        &self,
        source: &TopicPartition,
        after: Option<&Identity>,
        rows: usize,
        visit: &mut dyn FnMut(Identity, OrderState),
    ) -> Result<(), PortError>;
    /// The same for the statuses of dead letters, by offset.
    fn page_letters(
        &self,
        source: &TopicPartition,
        after: Option<RecordOffset>,
        rows: usize,
        visit: &mut dyn FnMut(RecordOffset, LetterStatus),
    ) -> Result<(), PortError>;
}

/// Looks through the store. Never waits; called from the engine thread.
pub trait Sweeper: Send {
    /// Looks through one page; the answer comes as [`Input::Swept`].
    fn ask(&mut self, ask: SweepAsk);
}

/// How far a pass over a partition has come: its orders first, then its letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepPlace {
    /// Behind this order.
    Orders(Option<Identity>),
    /// Behind the status of this letter.
    Letters(Option<RecordOffset>),
}

/// Which page to look through, and for what.
#[derive(Clone, Debug)]
pub struct SweepAsk {
    /// The partition's assignment.
    pub epoch: Epoch,
    /// The source partition.
    pub source: TopicPartition,
    /// Where the page begins.
    pub place: SweepPlace,
    /// What was touched at this time or later stays, milliseconds since the epoch.
    pub cutoff_ms: i64,
    /// Rows of the page.
    pub rows: usize,
}

/// The answer to an ask.
#[derive(Debug)]
pub struct Swept {
    /// The partition's assignment.
    pub epoch: Epoch,
    /// The source partition.
    pub source: TopicPartition,
    /// What was found, or why nothing can be.
    pub page: Result<SweepPage, PortError>,
}

/// What a page of the store holds that may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPage {
    /// Orders.
    pub orders: Vec<Identity>,
    /// Letters whose status may be forgotten.
    pub letters: Vec<RecordOffset>,
    /// Orders looked at.
    pub seen: usize,
    /// Where the next page begins; `None` at the end of the partition.
    pub next: Option<SweepPlace>,
}

/// Whether an order may leave by what its state says: at its end, not marked by a dead letter, and not touched since.
pub fn may_leave(state: &OrderState, cutoff_ms: i64) -> bool {
    state.status.is_final() && state.dead_letter.is_none() && stamp_ms(state.update_time) < cutoff_ms
}

/// Whether a letter's status may be forgotten by what it says: superseded, and not touched since. What a person has decided
/// is few, and stays.
pub fn may_be_forgotten(status: &LetterStatus, cutoff_ms: i64) -> bool {
    status.state == LetterState::Superseded && status.at_ms < cutoff_ms
}

/// The time of a stamp. Its magnitude tells its unit, which the app may have changed since.
fn stamp_ms(stamp: UpdateTime) -> i64 {
    if stamp.is_milliseconds() { stamp.0 } else { stamp.0.saturating_mul(1000) }
}

/// Looks through one page.
pub fn sweep(pages: &dyn StatePages, ask: &SweepAsk) -> Result<SweepPage, PortError> {
    let mut page = SweepPage { orders: Vec::new(), letters: Vec::new(), seen: 0, next: None };
    match &ask.place {
        SweepPlace::Orders(after) => {
            let mut last = None;
            pages.page_states(&ask.source, after.as_ref(), ask.rows, &mut |identity, state| {
                page.seen += 1;
                if may_leave(&state, ask.cutoff_ms) {
                    page.orders.push(identity.clone());
                }
                last = Some(identity);
            })?;
            let is_end = page.seen < ask.rows;
            page.next = Some(if is_end { SweepPlace::Letters(None) } else { SweepPlace::Orders(last) });
        }
        SweepPlace::Letters(after) => {
            let (mut rows, mut last, mut closed) = (0, None, Vec::new());
            pages.page_letters(&ask.source, *after, ask.rows, &mut |offset, status| {
                rows += 1;
                last = Some(offset);
                if may_be_forgotten(&status, ask.cutoff_ms) {
                    closed.push((offset, status.identity()));
                }
            })?;
            // The statuses of an order that is there stay as long as it does.
            for (offset, identity) in closed {
                let is_there = match identity {
                    Some(identity) => pages.state(&ask.source, &identity)?.is_some(),
                    None => false,
                };
                if !is_there {
                    page.letters.push(offset);
                }
            }
            page.next = last.filter(|_| rows == ask.rows).map(|last| SweepPlace::Letters(Some(last)));
        }
    }
    Ok(page)
}

/// The engine's end of the sweep's thread.
pub struct SweepThread {
    asks: SyncSender<SweepAsk>,
}

impl SweepThread {
    /// The sweeper, and the loop that the caller runs on a thread of its own: it ends when the sweeper is dropped.
    pub fn new(pages: Arc<dyn StatePages>, inbox: Arc<dyn Inbox>) -> (Self, impl FnOnce() + Send) {
        let (asks, queue) = sync_channel::<SweepAsk>(ASKS_MAX);
        let run = move || {
            while let Ok(ask) = queue.recv() {
                let page = sweep(pages.as_ref(), &ask);
                let SweepAsk { epoch, source, .. } = ask;
                if inbox.send(Input::Swept(Swept { epoch, source, page })).is_err() {
                    break;
                }
            }
        };
        (Self { asks }, run)
    }
}

impl Sweeper for SweepThread {
    fn ask(&mut self, ask: SweepAsk) {
        // A full or closed queue means that the thread has died; the supervisor sees that and ends the process.
        drop(self.asks.try_send(ask));
    }
}
