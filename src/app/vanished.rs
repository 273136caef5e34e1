//! Writers whose topic is deleted under them: after a failure their topics are looked for, and where one is gone, the worker
//! ends with the words of the start's check. librdkafka's own words for it name no topic, and it tries for ever.

use std::time::{Duration, Instant};

use super::topics::{Filled, lost};
use crate::config;
use crate::kafka::changelog_topic;
use crate::kafka::dead_letters::DeadLetterTopic;
use crate::kafka::topics::Topics;
use crate::sync::Letter;
use crate::sync::log_ports::{Receipt, TransactError, Transaction, TransactionLog};
use crate::sync::ports::{By, DeadLetterSink, PortError};
use crate::telemetry::Meters;

/// The least time between two looks while nothing succeeds.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How it is known that a topic was there.
const WROTE: &str = "this worker wrote to it";

/// Says which topic is gone, in words, where one is.
type Gone = Box<dyn FnMut() -> Result<Option<String>, PortError> + Send>;

/// A writer, and the look at its topics.
pub(super) struct Watched<W> {
    writer: W,
    gone: Gone,
    /// When its topics were last looked for; nothing has succeeded since.
    looked: Option<Instant>,
}

/// The commits by transactions.
pub(super) fn commits<W: TransactionLog>(writer: W, config: &config::Kafka) -> Watched<W> {
    let config = config.clone();
    let gone = move || {
        let topics = Topics::connect(&config)?;
        if topics.is_gone(&config.changelog_topic)? {
            return Ok(Some(changelog_topic::lost(&config.changelog_topic, WROTE)));
        }
        letters_gone(&topics, &config)
    };
    Watched { writer, gone: Box::new(gone), looked: None }
}

/// The dead letters of a worker without transactions.
pub(super) fn letters(config: &config::Kafka, meters: Meters) -> Result<Box<dyn DeadLetterSink>, PortError> {
    let (writer, config) = (DeadLetterTopic::connect(config, meters)?, config.clone());
    let gone = move || letters_gone(&Topics::connect(&config)?, &config);
    Ok(Box::new(Watched { writer, gone: Box::new(gone), looked: None }))
}

fn letters_gone(topics: &Topics, config: &config::Kafka) -> Result<Option<String>, PortError> {
    Ok(topics.is_gone(&config.dead_letter_topic)?.then(|| lost(config, Filled::DeadLetters, WROTE)))
}

impl<W> Watched<W> {
    /// Something has failed. A look that fails says nothing.
    fn look(&mut self) -> Option<PortError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN) {
            return None;
        }
        let gone = (self.gone)();
        self.looked = Some(Instant::now());
        gone.ok().flatten().map(|words| PortError::Refused(By::Kafka, words))
    }
}

impl<W: TransactionLog> TransactionLog for Watched<W> {
    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<Receipt>, TransactError> {
        match self.writer.transact(transaction) {
            Ok(receipts) => {
                self.looked = None;
                Ok(receipts)
            }
            Err(error) => Err(self.look().map_or(error, TransactError::Aborted)),
        }
    }

    /// Asked again and again while it is not known what became of a commit.
    fn recover(&mut self) -> Result<(), PortError> {
        let recovered = self.writer.recover();
        let gone = if self.looked.is_some() { self.look() } else { None };
        gone.map_or(recovered, Err)
    }
}

impl<W: DeadLetterSink> DeadLetterSink for Watched<W> {
    fn write(&mut self, letters: Vec<Letter>) -> Result<(), PortError> {
        match self.writer.write(letters) {
            Ok(()) => {
                self.looked = None;
                Ok(())
            }
            Err(error) => Err(self.look().unwrap_or(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Fails where the letter says so.
    struct Sink;

    impl DeadLetterSink for Sink {
        fn write(&mut self, letters: Vec<Letter>) -> Result<(), PortError> {
            if letters.is_empty() { Ok(()) } else { Err(PortError::Passing("inconsistent".to_owned())) }
        }
    }

    fn letter() -> Vec<Letter> {
        vec![Letter { partition: 0, key: None, value: None, headers: Vec::new() }]
    }

    fn watched(found: Option<&'static str>) -> (Watched<Sink>, Arc<AtomicUsize>) {
        let looks = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&looks);
        let gone = move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(found.map(str::to_owned))
        };
        (Watched { writer: Sink, gone: Box::new(gone), looked: None }, looks)
    }

    #[test]
    fn a_row_of_failures_is_one_look_until_something_succeeds() {
        let (mut sink, looks) = watched(None);
        for _ in 0..5 {
            assert!(matches!(sink.write(letter()), Err(PortError::Passing(_))));
        }
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        sink.write(Vec::new()).unwrap();
        assert!(sink.write(letter()).is_err());
        assert_eq!(looks.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_topic_that_is_gone_ends_it_with_its_words() {
        let (mut sink, _) = watched(Some("it is gone"));
        let refused = sink.write(letter()).unwrap_err();
        assert!(matches!(&refused, PortError::Refused(By::Kafka, words) if words == "it is gone"), "{refused}");
    }
}
