//! Commands about records that lie in their topic and that no worker has executed yet: what to know before another one is given.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::unread::Unread;
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::changelog::ChangelogKey;
use crate::sync::command::{self, Command};
use crate::sync::scan::{LogScan, ScanError, Span, Visit};

/// They are looked for among so many of the newest of each partition.
const COMMANDS_READ: i64 = 10_000;
/// So many that may wait are held against the changelog, the newest left out.
const CANDIDATES_MAX: usize = 20_000;

/// The record that a command is about.
pub type RecordPlace = (TopicPartition, RecordOffset);
/// Where a command lies in its topic.
type CommandPlace = (i32, RecordOffset);
/// A command as outcomes name it.
type CommandName = (TopicPartition, Box<str>);
/// Where a command lies, and the command.
type Candidates = BTreeMap<CommandPlace, Command>;

/// Redrives, discards and folds of these records that wait. They are looked for in these partitions. The commands are read
/// first: one that is executed meanwhile does not wait any more. With them comes what could not be read of the changelog: a
/// command whose outcome it is counts as waiting.
pub fn read_waiting(
    scan: &mut dyn LogScan,
    (commands, changelog): (&str, &str),
    partitions: &[i32],
    wanted: &dyn Fn(&RecordPlace) -> bool,
) -> Result<(BTreeMap<RecordPlace, Command>, Unread), ScanError> {
    let mut unread = Unread::default();
    let mut candidates = candidates(scan, commands, partitions, wanted)?;
    if !candidates.is_empty() {
        unread = strike_executed(scan, changelog, partitions, &mut candidates)?;
    }
    // Of several about one record the first is told: it is the one that acts.
    let waiting = candidates.into_values().rev().filter_map(|given| Some((place(&given)?, given)));
    Ok((waiting.collect(), unread))
}

/// Visits the newest commands of these partitions, as far as the topic has them: among them are those that wait.
pub fn read_newest_commands(
    scan: &mut dyn LogScan,
    topic: &str,
    partitions: &[i32],
    visit: &mut Visit<'_>,
) -> Result<(), ScanError> {
    let mut spans = extents(scan, topic, partitions)?;
    for span in &mut spans {
        span.from = span.from.max(NextOffset::new(span.until.get() - COMMANDS_READ));
    }
    scan.read(topic, &spans, visit)
}

fn place(given: &Command) -> Option<RecordPlace> {
    Some((given.source.clone(), given.action.offset()?))
}

fn candidates(
    scan: &mut dyn LogScan,
    topic: &str,
    partitions: &[i32],
    wanted: &dyn Fn(&RecordPlace) -> bool,
) -> Result<Candidates, ScanError> {
    let mut found = Candidates::new();
    read_newest_commands(scan, topic, partitions, &mut |seen| {
        if let command::Read::Command(given) = command::read(seen.key(), seen.value())
            && given.source.partition == seen.partition()
            && place(&given).is_some_and(|place| wanted(&place))
            && found.len() < CANDIDATES_MAX
        {
            found.insert((seen.partition(), seen.offset()), given);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Takes out what the changelog has an outcome of. Gives the outcomes whose keys cannot be read.
fn strike_executed(
    scan: &mut dyn LogScan,
    topic: &str,
    partitions: &[i32],
    candidates: &mut Candidates,
) -> Result<Unread, ScanError> {
    let mut by_id: BTreeMap<CommandName, Vec<CommandPlace>> = BTreeMap::new();
    for (at, given) in &*candidates {
        by_id.entry((given.source.clone(), given.id.clone())).or_default().push(*at);
    }
    let sources: BTreeSet<_> = candidates.values().map(|given| given.source.topic.clone()).collect();
    let spans = extents(scan, topic, partitions)?;
    let mut unread = Unread::default();
    scan.read(topic, &spans, &mut |seen| {
        let key = seen.key().unwrap_or_default();
        if !key.starts_with(b"[1,\"command\",") {
            return ControlFlow::Continue(());
        }
        for source in &sources {
            match ChangelogKey::decode(key, source) {
                Ok(Some(ChangelogKey::Command(id))) => {
                    let named = (TopicPartition::new(&**source, seen.partition()), id);
                    for at in by_id.remove(&named).unwrap_or_default() {
                        candidates.remove(&at);
                    }
                }
                Ok(_) => {}
                Err(_) => {
                    unread.put(seen);
                    break;
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(unread)
}

/// How far the topic reaches in those of the partitions that it has.
fn extents(scan: &mut dyn LogScan, topic: &str, partitions: &[i32]) -> Result<Vec<Span>, ScanError> {
    let count = scan.partitions(topic)?.unwrap_or(0);
    let there: Vec<i32> = partitions.iter().copied().filter(|partition| *partition < count).collect();
    if there.is_empty() { Ok(Vec::new()) } else { scan.extents(topic, &there) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::fake_log::FakeLog;
    use crate::order::AppId;
    use crate::sync::command::Action;

    fn given(id: &str, action: Action) -> Command {
        let source = TopicPartition::new("orders", 0);
        Command { id: id.into(), source, action, who: "alice".into(), why: "".into(), at_ms: 1 }
    }

    fn put(log: &mut FakeLog, command: &Command) {
        log.put("commands", 0, command.id.as_bytes(), Some(command.encode().unwrap()));
    }

    #[test]
    fn an_outcome_that_cannot_be_read_is_counted_and_its_command_waits() {
        let (mut log, redrive) = (FakeLog::default(), |offset| Action::Redrive { offset, letter: None });
        let [first, second] = [4, 5].map(RecordOffset::new);
        for command in [given("a", redrive(first)), given("b", redrive(second))] {
            put(&mut log, &command);
        }
        put(&mut log, &given("p", Action::Pause { app_id: AppId::new("tt1") }));
        let outcome = |id: &str| ChangelogKey::Command(id.into()).encode("orders");
        log.put("changelog", 0, b"[1,\"command\",7]", Some(b"{}".to_vec()));
        log.put("changelog", 0, &outcome("a"), Some(b"{}".to_vec()));
        let mut read = |changelog: &str| {
            let (waiting, unread) = read_waiting(&mut log, ("commands", changelog), &[0], &|_| true).unwrap();
            let offsets: Vec<i64> = waiting.keys().map(|(_, offset)| offset.get()).collect();
            (offsets, unread.count, unread.first)
        };
        assert_eq!(read("changelog"), (vec![5], 1, vec![(0, 0, "[1,\"command\",7]".to_owned())]));
        assert_eq!(read("nowhere"), (vec![4, 5], 0, vec![]));
    }
}
