//! Whether the commands topic is still the one that a position speaks of. Whatever stands before the position was executed and
//! has left an outcome under its id, which is never removed: a command there that has none was given in another topic of
//! that name, and nobody has looked at it.

use super::command::{Read, read};
use super::ports::{PortError, SourceReader, StateReader};
use crate::record::{NextOffset, RecordOffset, TopicPartition};

/// How far back is looked at first.
const LOOK_BACK: i64 = 16;
/// How far back is looked at most: in the same partition lie the commands for other source topics.
const LOOK_BACK_MAX: i64 = 4096;

/// Where the commands for a source partition are read from.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    /// From the position, or what is left behind it.
    At(NextOffset),
    /// From the topic's beginning, as it is another one; and what tells that. An id that has an outcome does nothing again.
    Anew(NextOffset, String),
}

/// Looks at `place`, the partition of the commands topic for `source`, which reaches from `low` to `end`.
pub fn begin(
    commands: &mut dyn SourceReader,
    store: &dyn StateReader,
    source: &TopicPartition,
    place: &TopicPartition,
    position: Option<NextOffset>,
    (low, end): (NextOffset, NextOffset),
) -> Result<Begin, PortError> {
    let position = position.unwrap_or(NextOffset::new(0));
    if position > end {
        return Ok(Begin::Anew(low, format!("it ends at offset {end}")));
    }
    Ok(match unexecuted(commands, store, source, place, (low, position))? {
        Some(offset) => {
            Begin::Anew(low, format!("the command at offset {offset}, before the position, was never executed"))
        }
        None => Begin::At(position.max(low)),
    })
}

/// The last command for `source` before a position, where it was never executed.
fn unexecuted(
    commands: &mut dyn SourceReader,
    store: &dyn StateReader,
    source: &TopicPartition,
    place: &TopicPartition,
    (low, position): (NextOffset, NextOffset),
) -> Result<Option<RecordOffset>, PortError> {
    let (mut back, mut until) = (LOOK_BACK, position.get());
    while until > low.get() && back <= LOOK_BACK_MAX {
        let from = (position.get() - back).max(low.get());
        let mut last = None;
        for offset in (from..until).map(RecordOffset::new) {
            let Some(record) = commands.read(place, offset)? else { continue };
            let (id, about) = match read(record.key.as_deref(), record.value.as_deref()) {
                Read::Command(command) => (command.id, command.source),
                Read::Refused { id, source, .. } => (id, source),
                Read::Unreadable(_) => continue,
            };
            if about == *source {
                last = Some((offset, id));
            }
        }
        if let Some((offset, id)) = last {
            return Ok(store.command(source, &id)?.is_none().then_some(offset));
        }
        (back, until) = (back * 16, from);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::AppId;
    use crate::record::Record;
    use crate::store::MemoryStore;
    use crate::sync::command::{Action, Command, CommandDone, Outcome};
    use crate::sync::log_ports::{CacheStore as _, CacheWrite};

    /// A partition of the commands topic: each record's source topic and id; an empty id is a record that is gone.
    struct Topic(Vec<(&'static str, String)>);

    impl SourceReader for Topic {
        fn read(&mut self, _: &TopicPartition, offset: RecordOffset) -> Result<Option<Record>, PortError> {
            let (topic, id) = &self.0[usize::try_from(offset.get()).unwrap()];
            if id.is_empty() {
                return Ok(None);
            }
            let action = Action::Pause { app_id: AppId::new("tt1") };
            let source = TopicPartition::new(*topic, 0);
            let command = Command { id: (**id).into(), source, action, who: "a".into(), why: "".into(), at_ms: 1 };
            let (key, value) = (Some(id.as_bytes().into()), Some(command.encode().unwrap().into()));
            Ok(Some(Record { offset, timestamp_ms: None, key, value, headers: Vec::new() }))
        }

        fn is_at_end(&mut self, _: &TopicPartition, _: NextOffset) -> Result<bool, PortError> {
            Ok(true)
        }
    }

    fn done() -> CommandDone {
        CommandDone {
            command: "pause".into(),
            outcome: Outcome::Done,
            message: "".into(),
            offset: None,
            app_id: None,
            order_id: None,
            update_time: None,
            next: NextOffset::new(0),
            command_offset: RecordOffset::new(0),
            at_ms: 1,
            who: "a".into(),
            why: "".into(),
        }
    }

    fn check(topic: &[(&'static str, String)], position: i64, expect: Option<&str>) {
        let (store, source) = (MemoryStore::new(), TopicPartition::new("orders", 0));
        let commands = ["old-0", "old-1"].map(|id| (id.into(), done())).into();
        let (states, owed, settled, letters) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let write = CacheWrite {
            source: source.clone(),
            states,
            owed,
            settled,
            letters,
            commands,
            position: None,
            checkpoint: None,
        };
        store.write(vec![write]).unwrap();
        let place = TopicPartition::new("g.commands", 0);
        let end = NextOffset::new(i64::try_from(topic.len()).unwrap());
        let (low, position) = (NextOffset::new(0), NextOffset::new(position));
        let found = begin(&mut Topic(topic.to_vec()), &store, &source, &place, Some(position), (low, end)).unwrap();
        match (&found, expect) {
            (Begin::At(next), None) => assert_eq!(*next, position),
            (Begin::Anew(next, why), Some(words)) => assert!(*next == low && why.contains(words), "{why}"),
            (Begin::At(_) | Begin::Anew(..), _) => panic!("{found:?} at {position} of {topic:?}"),
        }
    }

    #[test]
    fn a_command_before_the_position_without_an_outcome_is_one_of_another_topic() {
        let own = |id: &str| ("orders", id.to_owned());
        let other = || ("refunds", "other".to_owned());
        let gone = || own("");
        check(&[own("old-0"), own("old-1"), own("next")], 2, None);
        check(&[own("new-0"), own("new-1"), own("new-2")], 2, Some("offset 1, before"));
        check(&[own("old-0"), own("new-1")], 2, Some("offset 1, before"));
        // What is for another source topic says nothing, nor does what is not there any more.
        check(&[own("new-0"), other(), gone()], 3, Some("offset 0, before"));
        check(&[own("old-0"), other(), other()], 3, None);
        check(&[gone(), other()], 2, None);
        check(&[], 0, None);
        check(&[own("old-0"), own("old-1")], 3, Some("it ends at offset 2"));
    }

    #[test]
    fn it_is_looked_for_behind_many_for_other_source_topics() {
        let among = |id: &str, others: usize| {
            let own = std::iter::once(("orders", id.to_owned()));
            own.chain(std::iter::repeat_n(("refunds", "other".to_owned()), others)).collect::<Vec<_>>()
        };
        check(&among("new-0", 1000), 1001, Some("offset 0, before"));
        check(&among("old-0", 1000), 1001, None);
    }
}
