//! Moves positions on past source records that were removed before anybody read them. States, stamps and debts stay as they
//! are: what was lost is lost, and nothing else goes with it.
//!
//! Nothing but the position changes, so whoever holds a copy of the partition goes on from it.

use tokio_util::sync::CancellationToken;

use super::rebase_look::{self, there};
use crate::config::{self, Config};
use crate::kafka::changelog::Changelog;
use crate::kafka::rebase::RebaseLog;
use crate::kafka::scan::Scanner;
use crate::kafka::topics::Topics;
use crate::record::{NextOffset, TopicPartition};
use crate::store::SledStore;
use crate::sync::changelog::{ChangelogKey, ChangelogRecord};
use crate::sync::ports::{PartitionCut, PortError, Position, StateReader as _, StateWriter as _};
use crate::sync::scan::{LogScan as _, ScanError};

/// In the place of a store's id: no worker writes under it.
const WRITER: &str = "skip-lost";

/// Offsets of a source partition that were removed before they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The source partition.
    pub source: TopicPartition,
    /// The first one: where the partition stands.
    pub from: NextOffset,
    /// The first one behind them, which is there: where it goes on.
    pub to: NextOffset,
}

impl Lost {
    /// What lies between a position and the oldest offset that is there.
    pub(super) fn between(source: &TopicPartition, position: &Position, low: NextOffset) -> Option<Self> {
        let from = position.next;
        (from < low).then(|| Self { source: source.clone(), from, to: low })
    }
}

/// What is done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// They are told.
    Look,
    /// The positions are moved on.
    Do,
}

/// What is told: first all that is lost, then what has been done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Gone.
    Lost(Lost),
    /// The partition goes on behind them.
    Moved(Lost),
}

/// Takes what is told; an error of it ends the matter.
pub type Tell<'a> = &'a mut dyn FnMut(Told) -> Result<(), PortError>;

/// With transactions: the positions are those in the changelog, and no store is needed. Says how many partitions have lost
/// records.
pub fn in_changelog(config: &Config, skip: Skip, tell: Tell<'_>) -> Result<usize, PortError> {
    let kafka = &config.kafka;
    let log = RebaseLog::connect(kafka, WRITER)?;
    let counts = Topics::connect(kafka)?.sources(kafka)?;
    if skip == Skip::Do {
        rebase_look::refuse_members(&log, kafka, &counts)?;
    }
    let mut changelog = Changelog::connect(kafka)?;
    let mut positions = Vec::new();
    for source in rebase_look::partitions(&counts) {
        positions.extend(there(&mut changelog, kafka, &source)?.map(|position| (source, position)));
    }
    go_on(positions, skip, tell, &mut lowest(kafka)?, &mut |source, position| {
        let value = position.encode().map_err(|error| PortError::Fatal(error.to_string()))?;
        let key = ChangelogKey::Position.encode(&source.topic);
        log.write(source, &[ChangelogRecord { key, value: Some(value) }], Some(&position))
    })
}

/// Without transactions: the store is the only copy of the positions, and nobody else has it open.
pub fn in_store(config: &Config, store: &mut SledStore, skip: Skip, tell: Tell<'_>) -> Result<usize, PortError> {
    let kafka = &config.kafka;
    let mut positions = Vec::new();
    for source in store.sources().into_iter().filter(|source| kafka.topics.iter().any(|topic| **topic == *source.topic))
    {
        positions.extend(store.position(&source)?.map(|position| (source, position)));
    }
    let mut write = in_store_only(store);
    go_on(positions, skip, tell, &mut lowest(kafka)?, &mut write)
}

/// Looks at every partition before the first one is moved.
fn go_on(
    positions: Vec<(TopicPartition, Position)>,
    skip: Skip,
    tell: Tell<'_>,
    lowest: &mut dyn FnMut(&TopicPartition) -> Result<NextOffset, PortError>,
    write: &mut dyn FnMut(&TopicPartition, Position) -> Result<(), PortError>,
) -> Result<usize, PortError> {
    let mut found = Vec::new();
    for (source, position) in positions {
        if let Some(lost) = Lost::between(&source, &position, lowest(&source)?) {
            tell(Told::Lost(lost.clone()))?;
            found.push((lost, position));
        }
    }
    let count = found.len();
    for (lost, position) in found.into_iter().filter(|_| skip == Skip::Do) {
        write(&lost.source, behind(position, &lost))?;
        tell(Told::Moved(lost))?;
    }
    Ok(count)
}

/// The position behind what is lost. No commit of another hand has its number, and the record before its place was read by
/// nobody.
fn behind(position: Position, lost: &Lost) -> Position {
    Position { next: lost.to, last: None, commit_number: position.commit_number + 1, ..position }
}

/// Writes cuts of nothing but a position.
fn in_store_only(store: &mut SledStore) -> impl FnMut(&TopicPartition, Position) -> Result<(), PortError> {
    |source, position| {
        let (states, owed, settled) = (Vec::new(), Vec::new(), Vec::new());
        let (letters, removed, source) = (Vec::new(), Vec::new(), source.clone());
        store.commit(&[PartitionCut { source, states, owed, settled, letters, removed, position }])
    }
}

/// Asks for the oldest offset of a source partition.
fn lowest(kafka: &config::Kafka) -> Result<impl FnMut(&TopicPartition) -> Result<NextOffset, PortError>, PortError> {
    let mut scanner = Scanner::connect(kafka, CancellationToken::new())?;
    Ok(move |source: &TopicPartition| {
        let spans = scanner.extents(&source.topic, &[source.partition]).map_err(|error| match error {
            ScanError::Port(error) => error,
            ScanError::Stopped => PortError::Passing("interrupted".to_owned()),
        })?;
        let no_answer = || PortError::Passing(format!("cannot ask how far {source} reaches: no answer"));
        spans.first().map(|span| span.from).ok_or_else(no_answer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::AppId;
    use crate::store::Owner;
    use crate::sync::last_record::LastRecord;

    #[test]
    fn a_position_behind_what_is_lost_keeps_everything_else() {
        let before = Position {
            commit_number: 7,
            commands: Some(NextOffset::new(3)),
            partitions: Some(2),
            last: Some(LastRecord { offset: 52, timestamp_ms: Some(1), digest: 9 }),
            topic_id: Some("abc".to_owned()),
            paused_apps: [AppId::new("tt1")].into(),
            ..Position::before(NextOffset::new(53))
        };
        let (from, to) = (before.next, NextOffset::new(75));
        let after = behind(before.clone(), &Lost { source: TopicPartition::new("orders", 0), from, to });
        assert_eq!(after, Position { next: to, last: None, commit_number: 8, ..before });
    }

    /// A store that is the only copy: the partition with a gap goes on behind it, once, and no other moves.
    #[test]
    fn a_store_without_a_changelog_goes_on_behind_the_gap() {
        let directory = tempfile::tempdir().unwrap();
        let config = config::Store { path: directory.path().join("store"), cache_bytes: 32 << 20, retain: None };
        let owner = Owner { group_id: "g".to_owned(), cluster_id: None, changelog: None, now_ms: 0 };
        let mut store = SledStore::open(&config, &owner).unwrap();
        let [gap, whole] = [0, 1].map(|partition| TopicPartition::new("orders", partition));
        for source in [&gap, &whole] {
            in_store_only(&mut store)(source, Position::before(NextOffset::new(53))).unwrap();
        }
        let mut skip = |skip| {
            let mut told = Vec::new();
            let positions = [&gap, &whole].map(|source| (source.clone(), store.position(source).unwrap().unwrap()));
            let mut tell = |one| {
                told.push(one);
                Ok(())
            };
            let mut lowest = |source: &TopicPartition| Ok(NextOffset::new(if *source == gap { 75 } else { 53 }));
            let mut write = in_store_only(&mut store);
            go_on(positions.to_vec(), skip, &mut tell, &mut lowest, &mut write).unwrap();
            drop(write);
            (told, [&gap, &whole].map(|source| store.position(source).unwrap().unwrap().next.get()))
        };
        let lost = Lost { source: gap.clone(), from: NextOffset::new(53), to: NextOffset::new(75) };
        assert_eq!(skip(Skip::Look), (vec![Told::Lost(lost.clone())], [53, 53]));
        assert_eq!(skip(Skip::Do), (vec![Told::Lost(lost.clone()), Told::Moved(lost)], [75, 53]));
        assert_eq!(skip(Skip::Do), (vec![], [75, 53]));
    }
}
