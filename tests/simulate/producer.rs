//! The worker's transactions over a connection that breaks: the one place where the simulation stands in for the client
//! library. What to make of each answer is the engine's.

use std::collections::BTreeMap;
use std::sync::MutexGuard;
use std::time::Duration;

use order_sync::record::NextOffset;
use order_sync::sync::changelog::{ChangelogRecord, records};
use order_sync::sync::commit::CutPart;
use order_sync::sync::log_ports::{Receipt, TransactError, Transaction, TransactionLog};
use order_sync::sync::ports::{Closed, PortError};

use super::audit::Written;
use super::kafka::{Kafka, Refused};
use super::plant::Plant;
use super::ports::{Fare, Reach, STEP, Wire, away, number};
use super::turnstile::Gate;

/// A request without an answer is given up after this time.
const LONG: Duration = Duration::from_millis(1500);

/// The worker's producer.
pub(crate) struct Log {
    pub(crate) wire: Wire,
    pub(crate) gate: Gate,
    pub(crate) epoch: Option<u32>,
    /// Offsets as they were sent last.
    pub(crate) sent: BTreeMap<usize, i64>,
}

impl Log {
    fn wait(&self, time: Duration) -> Result<(), PortError> {
        if self.wire.is_fair() && !self.wire.view().is_slow && time == STEP {
            return Ok(());
        }
        self.gate.wait(time).map_err(|Closed| PortError::Fatal("the process died".to_owned()))
    }

    /// A request to the coordinator of transactions, or one that makes sense with it only.
    fn ask(&self) -> Result<MutexGuard<'_, Kafka>, PortError> {
        if self.wire.view().reach == Reach::NoCoordinator { Err(away()) } else { self.wire.ask() }
    }

    fn epoch(&mut self) -> Result<u32, PortError> {
        if self.epoch.is_none() {
            self.wait(STEP)?;
            let epoch = self.ask()?.init_producer(self.wire.store);
            self.epoch = Some(epoch.map_err(|refused| self.refused(refused))?);
        }
        self.epoch.ok_or_else(away)
    }

    fn refused(&mut self, refused: Refused) -> PortError {
        if refused != Refused::Concurrent {
            self.epoch = None;
        }
        PortError::Passing(format!("the broker says {refused:?}"))
    }

    /// Writes everything but the end.
    fn fill(&mut self, epoch: u32, transaction: &Transaction) -> Result<Vec<Receipt>, PortError> {
        let member = {
            let view = self.wire.view();
            if view.is_lost {
                return Err(PortError::Passing("no member".to_owned()));
            }
            let strange = |part: &&CutPart| view.owned.get(&number(&part.source)) != Some(&part.epoch);
            if self.wire.plant != Plant::OwnershipNotChecked
                && let Some(part) = transaction.parts.iter().find(strange)
            {
                return Err(PortError::Passing(format!("{} has moved on", part.source)));
            }
            (view.member, view.generation)
        };
        let mut receipts = Vec::new();
        for part in &transaction.parts {
            self.wait(STEP)?;
            let mut records = records(part)?;
            let unwritten: Option<&[u8]> = match self.wire.plant {
                Plant::SettledNotWritten => Some(b"[1,\"owed\""),
                Plant::LeavesWithoutTombstone => Some(b"[1,\"state\""),
                _ => None,
            };
            if let Some(kind) = unwritten {
                records.retain(|record| record.value.is_some() || !record.key.starts_with(kind));
            }
            if self.wire.plant == Plant::DecisionsNotWritten {
                records.retain(|record| !is_decision(record));
            }
            let end = self.ask()?.append(self.wire.store, epoch, number(&part.source), &records);
            receipts.push((part.source.clone(), NextOffset::new(end.map_err(|r| self.refused(r))?)));
        }
        if self.wire.plant == Plant::LettersBesideTransaction && !transaction.letters.is_empty() {
            let letters = transaction.letters.clone();
            self.wire.kafka().audit.committed(&Written { letters, ..Written::default() });
        }
        let lettered = self.ask()?.append_letters(self.wire.store, epoch, &transaction.letters);
        lettered.map_err(|r| self.refused(r))?;
        self.wait(STEP)?;
        let mut offsets: Vec<(usize, i64)> =
            transaction.parts.iter().map(|part| (number(&part.source), part.position.next.get())).collect();
        if self.wire.plant == Plant::OffsetBehind {
            for (_, next) in &mut offsets {
                *next = (*next - 1).max(0);
            }
        }
        if self.wire.plant == Plant::OffsetsNotSentAgain {
            offsets.retain(|(partition, next)| self.sent.get(partition) != Some(next));
        }
        let member = match self.wire.plant {
            Plant::FenceInTwoParts => {
                let view = self.wire.view();
                (view.member, view.generation)
            }
            _ => member,
        };
        let added = self.ask()?.add_offsets(self.wire.store, epoch, member, &offsets);
        added.map_err(|r| self.refused(r))?;
        self.sent.extend(offsets);
        Ok(receipts)
    }

    /// An aborted transaction is ended by a new producer, where the broker is reached.
    fn abort(&mut self) {
        self.epoch = self.ask().ok().and_then(|mut kafka| kafka.init_producer(self.wire.store).ok());
    }

    fn unknown(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, TransactError> {
        match self.wire.plant {
            Plant::UnknownIsYes => Ok(receipts),
            Plant::UnknownIsNo => Err(away().into()),
            _ => Err(TransactError::Unknown("no answer to a commit".to_owned())),
        }
    }
}

/// Whether it says what an operator has decided of a letter.
fn is_decision(record: &ChangelogRecord) -> bool {
    let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
    let words = [r#""state":"redriven""#, r#""state":"discarded""#];
    record.key.starts_with(b"[1,\"letter\"") && words.iter().any(|word| value.contains(word))
}

impl TransactionLog for Log {
    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<Receipt>, TransactError> {
        let epoch = self.epoch()?;
        let receipts = match self.fill(epoch, transaction) {
            Ok(receipts) => receipts,
            Err(error) => {
                if self.gate.is_dead() {
                    return Err(error.into());
                }
                self.abort();
                return Err(error.into());
            }
        };
        self.wait(STEP)?;
        let springs = self.wire.springs();
        let reach = self.wire.view().reach;
        let fare = if springs || reach == Reach::NoCoordinator { Fare::Lost } else { self.wire.fare() };
        match fare {
            Fare::Well => {
                let committed = self.wire.kafka().commit(self.wire.store, epoch);
                match committed {
                    Ok(()) => {
                        self.wait(STEP)?;
                        return Ok(receipts);
                    }
                    Err(refused) => drop(self.refused(refused)),
                }
            }
            Fare::AnswerLost => drop(self.wire.kafka().commit(self.wire.store, epoch)),
            Fare::Late => {
                let mut kafka = self.wire.kafka();
                let delay = Duration::from_millis(kafka.rng.u64(50..4000));
                kafka.commit_later(self.wire.store, epoch, delay);
            }
            Fare::Lost => {}
        }
        self.wait(LONG)?;
        self.unknown(receipts)
    }

    fn recover(&mut self) -> Result<(), PortError> {
        self.epoch = None;
        self.epoch().map(drop)
    }
}
