//! The changelog that a store is a cache of, where the settings name another one by now: it may know more than the store does,
//! which is some seconds behind it where its worker was killed. Commands move stamps and no offset, so the numbers of the
//! commits tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rebase_look::there;
use super::settings;
use super::worker::wall_ms;
use crate::config::{self, Config};
use crate::kafka::changelog::Changelog;
use crate::kafka::topics::Topics;
use crate::record::TopicPartition;
use crate::store::SledStore;
use crate::sync::cache::Cache;
use crate::sync::ports::{By, Epoch, PortError, Position, StateReader as _};
use crate::sync::restore::{BATCH_BYTES, Restore, RestoreNow, RestoreSite, Step};
use crate::telemetry::Meters;

/// How long nothing may move while a store is brought up to date.
const PATIENCE: Duration = Duration::from_secs(60);
/// The wait between two looks meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What there is of the changelog that a store names.
pub(super) enum Former {
    /// It names the one that is written to, or none, as it is the only copy.
    None,
    /// It is not there any more.
    Gone,
    /// It can be asked.
    Stands(Box<Standing>),
}

/// A changelog that is asked for what it knows beyond the store.
pub(super) struct Standing {
    /// The settings by which it was written.
    config: Config,
    changelog: Changelog,
    partitions: i32,
    tombstones_kept: Duration,
}

impl Former {
    pub(super) fn of(store: &SledStore, config: &Config, topics: &Topics) -> Result<Self, PortError> {
        let Some(name) = store.changelog().filter(|name| *name != config.kafka.changelog_topic) else {
            return Ok(Self::None);
        };
        let Some(partitions) = topics.partition_count(&name)? else {
            let is_gone = topics.is_gone(&name)?;
            let again = || Err(PortError::Passing(format!("{name} is only just being seen; run this again")));
            return if is_gone { Ok(Self::Gone) } else { again() };
        };
        let mut config = config.clone();
        config.kafka.changelog_topic = name;
        let changelog = Changelog::connect(&config.kafka)?;
        let tombstones_kept = topics.tombstones_kept(&config.kafka)?;
        Ok(Self::Stands(Box::new(Standing { config, changelog, partitions, tombstones_kept })))
    }
}

impl Standing {
    /// Its topic.
    pub(super) fn topic(&self) -> &str {
        &self.kafka().changelog_topic
    }

    fn kafka(&self) -> &config::Kafka {
        &self.config.kafka
    }

    /// What was committed there of a partition last.
    pub(super) fn position(&mut self, source: &TopicPartition) -> Result<Option<Position>, PortError> {
        if source.partition >= self.partitions {
            return Ok(None);
        }
        there(&mut self.changelog, &self.config.kafka, source)
    }

    /// Sees to it that the store has of a partition what was committed there last, `then`. Says whether it had less.
    pub(super) fn bring(
        &self,
        store: &SledStore,
        source: &TopicPartition,
        then: Option<&Position>,
    ) -> Result<bool, PortError> {
        match (standing(store.position(source)?.as_ref(), then), then) {
            (Stands::Equal, _) => Ok(false),
            (Stands::Behind, _) => self.restore(store, source).map(|()| true),
            (Stands::Ahead, then) => {
                let knows =
                    then.map_or_else(|| "nothing".to_owned(), |then| format!("its commit {}", then.commit_number));
                Err(PortError::Refused(
                    By::Store,
                    format!(
                        "this store has a later commit of {source} than the changelog {}, of which it is a cache, and which knows \
                         {knows}: that was deleted and made anew, or has lost its end. If this store is the best copy there \
                         is, --set-back writes it as it is",
                        self.topic()
                    ),
                ))
            }
        }
    }

    fn restore(&self, store: &SledStore, source: &TopicPartition) -> Result<(), PortError> {
        let in_words = |error: &PortError| {
            format!(
                "{source} cannot be brought to what the changelog {} knows of it: {error}. Or start a worker once on this \
                 directory under the old kafka.changelog_topic, and let it end; --set-back writes the store as it is",
                self.topic()
            )
        };
        self.restore_through(store, source).map_err(|error| match error {
            PortError::Passing(_) => PortError::Passing(in_words(&error)),
            PortError::Fatal(_) | PortError::Refused(By::Kafka, _) => PortError::Refused(By::Store, in_words(&error)),
            own @ (PortError::Damaged(_) | PortError::Refused(By::Store | By::StoreInUse, _)) => own,
        })
    }

    /// As a worker that is given the partition does, the group's offset being asked too.
    fn restore_through(&self, store: &SledStore, source: &TopicPartition) -> Result<(), PortError> {
        let meters = Meters::default();
        let mut site = RestoreSite {
            changelog: Box::new(Changelog::connect(self.kafka())?),
            cache: Cache::new(Arc::new(store.clone()), meters.clone()),
            meters,
            topic: self.topic().to_owned(),
            group: Arc::from(self.kafka().group_id.as_str()),
            tombstones_kept: self.tombstones_kept,
            batch_bytes: BATCH_BYTES,
            units: Arc::new(settings::units(&self.config).into()),
        };
        let mut restore = Restore::new(Epoch(1), source.clone());
        let began = Instant::now();
        let mut moved = began;
        loop {
            match restore.step(&mut site, RestoreNow { mono: began.elapsed(), wall_ms: wall_ms() })? {
                Step::Done => return Ok(()),
                Step::More => moved = Instant::now(),
                Step::Waits if moved.elapsed() < PATIENCE => std::thread::park_timeout(LOOK_AGAIN),
                Step::Waits => {
                    let words = "nothing has come for a minute; try again when all brokers are reachable";
                    return Err(PortError::Passing(words.to_owned()));
                }
            }
        }
    }
}

/// How a store stands to the changelog that it is a cache of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Equal,
    Behind,
    /// It is a cache of another one, which had that name.
    Ahead,
}

fn standing(held: Option<&Position>, then: Option<&Position>) -> Stands {
    match (held, then) {
        (None, None) => Stands::Equal,
        (Some(_), None) => Stands::Ahead,
        (None, Some(_)) => Stands::Behind,
        // Numbers are those of one changelog.
        (Some(held), Some(then)) if held.changelog_id != then.changelog_id => Stands::Behind,
        (Some(held), Some(then)) => match held.commit_number.cmp(&then.commit_number) {
            std::cmp::Ordering::Less => Stands::Behind,
            std::cmp::Ordering::Equal => Stands::Equal,
            std::cmp::Ordering::Greater => Stands::Ahead,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::NextOffset;
    use crate::sync::changelog_id::ChangelogId;

    /// The offset says nothing: a command moves a stamp and not it.
    #[test]
    fn a_store_is_behind_by_the_number_of_its_commit() {
        let at = |commit_number, id| {
            let changelog_id = Some(ChangelogId(id));
            Position { commit_number, changelog_id, ..Position::before(NextOffset::new(7)) }
        };
        let stands = |held: Option<Position>, then: Option<Position>| standing(held.as_ref(), then.as_ref());
        assert_eq!(stands(Some(at(4, 1)), Some(at(5, 1))), Stands::Behind);
        assert_eq!(stands(Some(at(5, 1)), Some(at(5, 1))), Stands::Equal);
        assert_eq!(stands(Some(at(6, 1)), Some(at(5, 1))), Stands::Ahead);
        assert_eq!(stands(Some(at(6, 1)), Some(at(5, 2))), Stands::Behind, "it was written anew from elsewhere");
        assert_eq!(stands(Some(at(1, 1)), None), Stands::Ahead);
        assert_eq!(stands(None, Some(at(1, 1))), Stands::Behind);
        assert_eq!(stands(None, None), Stands::Equal);
    }
}
