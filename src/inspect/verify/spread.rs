//! Orders whose events lie in several partitions or topics: between those no order is promised, whatever each of them holds.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::evidence::order_key;
use crate::order::Identity;
use crate::record::TopicPartition;

/// So many of them are named.
const NAMED_MAX: usize = 20;
/// So many orders are compared, each in 16 bytes.
const MET_MAX: usize = 4_000_000;
/// The place of an order that is known to lie in several.
const SEVERAL: u32 = u32::MAX;

/// What has been met in one partition after another.
#[derive(Debug, Default)]
pub struct Spread {
    places: Vec<TopicPartition>,
    /// Where an order was met first.
    met: HashMap<u64, u32, RandomState>,
    named: BTreeMap<u64, (Identity, Vec<TopicPartition>)>,
    count: u64,
    is_full: bool,
}

impl Spread {
    /// How many orders lie in several partitions.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, and where each lies.
    pub fn named(&self) -> impl Iterator<Item = &(Identity, Vec<TopicPartition>)> {
        self.named.values()
    }

    /// Whether there were more orders than are compared.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes the orders of a partition; those of one that was looked at before count once.
    pub(super) fn take<'a>(&mut self, source: &TopicPartition, orders: impl Iterator<Item = &'a Identity>) {
        let at = self.places.iter().position(|place| place == source).unwrap_or_else(|| {
            self.places.push(source.clone());
            self.places.len() - 1
        });
        let here = u32::try_from(at).unwrap_or(SEVERAL);
        for identity in orders {
            let key = order_key(identity);
            let Some(first) = self.met.get(&key).copied() else {
                if self.met.len() < MET_MAX {
                    self.met.insert(key, here);
                } else {
                    self.is_full = true;
                }
                continue;
            };
            if first == here {
                continue;
            }
            if first != SEVERAL {
                self.met.insert(key, SEVERAL);
                self.count += 1;
                let place = usize::try_from(first).ok().and_then(|first| self.places.get(first));
                if self.named.len() < NAMED_MAX {
                    self.named.insert(key, (identity.clone(), place.cloned().into_iter().collect()));
                }
            }
            if let Some((_, places)) = self.named.get_mut(&key).filter(|(_, places)| !places.contains(source)) {
                places.push(source.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::AppId;

    #[test]
    fn orders_in_several_partitions_are_counted_once_and_the_first_are_named() {
        let orders = |from: u32, until: u32| -> Vec<Identity> {
            (from..until).map(|number| Identity::new(AppId::new("tt1"), format!("A{number}").as_str())).collect()
        };
        let place = |topic: &str, partition| TopicPartition::new(topic, partition);
        let mut spread = Spread::default();
        let mut take = |place: &TopicPartition, orders: Vec<Identity>| spread.take(place, orders.iter());
        take(&place("a", 0), orders(0, 40));
        // It is looked at again.
        take(&place("a", 0), orders(0, 40));
        take(&place("a", 1), orders(10, 11));
        take(&place("b", 0), orders(10, 50));
        assert_eq!((spread.count(), spread.named().count(), spread.is_full()), (30, 20, false));
        let (_, places) = spread.named().find(|(identity, _)| &*identity.order_id == "A10").unwrap();
        assert_eq!(*places, [place("a", 0), place("a", 1), place("b", 0)]);
    }
}
