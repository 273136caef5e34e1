//! Brings a partition's store up to the changelog's end, in the one order of questions that loses nothing.
//!
//! The group's offset is asked first, so that the changelog read afterwards is at least as new; its end is taken as one
//! who sees uncommitted records, and read until everything before it is decided: an open transaction is waited for.
//! Whether the store is of this changelog or of another one of its name is told by the positions in it.

use std::sync::Arc;
use std::time::Duration;

use super::cache::Cache;
use super::changelog::{ChangelogRecord, Gathered};
use super::changelog_id::ChangelogId;
use super::checkpoint_age::{is_ahead, is_older};
use super::fold_settings::FoldSettings;
use super::last_copy;
use super::last_position::last_position;
use super::log_ports::{ChangelogExtent, ChangelogSource, Checkpoint, ReadTo};
use super::ports::{Epoch, PortError, Position, StateReader as _};
use super::recent::cache_write;
use super::restore_words::{beginning_lost, check_group, difference, not_ours, unreadable};
use super::units::UnitsInForce;
use crate::record::{NextOffset, TopicPartition};
use crate::telemetry::{Meters, event};

/// Memory of what is read before it is written.
pub const BATCH_BYTES: usize = 4 << 20;
/// How long the group's offset and the changelog may differ before that is taken for what it is.
const DIFFERENCE_MAX: Duration = Duration::from_secs(15);
/// How often a long restore says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// The time of one step.
#[derive(Clone, Copy, Debug)]
pub struct RestoreNow {
    /// Since the worker started; never goes back.
    pub mono: Duration,
    /// The wall clock, milliseconds since the epoch.
    pub wall_ms: i64,
}

/// One partition's restore.
#[derive(Debug)]
pub struct Restore {
    /// Its assignment.
    pub epoch: Epoch,
    /// The source partition.
    pub source: TopicPartition,
    stage: Stage,
    /// What the store says, until a position in the changelog has borne it out.
    claim: Option<Claim>,
    began: Option<Duration>,
    /// By which settings it was folded last, as far as the changelog says so.
    folded_by: Option<Arc<FoldSettings>>,
    /// Since when the group's offset and the changelog have been seen to differ.
    differs: Option<Duration>,
    said: Duration,
    /// What it was last said to wait for.
    told: String,
    orders: u64,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is asked yet, or everything has to be asked again.
    Ask,
    /// The changelog is being read.
    Read { group: Option<NextOffset>, at: NextOffset, until: NextOffset },
}

/// What a store says that is gone on from.
#[derive(Clone, Copy, Debug)]
struct Claim {
    /// Which changelog it is of.
    id: Option<ChangelogId>,
    /// Where it stands there.
    at: NextOffset,
    /// How far that reaches.
    extent: ChangelogExtent,
}

/// What a step came to.
#[derive(Debug)]
pub enum Step {
    /// The store is as the changelog says, and goes with the group's offset.
    Done,
    /// There is more to do at once.
    More,
    /// Something has to happen elsewhere first; others go on meanwhile.
    Waits,
}

/// What restores work with.
pub struct RestoreSite {
    /// The changelog and the group.
    pub changelog: Box<dyn ChangelogSource>,
    /// The store as a cache.
    pub cache: Cache,
    /// Counts.
    pub meters: Meters,
    /// The changelog's topic, for words.
    pub topic: String,
    /// The group: what another one has committed is not restored.
    pub group: Arc<str>,
    /// A checkpoint older than this may have missed tombstones: it counts as none.
    pub tombstones_kept: Duration,
    /// So much is gathered before it is written to the store.
    pub batch_bytes: usize,
    /// The apps' units of `update_time`: a stamp that would go back is refused.
    pub units: Arc<UnitsInForce>,
}

impl Restore {
    /// A restore that has not begun.
    pub fn new(epoch: Epoch, source: TopicPartition) -> Self {
        let (said, told) = (Duration::ZERO, String::new());
        let (stage, claim, folded_by, began, differs) = (Stage::Ask, None, None, None, None);
        Self { epoch, source, stage, claim, folded_by, began, differs, said, told, orders: 0 }
    }

    /// Goes on for a while. An error ends the worker with its words.
    pub fn step(&mut self, site: &mut RestoreSite, now: RestoreNow) -> Result<Step, PortError> {
        let began = *self.began.get_or_insert(now.mono);
        let result = match self.stage {
            Stage::Ask => self.ask(site, now),
            Stage::Read { group, at, until } => self.read(site, now, group, at, until),
        };
        match result {
            Ok(Step::Done) => {
                let took = now.mono.saturating_sub(began);
                if let Some(by) = &self.folded_by {
                    site.units.tell_change_from(&by.units());
                }
                event::Restored { source: &self.source, orders: self.orders, took }.emit();
                Ok(Step::Done)
            }
            Err(PortError::Passing(words)) => Ok(self.wait(words)),
            result => result,
        }
    }

    fn wait(&mut self, words: String) -> Step {
        if words != self.told {
            event::RestoreWaits { source: &self.source, reason: &words }.emit();
            self.told = words;
        }
        Step::Waits
    }

    /// The questions, in their order: whoever asks for the changelog's end before the group's offset may find the group
    /// ahead of what it reads, and take an honest commit for a loss.
    fn ask(&mut self, site: &mut RestoreSite, now: RestoreNow) -> Result<Step, PortError> {
        site.cache.begin(&self.source, self.epoch)?;
        let group = site.changelog.committed(&self.source)?;
        let extent = site.changelog.extent(self.source.partition)?;
        let at = self.place(site, extent, now)?;
        self.stage = Stage::Read { group, at, until: extent.high };
        Ok(Step::More)
    }

    /// Where to read from. What the store holds must be what the changelog said up to there, and nothing less.
    fn place(
        &mut self,
        site: &mut RestoreSite,
        extent: ChangelogExtent,
        now: RestoreNow,
    ) -> Result<NextOffset, PortError> {
        let store = site.cache.store();
        self.claim = None;
        let reason = match store.checkpoint(&self.source)? {
            Some(Checkpoint { changelog, .. }) if changelog > extent.high => {
                return Err(not_ours(&site.topic, &self.source, changelog, extent.high));
            }
            Some(Checkpoint { changelog, .. }) if changelog < extent.low => "the changelog begins behind it",
            Some(Checkpoint { written_ms, .. }) if is_older(written_ms, site.tombstones_kept, now.wall_ms) => {
                "it is so old that the changelog may have dropped tombstones since"
            }
            Some(Checkpoint { written_ms, .. }) if is_ahead(written_ms, site.tombstones_kept, now.wall_ms) => {
                "its time lies ahead of this clock, so that it may be of any age: the changelog may have dropped tombstones since"
            }
            Some(Checkpoint { changelog, .. }) => match store.position(&self.source)? {
                Some(Position { changelog_id: id, .. }) => {
                    self.claim = Some(Claim { id, at: changelog, extent });
                    return Ok(changelog);
                }
                None => "it has no position of it",
            },
            None => "it has none, or only a part",
        };
        last_copy::keep(site, &self.source, extent, reason)?;
        self.forget(site, extent, reason)
    }

    /// What the store holds counts for nothing. Says where to begin: a changelog that has lost its beginning cannot replace it.
    fn forget(&mut self, site: &RestoreSite, extent: ChangelogExtent, reason: &str) -> Result<NextOffset, PortError> {
        if extent.low > NextOffset::new(0) {
            let place = format!("{}/{}", site.topic, self.source.partition);
            return Err(beginning_lost(
                &place,
                extent.low,
                &format!(", and the store cannot stand in for it: {reason}"),
            ));
        }
        event::CacheForgotten { source: &self.source, reason }.emit();
        site.cache.store().forget(&self.source)?;
        self.claim = None;
        Ok(extent.low)
    }

    /// The store is of another changelog that had this one's name: nothing of its rows is believed.
    fn begin_anew(
        &mut self,
        site: &RestoreSite,
        claim: Claim,
        group: Option<NextOffset>,
        until: NextOffset,
    ) -> Result<Step, PortError> {
        let at =
            self.forget(site, claim.extent, "it is of another changelog of this name, which was made anew since")?;
        self.stage = Stage::Read { group, at, until };
        Ok(Step::More)
    }

    fn say_how_far(&mut self, now: RestoreNow, at: NextOffset, until: NextOffset) {
        if now.mono.saturating_sub(self.said) >= SAY_EVERY {
            event::RestoreProgress { source: &self.source, at, until, orders: self.orders }.emit();
            self.said = now.mono;
        }
    }

    fn read(
        &mut self,
        site: &mut RestoreSite,
        now: RestoreNow,
        group: Option<NextOffset>,
        at: NextOffset,
        until: NextOffset,
    ) -> Result<Step, PortError> {
        self.say_how_far(now, at, until);
        let RestoreSite { changelog, cache, meters, topic, group: ours, batch_bytes, units, .. } = site;
        let (source, orders, claim) = (&self.source, &mut self.orders, &mut self.claim);
        let folded_by = &mut self.folded_by;
        let (mut gathered, mut is_other) = (Gathered::default(), false);
        let mut write = |mut gathered: Gathered, changelog: Option<NextOffset>| {
            *folded_by = gathered.folded_by.take().or(folded_by.take());
            if let Some(position) = &gathered.position {
                check_group(topic, source, position, ours)?;
            }
            if let (Some(claims), Some(position)) = (*claim, &gathered.position) {
                is_other = claims.id != position.changelog_id;
                if is_other {
                    return Err(PortError::Passing("the store is of another changelog".to_owned()));
                }
                *claim = None;
            }
            units.check(&gathered)?;
            let count = u64::try_from(gathered.states.len()).unwrap_or(u64::MAX);
            *orders += count;
            meters.store().restored(count);
            cache.fill(cache_write(
                source,
                gathered,
                changelog.map(|changelog| Checkpoint { changelog, written_ms: now.wall_ms }),
            ))
        };
        let mut visit = |record: &ChangelogRecord| {
            gathered.take(&source.topic, record).map_err(|error| unreadable(source, &error))?;
            if gathered.bytes() < *batch_bytes {
                return Ok(());
            }
            // Without a new checkpoint: a restore that ends here is begun again from where this one began.
            write(std::mem::take(&mut gathered), None)
        };
        let reached = changelog.read(source.partition, at, &mut visit);
        let reached = reached.and_then(|reached| {
            let checkpoint = if let ReadTo::End(end) = &reached { Some(*end) } else { None };
            write(gathered, checkpoint).map(|()| reached)
        });
        if let (true, Some(claim)) = (is_other, self.claim) {
            return self.begin_anew(site, claim, group, until);
        }
        let reached = reached?;
        let (ReadTo::End(at) | ReadTo::Part(at) | ReadTo::Pause(at, _)) = reached;
        self.stage = Stage::Read { group, at, until };
        let reached = match reached {
            ReadTo::End(end) => end,
            ReadTo::Part(_) => return Ok(Step::More),
            ReadTo::Pause(_, why) => return Ok(self.wait(why)),
        };
        if reached < until {
            return Ok(self.wait("a transaction on the changelog is still open".to_owned()));
        }
        // Nothing has been committed since: the last position lies before the checkpoint.
        if let Some(claim) = self.claim {
            let last = last_position(site.changelog.as_mut(), &self.source, claim.at, claim.extent.low)?;
            if let Some(position) = &last {
                check_group(&site.topic, &self.source, position, &site.group)?;
            }
            match last {
                Some(position) if position.changelog_id != claim.id => {
                    return self.begin_anew(site, claim, group, until);
                }
                None if claim.extent.low == NextOffset::new(0) => {
                    return Err(not_ours(&site.topic, &self.source, claim.at, claim.extent.high));
                }
                // The position itself may be among what is lost of it.
                Some(_) | None => self.claim = None,
            }
        }
        self.judge(site, group, now)
    }

    /// The store's position and the group's offset were committed together: they are equal, or something is wrong.
    fn judge(&mut self, site: &RestoreSite, group: Option<NextOffset>, now: RestoreNow) -> Result<Step, PortError> {
        let position = site.cache.position(&self.source)?.map(|position| position.next);
        // Offsets that the group has forgotten are no offsets; the changelog forgets nothing.
        if group.is_none() || group == position {
            return Ok(Step::Done);
        }
        // Not since the restore began: a long one, or a process that was stopped meanwhile, would believe its first look.
        let waited = now.mono.saturating_sub(*self.differs.get_or_insert(now.mono));
        if waited < DIFFERENCE_MAX {
            // Somebody may have committed between the questions.
            self.stage = Stage::Ask;
            return Ok(self.wait("the group's offset and the changelog differ; asking again".to_owned()));
        }
        Err(PortError::Fatal(difference(&site.topic, &self.source, group, position)))
    }
}

#[cfg(test)]
#[path = "restore_batch_tests.rs"]
mod batch_tests;
#[cfg(test)]
#[path = "restore_clock_tests.rs"]
mod clock_tests;
#[cfg(test)]
#[path = "restore_copy_tests.rs"]
mod copy_tests;
#[cfg(test)]
#[path = "restore_group_tests.rs"]
mod group_tests;
#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
