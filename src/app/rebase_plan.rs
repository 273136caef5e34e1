//! What a rebase has to do with each partition: who knows most of it, the store, the changelog that it is written to, or the one
//! that the store is a cache of.

use super::former::{Former, Standing};
use super::rebase::{Behind, Told};
use super::rebase_look::{Look, there};
use super::rebased::Onto;
use crate::config;
use crate::kafka::changelog::Changelog;
use crate::record::{NextOffset, TopicPartition};
use crate::store::SledStore;
use crate::sync::log_ports::ChangelogSource as _;
use crate::sync::ports::{By, PortError, StateReader as _};

/// What is done with one partition.
pub(super) struct Task {
    pub(super) source: TopicPartition,
    pub(super) onto: Onto,
    /// The oldest offset of the source topic, where that is a new one.
    pub(super) anew: Option<NextOffset>,
    /// What is done about the source topic.
    pub(super) note: &'static str,
}

impl Task {
    fn new(source: TopicPartition, onto: Onto, anew: Option<NextOffset>) -> Self {
        let note = if anew.is_some() {
            "the source topic is a new one: it is read from its beginning, and every record of it counts as new"
        } else {
            "goes on where it was"
        };
        Self { source, onto, anew, note }
    }

    fn set_back(source: TopicPartition) -> Self {
        let note = "the group is set back to this store: what it has pushed since is pushed again";
        Self { source, onto: Onto::Nothing, anew: None, note }
    }
}

/// What a rebase has to do with a partition.
pub(super) enum Plan {
    Nothing,
    Write(Task),
    /// The store knows less of it than the group has committed, and the changelog nothing: what is told of that.
    Left(Told),
    /// Nothing, and records of it are lost: what is told of that.
    Lost(Told),
}

/// What plans are made by.
pub(super) struct Planner<'a> {
    pub(super) kafka: &'a config::Kafka,
    pub(super) store: &'a SledStore,
    pub(super) behind: Behind,
    pub(super) look: Look<'a>,
    /// The one that is written to.
    pub(super) changelog: Changelog,
    /// The one that the store is a cache of.
    pub(super) former: Former,
}

impl Planner<'_> {
    /// Where the changelog that is written to knows nothing of the partition, the store is brought up to date first.
    pub(super) fn plan(
        &mut self,
        source: TopicPartition,
        tell: &mut dyn FnMut(Told) -> Result<(), PortError>,
    ) -> Result<Plan, PortError> {
        let (kafka, store) = (self.kafka, self.store);
        let Some(there) = there(&mut self.changelog, kafka, &source)? else {
            if let Some(former) = self.asked() {
                let then = former.position(&source)?;
                if former.bring(store, &source, then.as_ref())? {
                    tell(Told::Brought { source: source.clone(), from: former.topic().to_owned() })?;
                }
            }
            return self.onto_nothing(source);
        };
        let mut then = None;
        if let Some(former) = self.asked() {
            then = former.position(&source)?.map(|position| position.commit_number);
            if then.is_some_and(|then| then > there.commit_number) {
                return Err(gone_on(former, &kafka.changelog_topic, &source));
            }
        }
        let anew = self.look.begin_of_a_new_topic(&source, &there)?;
        if anew.is_some() {
            return Ok(Plan::Write(Task::new(source, Onto::Itself, anew)));
        }
        match store.position(&source)? {
            Some(held) if !self.is_settled(held.commit_number, there.commit_number, then) => {
                Err(PortError::Fatal(format!(
                    "the changelog {} holds {source} at offset {} already, and the store at {}: a rebase writes into a \
                     changelog that knows nothing of a partition. Which of them is right is for you to say: delete the \
                     topic, or move the store away",
                    kafka.changelog_topic, there.next, held.next
                )))
            }
            Some(_) | None => {
                let lost = self.look.lost(&source, &there)?;
                Ok(lost.map_or(Plan::Nothing, |lost| Plan::Lost(Told::Lost(lost))))
            }
        }
    }

    /// Whether nothing that was committed may be missing from the store.
    pub(super) fn is_up_to_date(&mut self) -> bool {
        self.asked().is_some()
    }

    /// Who says that the group is set back wants the store as it is.
    fn asked(&mut self) -> Option<&mut Standing> {
        match &mut self.former {
            Former::Stands(former) if self.behind == Behind::Leave => Some(former),
            Former::Stands(_) | Former::Gone | Former::None => None,
        }
    }

    fn onto_nothing(&mut self, source: TopicPartition) -> Result<Plan, PortError> {
        let held = self.store.position(&source)?;
        let next = held.as_ref().map(|held| held.next);
        if let Some(group) = self.changelog.committed(&source)?.filter(|group| next.is_none_or(|next| next < *group)) {
            return Ok(match self.behind {
                Behind::SetBack if next.is_some() => Plan::Write(Task::set_back(source)),
                Behind::SetBack | Behind::Leave => Plan::Left(Told::Left { source, next, group }),
            });
        }
        let Some(held) = held else { return Ok(Plan::Nothing) };
        let anew = self.look.begin_of_a_new_topic(&source, &held)?;
        Ok(Plan::Write(Task::new(source, Onto::Nothing, anew)))
    }

    /// A cache may be behind, never ahead; and equal numbers are what an earlier rebase has left, of this store or of another one
    /// that was brought to the same commit, `then`.
    fn is_settled(&self, held: u64, there: u64, then: Option<u64>) -> bool {
        let is_cache = self.store.changelog().as_ref() == Some(&self.kafka.changelog_topic);
        held == there || is_cache && held < there || then.is_some_and(|then| held <= then)
    }
}

/// A rebase was begun, and then workers have gone on under the old name.
fn gone_on(former: &Standing, topic: &str, source: &TopicPartition) -> PortError {
    PortError::Refused(
        By::Store,
        format!(
            "the changelog {} has later commits of {source} than {topic}, which knows it from an earlier rebase: a worker has gone \
             on under the old name since. Delete the topic {topic}, and run this again",
            former.topic()
        ),
    )
}
