//! The dead letters of a group, the newest first, each id once and with its status.
//!
//! An id may stand twice in the topic: its event was sent again and came back, or, without transactions, a worker was
//! killed between letter and position. The newest letter is the one that counts, so ids that were met are remembered: of
//! 4 million letters at most, in 64 MB (128 MB where the earlier ones are told,
//! too). Two copies further apart than that would be told twice.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::backward::Backward;
use super::letter::{LetterId, LetterRow};
use super::statuses::{Statuses, Word};
use super::unread::Unread;
use crate::sync::changelog::LetterState;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// How many ids are remembered.
const MET_MAX: usize = 4_000_000;

/// Which letters are wanted; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of a record that came back.
    pub copies: Copies,
    /// One of these; all where it is empty.
    pub ids: BTreeSet<LetterId>,
    /// One of these reasons.
    pub reasons: Vec<String>,
    /// One of these statuses.
    pub statuses: Vec<LetterState>,
    /// One of these orders.
    pub orders: Vec<String>,
    /// One of these apps.
    pub apps: Vec<String>,
    /// The source topic.
    pub topic: Option<String>,
    /// The partition.
    pub partition: Option<i32>,
    /// One of these codes of the platform.
    pub err_codes: Vec<i64>,
    /// The last failure at this time or later, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// The last failure before this time.
    pub until_ms: Option<i64>,
}

impl Filter {
    /// What the letter itself can tell.
    fn wants(&self, row: &LetterRow) -> bool {
        let among = |wanted: &[String], value: Option<&str>| {
            wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|one| one == value))
        };
        let time = || row.last_failed_ms();
        (self.ids.is_empty() || self.ids.contains(&row.id))
            && among(&self.reasons, Some(&row.reason))
            && among(&self.orders, row.order_id.as_deref())
            && among(&self.apps, row.app())
            && self.topic.as_deref().is_none_or(|topic| topic == &*row.id.source.topic)
            && self.partition.is_none_or(|partition| partition == row.id.source.partition)
            && (self.err_codes.is_empty() || row.err_code.is_some_and(|code| self.err_codes.contains(&code)))
            && self.since_ms.is_none_or(|since| since <= time())
            && self.until_ms.is_none_or(|until| time() < until)
    }
}

/// A letter with what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The letter.
    pub row: LetterRow,
    /// The changelog's word on it.
    pub word: Word,
}

impl Listed {
    /// What has become of it, as far as it is known. One that is forgotten was closed: only what was folded can have been
    /// superseded.
    pub fn state(&self) -> LetterState {
        match (self.word, self.row.update_time) {
            (Word::Status(status), _) => status.state,
            (Word::Forgotten, Some(_)) => LetterState::Superseded,
            (Word::Forgotten, None) => LetterState::Discarded,
            (Word::CameBack, _) => LetterState::Redriven,
            (Word::Unreadable | Word::Unknown, _) => LetterState::Open,
        }
    }

    /// When it became so, milliseconds since the epoch, where that is known.
    pub fn state_at_ms(&self) -> Option<i64> {
        if let Word::Status(status) = self.word { Some(status.at_ms) } else { None }
    }
}

/// Which letters of a record are told that came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// The newest, which is the one that counts.
    #[default]
    Newest,
    /// Every one of them.
    Every,
    /// Every one of a record whose newest is wanted, whatever the others say.
    WithNewest,
}

/// The letters, the newest first.
pub struct Letters {
    rows: Backward<LetterRow>,
    statuses: Statuses,
    filter: Filter,
    met: Met,
    foreign: u64,
}

impl Letters {
    /// The letters in `topic`, whose partitions reach as the spans say.
    pub fn new(topic: &str, spans: &[Span], statuses: Statuses, filter: Filter) -> Self {
        Self { rows: Backward::new(topic, spans), statuses, filter, met: Met::default(), foreign: 0 }
    }

    /// The next one that is wanted; `None` behind the last. `progress` is told how much has been read, and of how much.
    pub fn next(
        &mut self,
        scan: &mut dyn LogScan,
        progress: &mut dyn FnMut((u64, u64)),
    ) -> Result<Option<Listed>, ScanError> {
        loop {
            let (foreign, met, filter) = (&mut self.foreign, &mut self.met, &self.filter);
            let mut keep = |seen: &dyn Seen| {
                let row = LetterRow::read(seen);
                *foreign += u64::from(row.is_none());
                row
            };
            let mut choose = |row: &LetterRow| match filter.copies {
                Copies::Newest => met.is_new(&row.id) && filter.wants(row),
                Copies::Every => filter.wants(row),
                Copies::WithNewest if met.is_new(&row.id) => filter.wants(row) && met.want(&row.id),
                Copies::WithNewest => met.is_wanted(&row.id),
            };
            let row = match self.rows.step(scan, &mut keep, &mut choose)? {
                ControlFlow::Continue(()) => {
                    progress(self.rows.progress());
                    continue;
                }
                ControlFlow::Break(None) => return Ok(None),
                ControlFlow::Break(Some((_, row))) => row,
            };
            let is_newest = match self.filter.copies {
                Copies::Newest => true,
                Copies::Every => self.met.is_new(&row.id),
                Copies::WithNewest => match self.met.is_told(&row.id) {
                    Some(is_told) => !is_told,
                    None => continue,
                },
            };
            // A status is told once, and it is that of the newest.
            let word = if is_newest { self.statuses.take(scan, &row.id, row.written_ms)? } else { Word::CameBack };
            let listed = Listed { row, word };
            let is_asked = is_newest || self.filter.copies == Copies::Every;
            if !is_asked || self.filter.statuses.is_empty() || self.filter.statuses.contains(&listed.state()) {
                return Ok(Some(listed));
            }
            self.met.leave(&listed.row.id);
        }
    }

    /// Whether everything has been read.
    pub fn is_read(&self) -> bool {
        let (read, total) = self.rows.progress();
        read >= total
    }

    /// Statuses that cannot be read.
    pub fn unread(&self) -> &Unread {
        self.statuses.unread()
    }

    /// Records of the topic that are no dead letters of ours.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }
}

/// Ids that were met; the longest forgotten first.
#[derive(Default)]
struct Met {
    known: HashSet<u64, RandomState>,
    /// Those of which every letter is wanted, and whether the newest is told.
    wanted: HashMap<u64, bool, RandomState>,
    order: VecDeque<u64>,
    hasher: RandomState,
}

impl Met {
    /// 64 bits: among four million ids two share one with a chance of one in two million.
    fn short(&self, id: &LetterId) -> u64 {
        std::hash::BuildHasher::hash_one(&self.hasher, id)
    }

    fn want(&mut self, id: &LetterId) -> bool {
        self.wanted.insert(self.short(id), false);
        true
    }

    fn is_wanted(&self, id: &LetterId) -> bool {
        self.wanted.contains_key(&self.short(id))
    }

    /// Whether the newest is told, which it is from now on; `None` where the letters of this id are not wanted.
    fn is_told(&mut self, id: &LetterId) -> Option<bool> {
        let id = self.short(id);
        self.wanted.get_mut(&id).map(|told| std::mem::replace(told, true))
    }

    fn leave(&mut self, id: &LetterId) {
        self.wanted.remove(&self.short(id));
    }

    fn is_new(&mut self, id: &LetterId) -> bool {
        let id = self.short(id);
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MET_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.wanted.remove(&oldest);
        }
        true
    }
}
