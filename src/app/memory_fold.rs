//! The fold without Kafka and without a store: the states of the orders seen so far are in memory.
//!
//! `map` shows what becomes of each event; the demo folds its log ahead to know what the sandbox must come to hold.
//! Nothing was removed by retention here, and no record key is judged.

use std::collections::{BTreeMap, HashMap};

use crate::order::fold::{FoldRules, fold};
use crate::order::{AppId, Fault, Identity, MapOrder, OrderEvent, OrderState, TimeUnit, Transition, UpdateTime};

/// What an event came to, once it is folded.
#[derive(Clone, Debug)]
pub enum Folded {
    /// The order moved on; the request would be sent, without its token.
    Advanced {
        /// The stamp of the push.
        update_time: UpdateTime,
        /// The request's bytes.
        request: Vec<u8>,
    },
    /// Nothing that is sent has changed.
    Unchanged {
        /// The order's stamp, which stands.
        update_time: UpdateTime,
    },
    /// Seen before.
    Duplicate,
    /// Older than what was applied.
    Stale,
}

/// The orders seen so far, and the settings.
#[derive(Debug)]
pub struct MemoryFold<M> {
    units: BTreeMap<AppId, TimeUnit>,
    mapper: M,
    states: HashMap<Identity, OrderState>,
}

impl<M: MapOrder> MemoryFold<M> {
    /// Nothing folded yet. The unit of an app that `units` does not hold is seconds.
    pub fn new(units: BTreeMap<AppId, TimeUnit>, mapper: M) -> Self {
        Self { units, mapper, states: HashMap::new() }
    }

    /// Folds an event that lay at `offset` into the state of its order, which is `identity`.
    pub fn fold(&mut self, identity: &Identity, event: &OrderEvent<'_>, offset: i64) -> Result<Folded, Fault> {
        let unit = self.units.get(&identity.app_id).copied().unwrap_or(TimeUnit::Seconds);
        let rules = FoldRules { unit, removed_stamp: UpdateTime::ZERO };
        let transition = fold(self.states.get(identity), event, offset, rules, &self.mapper)?;
        let (folded, state) = match transition {
            Transition::Duplicate => return Ok(Folded::Duplicate),
            Transition::Stale => return Ok(Folded::Stale),
            Transition::Unchanged(unchanged) => {
                (Folded::Unchanged { update_time: unchanged.state.update_time }, unchanged.state)
            }
            Transition::Advanced(advanced) => {
                let update_time = advanced.state.update_time;
                (Folded::Advanced { update_time, request: advanced.request }, advanced.state)
            }
        };
        self.states.insert(identity.clone(), state);
        Ok(folded)
    }
}
