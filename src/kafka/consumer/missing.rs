//! A partition that has no record at the offset of the last one that was read. Compaction takes single records; else the topic
//! is another one, which may have a marker of a transaction in that place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::partition::Stage;
use super::start;
use super::worker::{Ended, Worker};
use crate::kafka::status::Problem;
use crate::kafka::topic_settings::SourceLooked;
use crate::kafka::topics::Topics;
use crate::record::TopicPartition;

/// A question that failed is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Worker {
    /// Asks for the policy of topics that lack such a record: seldom, so that it may take this thread for a question's time.
    pub(super) fn ask_missing(&mut self) -> Result<(), Ended> {
        let missing = self.reading().filter_map(|(source, reading)| Some((source.clone(), reading.missing?)));
        let missing: Vec<(TopicPartition, i64)> = missing.collect();
        if missing.is_empty() || Instant::now() < self.missing_at {
            return Ok(());
        }
        let topics = Topics::connect(&self.kafka);
        let mut looked = BTreeMap::new();
        for (source, offset) in missing {
            let policy = looked.entry(Arc::clone(&source.topic)).or_insert_with(|| match &topics {
                Ok(topics) => topics.look_at_source(&self.kafka, &source.topic).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            });
            match policy {
                Ok(policy) if policy.is_compacted() => {
                    tracing::info!(%source, offset, "compaction has taken the last record that was read");
                    self.status.clear(&Problem::Partition(source.to_string()));
                    if let Some(Stage::Reading(reading)) = self.partitions.get_mut(&source) {
                        (reading.proof, reading.missing) = (None, None);
                    }
                }
                Ok(SourceLooked::Unseen(unseen)) => {
                    self.give_up(&source, start::missing(&source, offset, Some(unseen)))?;
                }
                Ok(_) => self.give_up(&source, start::missing(&source, offset, None))?,
                Err(error) => {
                    self.missing_at = Instant::now() + ASK_AGAIN;
                    let words = format!("{source} has no record at offset {offset}, where one was read: {error}");
                    self.status.raise(Problem::Partition(source.to_string()), words);
                }
            }
            self.serve_commits();
        }
        Ok(())
    }
}
