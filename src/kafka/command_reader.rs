//! What the thread does that reads the commands topic: it follows what it is asked to, and tells each command to the engine when
//! its turn has come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::command_ends::EndsWatch;
use super::command_feed::Ask;
use super::command_places::{Queue, Unplaced};
use super::command_records::{Attached, CommandRecords};
use super::consumer::lookup;
use super::failure::{Halt, asking_error, describe, port_error};
use super::status::{Problem, Status};
use super::unjoined::Unjoined;
use crate::config::StartFrom;
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::command::{Read, read};
use crate::sync::command_ports::{CommandInput, CommandNews, Incoming};
use crate::sync::followers::{Ahead, Followers};
use crate::sync::intake::IntakeBudget;
use crate::sync::ports::{Closed, Epoch, Inbox, Input, PortError, StateReader};
use crate::sync::unexecuted::{Begin, begin};
use crate::telemetry::event;

/// How long the reader waits for a record before it looks whether it is to stop, or to follow another partition.
const POLL: Duration = Duration::from_millis(50);
/// What to do about a topic that is not what it was.
const IF_LOST: &str = "the topic was made anew, or its records were lost. Start again: it is read from its beginning then, and what \
                       has no outcome is executed";
/// The wait after a question that was not answered.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Reader {
    pub(super) topic: String,
    pub(super) consumer: Unjoined,
    pub(super) records: CommandRecords,
    /// Knows what was executed.
    pub(super) store: Arc<dyn StateReader>,
    pub(super) asked: Receiver<Ask>,
    /// What is to be followed and has no place yet.
    pub(super) unplaced: Queue,
    /// One of them whose question has failed: it is told, and others after it.
    pub(super) stuck: Option<TopicPartition>,
    pub(super) followers: Followers,
    /// So many bytes of commands may wait with them.
    pub(super) room: usize,
    /// How far each partition's engine was told.
    pub(super) told: BTreeMap<TopicPartition, NextOffset>,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) budget: Arc<IntakeBudget>,
    pub(super) status: Status,
    /// Questions that failed are asked again then.
    pub(super) again: Instant,
    /// What is followed has changed since it was assigned.
    pub(super) moved: bool,
    /// Reading has failed, or rests: it is begun again, as an end that was reached before is not told of a second time.
    pub(super) silent: bool,
    pub(super) ends: EndsWatch,
    pub(super) stop: CancellationToken,
}

impl Reader {
    pub(super) fn run(mut self) {
        while !self.stop.is_cancelled() {
            match self.step() {
                Ok(()) => {}
                Err(Halt::Closed) => return,
                Err(Halt::Failed(PortError::Passing(words))) => {
                    self.status.raise(Problem::Topic(self.topic.clone()), words);
                    self.again = Instant::now() + AGAIN;
                }
                Err(Halt::Failed(error)) => {
                    self.inbox.send(Input::Failed(error)).ok();
                    return;
                }
            }
        }
    }

    /// A bounded part of what is to be done.
    fn step(&mut self) -> Result<(), Halt> {
        self.records.rest();
        self.take_asks()?;
        self.place()?;
        let has_room = self.followers.bytes() < self.room;
        if self.moved || (self.silent && has_room && Instant::now() >= self.again) {
            (self.moved, self.silent) = (false, true);
            self.assign()?;
            self.silent = false;
        }
        let waits = Instant::now() < self.again;
        if !has_room && waits {
            // Until the question is answered no turn is taken that would make room. The client is heard all the same.
            self.silent = true;
            self.consumer.unassign().map_err(|e| port_error(&format!("cannot leave {}", self.topic), &e))?;
        }
        if has_room || waits {
            self.poll(if self.followers.bytes() == 0 || waits { POLL } else { Duration::ZERO })?;
        }
        self.ends.look(&self.consumer, &self.topic, &self.followers, &self.status);
        self.tell_progress()?;
        if Instant::now() >= self.again { self.take_turn() } else { Ok(()) }
    }

    fn take_asks(&mut self) -> Result<(), Halt> {
        loop {
            match self.asked.try_recv() {
                Ok(Ask::Follow(epoch, source, from)) => {
                    self.forget(&source);
                    self.unplaced.add(epoch, source, from, Instant::now());
                }
                Ok(Ask::Leave(source)) => self.forget(&source),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Halt::Closed),
            }
            self.moved = true;
        }
    }

    fn forget(&mut self, source: &TopicPartition) {
        self.unplaced.forget(source);
        self.unstick(source);
        self.followers.leave(source);
        self.told.remove(source);
    }

    /// Finds out where what is newly followed begins. One whose question fails waits behind the others, so it holds up nobody; and
    /// after it, too, the client is heard and turns are taken before the next is asked about.
    fn place(&mut self) -> Result<(), Halt> {
        let asked = self.unplaced.take(Instant::now());
        if asked.is_empty() {
            return Ok(());
        }
        let places: BTreeSet<TopicPartition> = asked.iter().map(|unplaced| self.at(&unplaced.source)).collect();
        let places: Vec<_> = places.into_iter().collect();
        let extents = match lookup::extents(&self.consumer, &places, StartFrom::Earliest) {
            Ok(extents) => extents,
            Err(error) => {
                let reach = if let [place] = &*places { place.to_string() } else { self.topic.clone() };
                return self.unanswered(asked, asking_error(&format!("cannot ask how far {reach} reaches"), &error));
            }
        };
        let mut asked = asked.into_iter();
        while let Some(unplaced) = asked.next() {
            let Some(extent) = extents.get(&self.at(&unplaced.source)) else { continue };
            let reach = (NextOffset::new(extent.low), NextOffset::new(extent.high));
            match self.begin(&unplaced, reach) {
                Ok(()) => self.unstick(&unplaced.source),
                Err(Halt::Failed(PortError::Passing(words))) => {
                    self.stick(unplaced, &words);
                    self.unplaced.give_back(asked);
                    return Ok(());
                }
                Err(halt) => return Err(halt),
            }
        }
        Ok(())
    }

    /// A question about these has failed.
    fn unanswered(&mut self, asked: Vec<Unplaced>, error: PortError) -> Result<(), Halt> {
        let PortError::Passing(words) = &error else { return Err(error.into()) };
        if asked.len() > 1 {
            self.unplaced.part(asked);
        } else {
            for unplaced in asked {
                self.stick(unplaced, words);
            }
        }
        Ok(())
    }

    /// Follows from where it begins, in a partition that reaches so far.
    fn begin(&mut self, unplaced: &Unplaced, reach: (NextOffset, NextOffset)) -> Result<(), Halt> {
        let Unplaced { epoch, source, position, .. } = unplaced;
        let (epoch, position, place) = (*epoch, *position, self.at(source));
        let begin = match begin(self.records.commands(), self.store.as_ref(), source, &place, position, reach)? {
            Begin::At(next) => next,
            Begin::Anew(next, why) => {
                event::CommandsAnew { source, position, begin: next, why: &why }.emit();
                self.tell(epoch, source.clone(), CommandNews::Anew(next))?;
                next
            }
        };
        self.followers.follow(epoch, source, begin);
        self.moved = true;
        Ok(self.tell(epoch, source.clone(), CommandNews::Followed(reach.1))?)
    }

    /// The question about this one has failed. Of several one is told, until it has its place.
    fn stick(&mut self, unplaced: Unplaced, words: &str) {
        if *self.stuck.get_or_insert_with(|| unplaced.source.clone()) == unplaced.source {
            let words = format!("the commands for {} wait: {words}", unplaced.source);
            self.status.raise(Problem::Partition(self.unplaced_key()), words);
        }
        self.unplaced.failed(unplaced, Instant::now());
    }

    fn unstick(&mut self, source: &TopicPartition) {
        if self.stuck.take_if(|stuck| stuck == source).is_some() {
            self.status.clear(&Problem::Partition(self.unplaced_key()));
        }
    }

    /// Apart from the ends of what is followed, which are told under the topic's name.
    fn unplaced_key(&self) -> String {
        format!("{} to begin with", self.topic)
    }

    fn at(&self, source: &TopicPartition) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), source.partition)
    }

    fn assign(&self) -> Result<(), PortError> {
        let assign = || -> Result<(), KafkaError> {
            let mut list = TopicPartitionList::new();
            for (partition, next) in self.followers.places() {
                list.add_partition_offset(&self.topic, partition, Offset::Offset(next.get()))?;
            }
            self.consumer.unassign()?;
            if list.count() == 0 { Ok(()) } else { self.consumer.assign(&list) }
        };
        assign().map_err(|e| port_error(&format!("cannot read {}", self.topic), &e))
    }

    fn poll(&mut self, wait: Duration) -> Result<(), Halt> {
        let message = match self.consumer.poll(wait) {
            None => return Ok(()),
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                return Ok(self.reached(partition)?);
            }
            Some(Err(error)) => {
                let gone = [RDKafkaErrorCode::AutoOffsetReset, RDKafkaErrorCode::OffsetOutOfRange];
                if error.rdkafka_error_code().is_some_and(|code| gone.contains(&code)) {
                    let words = format!("{} no longer has the offset that is read next: {IF_LOST}", self.topic);
                    return Err(PortError::Fatal(words).into());
                }
                self.status.raise(
                    Problem::Topic(self.topic.clone()),
                    format!("cannot read {}: {}", self.topic, describe(&error)),
                );
                (self.silent, self.again) = (true, Instant::now() + AGAIN);
                return Ok(());
            }
        };
        let (partition, offset) = (message.partition(), RecordOffset::new(message.offset()));
        let found = read(message.key(), message.payload());
        drop(message);
        self.status.clear(&Problem::Topic(self.topic.clone()));
        if let Read::Unreadable(error) = &found {
            let place = TopicPartition::new(self.topic.as_str(), partition);
            event::CommandUnreadable { place: &place, offset: offset.get(), error }.emit();
        }
        for Ahead { epoch, source, read, told } in self.followers.take(partition, offset, &found) {
            self.hand_over(epoch, source, Incoming { offset, read, original: None, request: None }, told)?;
        }
        Ok(())
    }

    /// The end of a partition is reached: markers may stand before it, which no record tells of.
    fn reached(&mut self, partition: i32) -> Result<(), PortError> {
        let position = self.consumer.position().map_err(|e| port_error("cannot tell a position", &e))?;
        let found = position.find_partition(&self.topic, partition).map(|element| element.offset());
        if let Some(Offset::Offset(next)) = found {
            self.followers.read_to(partition, NextOffset::new(next));
        }
        self.status.clear(&Problem::Topic(self.topic.clone()));
        Ok(())
    }

    /// Says how far everything is told, where no command says so.
    fn tell_progress(&mut self) -> Result<(), Halt> {
        let news: Vec<_> = self
            .followers
            .progress()
            .filter(|(source, _, told)| self.told.get(source).is_none_or(|old| old < told))
            .map(|(source, epoch, told)| (source.clone(), epoch, told))
            .collect();
        for (source, epoch, told) in news {
            self.told.insert(source.clone(), told);
            self.tell(epoch, source, CommandNews::ReadTo(told))?;
        }
        Ok(())
    }

    /// Reads what the command whose turn it is needs, and hands it over.
    fn take_turn(&mut self) -> Result<(), Halt> {
        let Some(turn) = self.followers.next_turn() else { return Ok(()) };
        let source = turn.command.source.clone();
        let Attached { original, request } = self.records.attach(&source, &turn.command.action)?;
        let Some(told) = self.followers.told(&turn) else { return Ok(()) };
        let read = Read::Command(turn.command);
        Ok(self.hand_over(turn.epoch, source, Incoming { offset: turn.offset, read, original, request }, told)?)
    }

    fn hand_over(
        &self,
        epoch: Epoch,
        source: TopicPartition,
        incoming: Incoming,
        told: NextOffset,
    ) -> Result<(), Closed> {
        while !self.budget.try_draw(incoming.cost()) {
            if self.stop.is_cancelled() {
                return Err(Closed);
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.tell(epoch, source, CommandNews::Command(Box::new(incoming), told))
    }

    fn tell(&self, epoch: Epoch, source: TopicPartition, news: CommandNews) -> Result<(), Closed> {
        self.inbox.send(Input::Commands(CommandInput { epoch, source, news }))
    }
}
