//! What partitions of the changelog have lost of their beginning, for those who look at topics and stores while nothing runs.

use std::collections::BTreeSet;

use crate::config;
use crate::kafka::changelog::Changelog;
use crate::record::NextOffset;
use crate::store::SledStore;
use crate::sync::log_ports::{CacheStore as _, ChangelogSource as _};
use crate::sync::ports::PortError;
use crate::sync::restore_words::beginning_lost;

/// A partition of the changelog whose first records are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its number.
    pub partition: i32,
    /// Where it begins now.
    pub low: NextOffset,
    place: String,
}

impl Lost {
    /// What that means, and what to do.
    pub fn words(&self) -> String {
        beginning_lost(&self.place, self.low, "").to_string()
    }

    /// The same for one whose store stands at this offset of it.
    pub fn words_for(&self, stands: Option<NextOffset>) -> String {
        let words = self.words();
        match stands {
            Some(at) if self.is_known_to(stands) => {
                format!("{words}. This store stands at offset {at}: it can take the partition")
            }
            Some(at) => format!("{words}. This store stands at offset {at}, before that: it cannot take the partition"),
            None => format!("{words}. This store has no place in it: it cannot take the partition"),
        }
    }

    /// Whether a store that stands there holds what is gone.
    pub fn is_known_to(&self, stands: Option<NextOffset>) -> bool {
        stands.is_some_and(|at| at >= self.low)
    }
}

/// Those of these partitions that do not begin at offset 0.
pub fn lost(config: &config::Kafka, partitions: impl IntoIterator<Item = i32>) -> Result<Vec<Lost>, PortError> {
    let mut changelog = Changelog::connect(config)?;
    let mut found = Vec::new();
    for partition in partitions {
        let low = changelog.extent(partition)?.low;
        if low > NextOffset::new(0) {
            found.push(Lost { partition, low, place: format!("{}/{partition}", config.changelog_topic) });
        }
    }
    Ok(found)
}

/// Refuses a rebase into a changelog without its beginning where this store holds what is gone: it would leave that out, and
/// take the store for a cache of the rest.
pub(super) fn refuse_rebase(config: &config::Kafka, store: &SledStore) -> Result<(), PortError> {
    let topic = &config.changelog_topic;
    if store.changelog().as_deref() != Some(topic) {
        return Ok(());
    }
    let sources = store.sources();
    let lost = lost(config, sources.iter().map(|source| source.partition).collect::<BTreeSet<_>>())?;
    for source in sources {
        let Some(lost) = lost.iter().find(|lost| lost.partition == source.partition) else { continue };
        if lost.is_known_to(store.checkpoint(&source)?.map(|checkpoint| checkpoint.changelog)) {
            return Err(PortError::Fatal(format!(
                "{} begins at offset {}, and this store holds what stood before: as the topic is, a rebase would leave that out. With \
                 every worker stopped, delete the topic {topic} and run the command again: it writes all of the store into a new one",
                lost.place, lost.low
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_where_it_begins_holds_what_is_gone() {
        let lost = Lost { partition: 3, low: NextOffset::new(7), place: "shop.changelog/3".to_owned() };
        assert!(lost.words().starts_with("the changelog shop.changelog/3 begins at offset 7: "), "{}", lost.words());
        for (stands, takes) in [(None, false), (Some(6), false), (Some(7), true), (Some(8), true)] {
            let words = lost.words_for(stands.map(NextOffset::new));
            assert_eq!(words.ends_with(": it can take the partition"), takes, "{words}");
            assert_eq!(words.ends_with(": it cannot take the partition"), !takes, "{words}");
        }
    }
}
