//! How the producers of a topic choose partitions, as far as its keys have shown. A key that lies elsewhere is the first
//! sign of a topic that has grown: before its record is handed on, the brokers are asked how many partitions there are.
//!
//! An order is split where its key comes to lie in another partition than before. Where the keys follow one of the two
//! default partitioners, such a record is never explained by it and the count that this worker knows. Where they follow
//! both or neither, no key is a sign, and the count is asked for each second instead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::partition::Batch;
use super::watch::Counted;
use super::worker::{Ended, Worker};
use crate::record::{Record, TopicPartition};
use crate::sync::partitioner;

/// How often the count of a topic is asked for whose keys are no sign, and again where nobody answers.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often it is asked for while a record waits for the answer.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// A broker may hear of a topic's growth so much later than the one that a producer has asked: only an answer that is as
/// much later than the first counts against keys that had followed a partitioner until then.
const PROPAGATION: Duration = Duration::from_millis(500);

/// The partitioner that the keys of a topic follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keying {
    /// There was no key yet that one of the two alone explains.
    #[default]
    Unknown,
    /// That of the Java client.
    Java,
    /// That of librdkafka.
    Librdkafka,
    /// Both, or one of the producers' own.
    Mixed,
}

/// What a topic's keys are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placing {
    pub(super) keying: Keying,
    /// How many partitions the topic had when it was first looked at.
    pub(super) count: i32,
}

impl Placing {
    /// Whether the record lies where its key was put before. One without a key belongs to no order, or is in the only
    /// partition.
    pub(super) fn explains(self, record: &Record, partition: i32) -> bool {
        let Some(key) = record.key.as_deref().filter(|_| self.count > 1) else { return true };
        match self.keying {
            Keying::Mixed => true,
            Keying::Java => partitioner::java(key, self.count) == partition,
            Keying::Librdkafka => partitioner::librdkafka(key, self.count) == partition,
            Keying::Unknown => {
                partitioner::java(key, self.count) == partition && partitioner::librdkafka(key, self.count) == partition
            }
        }
    }

    /// What the keys follow, this record being where it is although the topic has not grown.
    fn learn(self, record: &Record, partition: i32) -> Keying {
        if self.explains(record, partition) {
            return self.keying;
        }
        let explains = |keying| Self { keying, ..self }.explains(record, partition);
        match self.keying {
            Keying::Unknown if explains(Keying::Java) => Keying::Java,
            Keying::Unknown if explains(Keying::Librdkafka) => Keying::Librdkafka,
            Keying::Unknown | Keying::Java | Keying::Librdkafka | Keying::Mixed => Keying::Mixed,
        }
    }
}

/// A batch waits: one of its records lies elsewhere than its key says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// Which record, the first of them.
    at: usize,
    /// All of the batch was there by then.
    since: Instant,
    /// When the brokers were first asked after that and said that the topic has not grown.
    answered: Option<Instant>,
}

impl Doubt {
    pub(super) fn of(at: usize, since: Instant) -> Self {
        Self { at, since, answered: None }
    }

    /// Whether it is certain that the topic had not grown when the batch was taken.
    fn is_over(&mut self, topic: &TopicKeys) -> bool {
        let Some(asked) = topic.unchanged.filter(|asked| *asked > self.since) else { return false };
        let first = *self.answered.get_or_insert(asked);
        match topic.keying {
            Keying::Unknown | Keying::Mixed => true,
            Keying::Java | Keying::Librdkafka => asked >= first + PROPAGATION,
        }
    }
}

#[derive(Debug, Default)]
struct TopicKeys {
    keying: Keying,
    /// When the brokers were last asked and said that it has not grown.
    unchanged: Option<Instant>,
    /// They are not asked again before.
    not_before: Option<Instant>,
    /// A batch waits for the answer.
    is_wanted: bool,
}

impl TopicKeys {
    fn is_due(&self, now: Instant) -> bool {
        (self.is_wanted || self.keying == Keying::Mixed) && self.not_before.is_none_or(|not_before| now >= not_before)
    }
}

/// What is known of each topic's keys; a topic that was in no doubt yet is not there.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<Arc<str>, TopicKeys>);

impl Keys {
    fn of(&self, topic: &str) -> Keying {
        self.0.get(topic).map_or(Keying::Unknown, |keys| keys.keying)
    }

    /// Whether some topic's count is to be asked for now.
    pub(super) fn are_in_doubt(&self, now: Instant) -> bool {
        self.0.values().any(|topic| topic.is_due(now))
    }
}

impl Worker {
    pub(super) fn placing(&self, topic: &str) -> Placing {
        // What is read was looked at before it was subscribed to.
        Placing { keying: self.keys.of(topic), count: self.watch.count(topic).unwrap_or_default() }
    }

    /// Whether a batch may be handed on: nothing in it was in doubt, or the topic has not grown.
    pub(super) fn is_past_doubt(&mut self, batch: &mut Batch) -> bool {
        let Some(doubt) = &mut batch.doubt else { return true };
        let TopicPartition { topic, partition } = &batch.source;
        let placing = self.placing(topic);
        let keys = self.keys.0.entry(Arc::clone(topic)).or_default();
        // Another partition's doubt may have taught what explains this one.
        let left = batch.records[doubt.at..].iter().position(|record| !placing.explains(record, *partition));
        let Some(more) = left else {
            batch.doubt = None;
            return true;
        };
        doubt.at += more;
        if !doubt.is_over(keys) {
            keys.is_wanted = true;
            return false;
        }
        keys.keying = placing.learn(&batch.records[doubt.at], *partition);
        if keys.keying == Keying::Mixed {
            tracing::info!(
                %topic,
                partition,
                "keys lie elsewhere than the default partitioners put them; should the topic grow, it is noticed within a second"
            );
        }
        batch.doubt = None;
        true
    }

    /// Asks for the counts that are wanted. A topic that has grown stops the worker.
    pub(super) fn ask_counts(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        let due = self.keys.0.iter().filter(|(_, keys)| keys.is_due(now));
        let due: Vec<Arc<str>> = due.map(|(topic, _)| Arc::clone(topic)).collect();
        for topic in due {
            let asked = Instant::now();
            let counted = self.count_partitions(&topic)?;
            let Some(keys) = self.keys.0.get_mut(&topic) else { continue };
            let pause = match counted {
                Counted::Unchanged => {
                    keys.unchanged = Some(asked);
                    if keys.keying == Keying::Mixed { ASK_EVERY } else { ASK_AGAIN }
                }
                Counted::Grown | Counted::Unknown => ASK_EVERY,
            };
            keys.not_before = Some(Instant::now() + pause);
            // Who still waits says so again.
            keys.is_wanted = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordOffset;

    const COUNT: i32 = 5;

    fn record(key: &str) -> Record {
        let key = Some(key.as_bytes().into());
        Record { offset: RecordOffset::new(0), timestamp_ms: None, key, value: None, headers: Vec::new() }
    }

    /// A key that the two partitioners put in different partitions, and those.
    fn divided() -> (Record, i32, i32) {
        let keys = (0..).map(|n: u32| format!("order-{n}"));
        let places = |key: &String| {
            let key = key.as_bytes();
            (partitioner::java(key, COUNT), partitioner::librdkafka(key, COUNT))
        };
        let mut keys = keys.map(|key| (record(&key), places(&key)));
        let (record, (java, librdkafka)) = keys.find(|(_, (java, librdkafka))| java != librdkafka).unwrap();
        (record, java, librdkafka)
    }

    #[test]
    fn keys_that_follow_one_partitioner_are_not_explained_by_the_other() {
        use Keying::{Java, Librdkafka, Mixed, Unknown};
        let (record, java, librdkafka) = divided();
        let neither = (0..COUNT).find(|partition| *partition != java && *partition != librdkafka).unwrap();
        let check = |keying: Keying, partition: i32, explains: bool, learnt: Keying| {
            let placing = Placing { keying, count: COUNT };
            assert_eq!(placing.explains(&record, partition), explains, "{keying:?} {partition}");
            assert_eq!(placing.learn(&record, partition), learnt, "{keying:?} {partition}");
        };
        check(Unknown, java, false, Java);
        check(Unknown, librdkafka, false, Librdkafka);
        check(Unknown, neither, false, Mixed);
        check(Java, java, true, Java);
        check(Java, librdkafka, false, Mixed);
        check(Librdkafka, librdkafka, true, Librdkafka);
        check(Librdkafka, java, false, Mixed);
        check(Mixed, neither, true, Mixed);
        assert!(Placing { keying: Unknown, count: 1 }.explains(&record, 0), "there is no other partition");
        assert!(Placing { keying: Java, count: COUNT }.explains(&Record { key: None, ..record.clone() }, 0));
    }

    #[test]
    fn an_answer_counts_that_was_asked_for_behind_the_batch_and_against_a_rule_a_later_one() {
        let at = |ms: u64| Instant::now() + Duration::from_millis(ms);
        let (before, since, first, soon, late) = (at(0), at(10), at(20), at(200), at(600));
        let check = |keying: Keying, answers: &[Instant], over: bool| {
            let mut doubt = Doubt::of(0, since);
            let mut is_over = false;
            for unchanged in answers {
                let topic = TopicKeys { keying, unchanged: Some(*unchanged), ..TopicKeys::default() };
                is_over = doubt.is_over(&topic);
            }
            assert_eq!(is_over, over, "{keying:?}");
        };
        check(Keying::Unknown, &[before], false);
        check(Keying::Unknown, &[first], true);
        check(Keying::Java, &[first], false);
        check(Keying::Java, &[first, soon], false);
        check(Keying::Librdkafka, &[before, late], false);
        check(Keying::Librdkafka, &[first, soon, late], true);
    }
}
