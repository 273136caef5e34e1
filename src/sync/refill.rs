//! Fills a store's partition anew from the changelog, for tools, while no worker runs.

use super::changelog::{ChangelogRecord, Gathered};
use super::log_ports::{CacheStore, ChangelogSource, Checkpoint};
use super::ports::PortError;
use super::recent::cache_write;
use super::restore::BATCH_BYTES;
use super::restore_words::{beginning_lost, unreadable};
use crate::record::{NextOffset, TopicPartition};

/// Makes the store hold of a partition what the changelog does, and nothing else, whatever the group's offset says. Nobody
/// writes the changelog meanwhile.
pub fn refill(
    changelog: &mut dyn ChangelogSource,
    store: &dyn CacheStore,
    source: &TopicPartition,
    now_ms: i64,
) -> Result<(), PortError> {
    let extent = changelog.extent(source.partition)?;
    if extent.low > NextOffset::new(0) {
        return Err(beginning_lost(&format!("of partition {}", source.partition), extent.low, ""));
    }
    store.forget(source)?;
    let mut gathered = Gathered::default();
    let mut visit = |record: &ChangelogRecord| {
        gathered.take(&source.topic, record).map_err(|error| unreadable(source, &error))?;
        if gathered.bytes() < BATCH_BYTES {
            return Ok(());
        }
        store.fill(cache_write(source, std::mem::take(&mut gathered), None))
    };
    let reached = changelog.read_through(source.partition, extent.low, &mut visit)?;
    store.fill(cache_write(source, gathered, Some(Checkpoint { changelog: reached, written_ms: now_ms })))?;
    if reached < extent.high {
        return Err(PortError::Passing("a transaction on the changelog is still open; try again in 10 s".to_owned()));
    }
    Ok(())
}
