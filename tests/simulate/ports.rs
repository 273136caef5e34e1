//! What a worker's commit and restore threads see of the brokers: connections that break, answers that are lost, requests
//! that arrive late. The engine's own code decides what to make of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use order_sync::record::{NextOffset, Record, RecordOffset, TopicPartition};
use order_sync::sync::changelog::ChangelogRecord;
use order_sync::sync::log_ports::{ChangelogExtent, ChangelogSource, Patience, ReadTo};
use order_sync::sync::ports::{Closed, Epoch, Membership, PortError, SourceReader};

use super::audit::TOPIC;
use super::kafka::Kafka;
use super::plant::Plant;
use super::script::{Event, FIRST_MS};
use super::turnstile::Gate;

/// One step of a connection.
pub(crate) const STEP: Duration = Duration::from_millis(5);

/// Which brokers are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    #[default]
    All,
    /// All but the coordinator of transactions.
    NoCoordinator,
    Nobody,
}

/// What a worker's client knows of the group, and how its connection is.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a connection may be each of it, or not")]
pub(crate) struct View {
    pub(crate) member: u64,
    pub(crate) generation: u32,
    /// What it owns, and what it is giving back, with the assignment of each.
    pub(crate) owned: BTreeMap<usize, Epoch>,
    /// It is not a member, and knows it.
    pub(crate) is_lost: bool,
    /// Whom it reaches.
    pub(crate) reach: Reach,
    /// One request in so many fails; none where the weather is fair.
    pub(crate) faults: Option<u32>,
    /// The wall clock's lead over true time, milliseconds.
    pub(crate) clock_ms: i64,
    /// Every step of a commit takes its time, though nothing fails.
    pub(crate) is_slow: bool,
    /// The next request to commit gets no answer, and nobody but the brokers of the changelog is reached then.
    pub(crate) is_ambushed: bool,
    /// The process was stopped for long, and no commit has succeeded since.
    pub(crate) was_silent: bool,
}

/// Everything that the ports of one worker share.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) kafka: Arc<Mutex<Kafka>>,
    pub(crate) view: Arc<Mutex<View>>,
    /// The store's own id.
    pub(crate) store: u64,
    pub(crate) plant: Plant,
}

/// How a request fares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fare {
    Well,
    Lost,
    AnswerLost,
    Late,
}

pub(crate) fn source(partition: usize) -> TopicPartition {
    TopicPartition::new(TOPIC, i32::try_from(partition).unwrap())
}

pub(crate) fn number(source: &TopicPartition) -> usize {
    usize::try_from(source.partition).unwrap()
}

pub(crate) fn record(offset: i64, event: &Event) -> Record {
    Record {
        offset: RecordOffset::new(offset),
        timestamp_ms: Some(1_700_000_000_000 + offset),
        key: Some(event.order.as_bytes().into()),
        value: event.value().map(|value| value.into_bytes().into()),
        headers: Vec::new(),
    }
}

pub(crate) fn away() -> PortError {
    PortError::Passing("no broker is reached".to_owned())
}

impl Wire {
    pub(crate) fn kafka(&self) -> MutexGuard<'_, Kafka> {
        self.kafka.lock().unwrap()
    }

    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap()
    }

    /// Nothing fails, and so nobody needs to be slow.
    pub(crate) fn is_fair(&self) -> bool {
        let view = self.view();
        view.faults.is_none() && view.reach == Reach::All
    }

    pub(crate) fn fare(&self) -> Fare {
        let view = self.view();
        let mut kafka = self.kafka();
        if view.reach == Reach::Nobody {
            return Fare::Lost;
        }
        match view.faults {
            Some(one_in) if kafka.rng.u32(..one_in) == 0 => match kafka.rng.u8(..3) {
                0 => Fare::Lost,
                1 => Fare::AnswerLost,
                _ => Fare::Late,
            },
            Some(_) | None => Fare::Well,
        }
    }

    /// Whether the coordinator is gone with this very request to commit.
    pub(crate) fn springs(&self) -> bool {
        let mut view = self.view();
        let springs = view.is_ambushed && view.reach == Reach::All;
        if springs {
            (view.is_ambushed, view.reach) = (false, Reach::NoCoordinator);
            self.kafka().ambushed = true;
        }
        springs
    }

    /// A question that changes nothing.
    pub(crate) fn ask(&self) -> Result<MutexGuard<'_, Kafka>, PortError> {
        if self.fare() == Fare::Well { Ok(self.kafka()) } else { Err(away()) }
    }
}

/// Reads the changelog, and the group's offsets.
pub(crate) struct Reader {
    pub(crate) wire: Wire,
    /// Where it waits between two questions: none on the simulation's own thread.
    pub(crate) gate: Option<Gate>,
    /// It has waited for an open transaction, and under a planted bug does so for ever.
    pub(crate) is_stuck: bool,
}

impl Reader {
    fn wait(&self) -> Result<(), PortError> {
        let Some(gate) = self.gate.as_ref().filter(|_| !self.wire.is_fair()) else { return Ok(()) };
        gate.wait(STEP).map_err(|Closed| PortError::Fatal("the process died".to_owned()))
    }
}

impl ChangelogSource for Reader {
    fn committed(&mut self, source: &TopicPartition) -> Result<Option<NextOffset>, PortError> {
        self.wait()?;
        let kafka = self.wire.ask()?;
        let offset = match kafka.stable_offset(number(source)) {
            Err(_) if self.wire.plant == Plant::UnstableOffset => Ok(kafka.offset(number(source))),
            stable => stable,
        };
        let offset = offset.map_err(|refused| PortError::Passing(format!("the broker says {refused:?}")))?;
        Ok(offset.map(NextOffset::new))
    }

    fn extent(&mut self, partition: i32) -> Result<ChangelogExtent, PortError> {
        self.wait()?;
        let kafka = self.wire.ask()?;
        let partition = usize::try_from(partition).unwrap();
        let high = match self.wire.plant {
            Plant::EndAsCommitted => kafka.last_stable(partition),
            _ => kafka.end_of(partition),
        };
        Ok(ChangelogExtent { low: NextOffset::new(0), high: NextOffset::new(high) })
    }

    fn read(
        &mut self,
        partition: i32,
        from: NextOffset,
        visit: &mut dyn FnMut(&ChangelogRecord) -> Result<(), PortError>,
    ) -> Result<ReadTo, PortError> {
        self.wait()?;
        let (records, pause, stable, end) = {
            let kafka = self.wire.ask()?;
            let partition = usize::try_from(partition).unwrap();
            let stable = kafka.last_stable(partition).max(from.get());
            // Behind a slow way some reads come to their end in parts.
            let half = from.get() + (stable - from.get()) / 2;
            let pause = Some(half).filter(|half| *half > from.get() && stable % 11 == 0);
            (kafka.committed(partition, from.get(), pause.unwrap_or(stable)), pause, stable, kafka.end_of(partition))
        };
        for record in &records {
            visit(record)?;
        }
        if let Some(at) = pause {
            let at = NextOffset::new(at);
            return Ok(if stable % 2 == 0 { ReadTo::Part(at) } else { ReadTo::Pause(at, "no answer".to_owned()) });
        }
        match self.wire.plant {
            Plant::ReadStopsEarly => Ok(ReadTo::End(NextOffset::new(end))),
            Plant::RestoreWedged if stable < end || self.is_stuck => {
                self.is_stuck = true;
                Err(PortError::Passing("waits for ever".to_owned()))
            }
            _ => Ok(ReadTo::End(NextOffset::new(stable))),
        }
    }
}

/// Waits, and reads the worker's clock.
pub(crate) struct Clock {
    pub(crate) wire: Wire,
    pub(crate) gate: Gate,
}

impl Patience for Clock {
    fn pause(&self, wait: Duration) -> Result<(), Closed> {
        self.gate.wait(wait)
    }

    fn wall_ms(&self) -> i64 {
        let now = self.wire.kafka().now;
        wall_ms(now, self.wire.view().clock_ms)
    }
}

/// A worker's wall clock. Events begin some seconds before it, and go on ahead of it in some logs.
pub(crate) fn wall_ms(now: Duration, lead_ms: i64) -> i64 {
    FIRST_MS + 20_000 + i64::try_from(now.as_millis()).unwrap() + lead_ms
}

/// Reads source records again, for letters.
pub(crate) struct Originals(pub(crate) Wire);

impl SourceReader for Originals {
    fn read(&mut self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<Record>, PortError> {
        let kafka = self.0.ask()?;
        let log = &kafka.audit.script[number(source)];
        Ok(log.events.get(usize::try_from(offset.get()).unwrap()).map(|event| record(offset.get(), event)))
    }

    fn is_at_end(&mut self, _source: &TopicPartition, _next: NextOffset) -> Result<bool, PortError> {
        Ok(true)
    }
}

/// Whether the process was stopped for so long that its partitions may be somebody else's.
pub(crate) struct Silence(pub(crate) Wire);

impl Membership for Silence {
    fn is_in_doubt(&self) -> bool {
        self.0.view().was_silent && self.0.plant != Plant::SilenceNotNoticed
    }

    fn take_up(&mut self) {
        self.0.view().was_silent = false;
    }
}
