//! The ids of the source topics as librdkafka hears of them: a topic that is deleted and created again has another one.
//!
//! The binding tells no ids. The library fetches by them, so what comes under a new id was asked for after the library
//! had learned it; that it did is a line of its log, which lies in the group's queue before any such record lies in its own.

use std::collections::{BTreeMap, BTreeSet};

/// The context of `debug` that the line belongs to: the quietest of the two.
pub(in crate::kafka) const CONTEXT: &str = "metadata";
/// The line's facility.
const FACILITY: &str = "METADATA";
/// The id of a topic that has none (yet), or none that these brokers tell.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The last id of each topic, and whose have changed since somebody asked.
#[derive(Debug, Default)]
pub(super) struct TopicIds {
    known: BTreeMap<String, String>,
    renewed: BTreeSet<String>,
}

impl TopicIds {
    /// Takes a line of the log.
    pub(super) fn hear(&mut self, facility: &str, message: &str) {
        let Some((topic, from, to)) = change(facility, message) else { return };
        if to == NO_ID {
            return;
        }
        // The library forgets ids with its own handle on a topic; what is known here outlives that.
        let before = self.known.insert(topic.to_owned(), to.to_owned());
        let before = before.as_deref().unwrap_or(from);
        if before != NO_ID && before != to {
            self.renewed.insert(topic.to_owned());
        }
    }

    /// The topics that have another id than before, each told once.
    pub(super) fn take_renewed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.renewed)
    }
}

/// Topic, old id and new id, where the line tells them.
fn change<'a>(facility: &str, message: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    if facility != FACILITY {
        return None;
    }
    let (before, ids) = message.split_once(" changed id from ")?;
    let (from, to) = ids.split_once(" to ")?;
    // In front stands the library's thread.
    let (_, topic) = before.rsplit_once("Topic ")?;
    Some((topic, from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "hBRx9-3zR9eCCzp1n8pPpw";
    const NEW: &str = "1aJ0Wkq4QsG0GdHcUrpl6A";

    fn check(changes: &[(&str, &str)], renewed: bool) {
        let mut ids = TopicIds::default();
        for (from, to) in changes {
            let line = format!("[thrd:main]: Topic orders changed id from {from} to {to}");
            ids.hear("METADATA", &line);
        }
        assert_eq!(ids.take_renewed().contains("orders"), renewed, "{changes:?}");
        assert!(ids.take_renewed().is_empty(), "told once");
    }

    #[test]
    fn another_id_is_another_topic_and_a_first_one_is_none() {
        check(&[(NO_ID, OLD)], false);
        check(&[(NO_ID, OLD), (OLD, NEW)], true);
        check(&[(OLD, NEW)], true);
        check(&[(NO_ID, OLD), (OLD, NO_ID)], false);
        check(&[(NO_ID, OLD), (NO_ID, OLD)], false);
        // Brokers that tell none in between, or a handle that was made anew.
        check(&[(NO_ID, OLD), (OLD, NO_ID), (NO_ID, NEW)], true);
        check(&[(NO_ID, OLD), (NO_ID, NEW)], true);
    }

    #[test]
    fn other_lines_say_nothing() {
        assert_eq!(change("METADATA", "[thrd:main]: Topic orders [3] Leader 1 Epoch 0"), None);
        assert_eq!(change("STATE", "Topic orders changed id from a to b"), None);
    }
}
