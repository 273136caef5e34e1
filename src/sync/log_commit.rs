//! The commit by a transaction: changelog, dead letters and offsets at once, or nothing of it; then the cache.
//!
//! What became of a commit that answered neither yes nor no is found out here, by its commit number, before anything
//! of it is delivered or written again.

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::cache::{Cache, CacheWriter, Due};
use super::changelog::{ChangelogRecord, Gathered, write_records};
use super::commit::{CommitCut, CutCommit, CutPart, LetterDesk};
use super::letter::Letter;
use super::log_ports::{ChangelogSource, Patience, Receipt, TransactError, Transaction, TransactionLog};
use super::ports::{PortError, Position, StateReader as _};
use crate::record::{NextOffset, TopicPartition};
use crate::telemetry::event;

/// Wait between two tries to find out what became of a commit.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The commit by a transaction.
pub struct LogCommit {
    /// The transactions.
    pub log: Box<dyn TransactionLog>,
    /// Reads commit numbers back.
    pub changelog: Box<dyn ChangelogSource>,
    /// The store as a cache.
    pub cache: Cache,
    /// Writes the cache out beside the commits; without it, the commits do.
    pub writer: Option<CacheWriter>,
    /// Makes the letters.
    pub letters: LetterDesk,
    /// Waits, unless the worker ends.
    pub patience: Box<dyn Patience>,
}

/// What became of a commit that answered neither yes nor no.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Committed(Vec<Receipt>),
    NeverWas,
}

impl CutCommit for LogCommit {
    fn commit(&mut self, cut: &CommitCut) -> Result<(), PortError> {
        let letters = self.letters.letters(cut)?;
        let receipts = self.transact(cut, letters)?;
        match (self.cache.commit(cut, &receipts, self.patience.wall_ms()), &self.writer) {
            (Due::Later, _) => Ok(()),
            (Due::Soon, Some(writer)) => {
                writer.wake();
                Ok(())
            }
            (Due::Soon, None) | (Due::Now, _) => self.cache.write_out(),
        }
    }

    fn is_at_end(&mut self, source: &TopicPartition, next: NextOffset) -> Result<bool, PortError> {
        self.letters.source.is_at_end(source, next)
    }

    fn rest(&mut self) {
        self.log.rest();
        self.letters.source.rest();
    }

    fn close(&mut self) {
        // What the store does not take now is read from the changelog at the next start.
        if let Err(error) = self.cache.write_out() {
            event::CacheNotWritten { error: &error.to_string() }.emit();
        }
    }
}

impl LogCommit {
    /// Writes the cut by one transaction; comes back only when it is known whether it is there.
    fn transact(&mut self, cut: &CommitCut, letters: Vec<Letter>) -> Result<Vec<Receipt>, PortError> {
        let transaction = Transaction { parts: cut.parts.clone(), letters, behind: self.known(cut)? };
        loop {
            match self.log.transact(&transaction) {
                Ok(receipts) => return Ok(receipts),
                Err(TransactError::Aborted(error)) => return Err(error),
                Err(TransactError::Unknown(words)) => {
                    event::CommitUnknown { error: &words }.emit();
                    match self.fate(cut)? {
                        Fate::Committed(receipts) => return Ok(receipts),
                        Fate::NeverWas => {}
                    }
                }
            }
        }
    }

    /// How far the changelog reaches at least: each part's own commits, or the restore that it began with, have said so.
    fn known(&self, cut: &CommitCut) -> Result<Vec<Receipt>, PortError> {
        let mut known = Vec::with_capacity(cut.parts.len());
        for part in &cut.parts {
            known.extend(self.cache.changelog(&part.source)?.map(|place| (part.source.clone(), place)));
        }
        Ok(known)
    }

    /// Finds out what became of the commit of `cut`. Asks until there is an answer: to deliver before would push what may
    /// not be in the log, and to write again could write twice.
    fn fate(&mut self, cut: &CommitCut) -> Result<Fate, PortError> {
        loop {
            match self.log.recover().and_then(|()| self.look_back(cut)) {
                Ok(fate) => return Ok(fate),
                Err(fatal @ (PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..))) => {
                    return Err(fatal);
                }
                Err(PortError::Passing(words)) => {
                    event::CommitUnknown { error: &words }.emit();
                    let closed =
                        |_| PortError::Passing("the worker ends before a commit's outcome is known".to_owned());
                    self.patience.pause(ASK_AGAIN).map_err(closed)?;
                }
            }
        }
    }

    /// Reads every part's commit number back. One that is still the old one says that nothing of the commit is there. All
    /// of them are looked at, as a partition that has moved may have got the number from its new owner.
    fn look_back(&mut self, cut: &CommitCut) -> Result<Fate, PortError> {
        let mut strangers = Vec::new();
        for part in &cut.parts {
            let (position, is_there) = self.read_back(part)?;
            let number = position.as_ref().map_or(0, |position| position.commit_number);
            if number < part.position.commit_number {
                return Ok(Fate::NeverWas);
            }
            // No receipt: what has our records may be the next owner's, and have more than ours.
            if !is_there || position.as_ref() != Some(&part.position) {
                strangers.push((&part.source, part.epoch));
            }
        }
        // Whoever went on with these has the partition; what we hold of it is not what the changelog says.
        for (source, epoch) in strangers {
            self.cache.leave(source, epoch);
        }
        Ok(Fate::Committed(Vec::new()))
    }

    /// The partition's position in the changelog, and whether all that the cut has of it is there: a new owner may have
    /// committed the very same position, and other results. After [`TransactionLog::recover`]
    /// nothing of this worker is undecided; another's open transaction is waited for by the caller's next try.
    fn read_back(&mut self, part: &CutPart) -> Result<(Option<Position>, bool), PortError> {
        let partition = part.source.partition;
        let extent = self.changelog.extent(partition)?;
        let known = self.cache.changelog(&part.source)?.filter(|place| *place >= extent.low).unwrap_or(extent.low);
        let mut position: Option<Position> = None;
        let hasher = RandomState::default();
        let mut missing = HashSet::new();
        write_records(part, &mut |key, value, _| {
            missing.insert(hasher.hash_one((key, value)));
            Ok::<(), PortError>(())
        })?;
        let mut visit = |record: &ChangelogRecord| {
            missing.remove(&hasher.hash_one((record.key.as_slice(), record.value.as_deref())));
            let mut one = Gathered::default();
            let unreadable = |error: super::changelog::GatherError| PortError::Fatal(error.to_string());
            one.take(&part.source.topic, record).map_err(unreadable)?;
            position = one.position.or(position.take());
            Ok(())
        };
        let end = self.changelog.read_through(partition, known, &mut visit)?;
        if end < extent.high {
            return Err(PortError::Passing(format!("a transaction is still open in changelog partition {partition}")));
        }
        let position = position.map_or_else(|| self.cache.position(&part.source), |found| Ok(Some(found)))?;
        Ok((position, missing.is_empty()))
    }
}

#[cfg(test)]
#[path = "log_commit_tests.rs"]
mod tests;
