//! What a store owes of source topics that are read no more: nobody pushes it until the topic is back, and no partition
//! of it is ever assigned that could say so.

use std::collections::BTreeMap;

use crate::store::SledStore;
use crate::telemetry::event;

/// What the store owes of one topic that is not among the settings' own.
#[derive(Debug, PartialEq, Eq)]
pub struct Unread {
    /// The topic.
    pub topic: Box<str>,
    /// How many deliveries.
    pub owed: usize,
}

impl Unread {
    /// What that means, and what to do.
    pub fn words(&self) -> String {
        format!(
            "deliveries that this store owes of topic {}: {}. It is not in kafka.topics, so none of them is pushed until it is \
             there again",
            self.topic, self.owed
        )
    }
}

/// What the store owes of topics that are not among these. A cache may be behind: another worker may have settled it since.
pub fn owed(store: &SledStore, topics: &[String]) -> Vec<Unread> {
    let mut found: BTreeMap<Box<str>, usize> = BTreeMap::new();
    for source in store.sources() {
        let owed = store.owed_count(&source);
        if owed > 0 && !topics.iter().any(|topic| **topic == *source.topic) {
            *found.entry((&*source.topic).into()).or_default() += owed;
        }
    }
    found.into_iter().map(|(topic, owed)| Unread { topic, owed }).collect()
}

/// Says so once for each of them.
pub(super) fn warn(store: &SledStore, topics: &[String]) {
    for Unread { topic, owed } in owed(store, topics) {
        event::OwedOfUnreadTopic { topic: &topic, owed }.emit();
    }
}
