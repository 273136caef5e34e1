//! Whether the configured units of `update_time` go with the stamps that are there: milliseconds are never gone back from,
//! and a change to them is told, as nothing undoes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::changelog::Gathered;
use super::port_error::{By, PortError};
use crate::order::{AppId, TimeUnit};
use crate::telemetry::event;

/// The apps' units, as configured.
pub type Units = BTreeMap<AppId, TimeUnit>;

/// The units of a worker, and of which apps it has said that they had seconds before.
#[derive(Debug, Default)]
pub struct UnitsInForce {
    units: Units,
    told: Mutex<BTreeSet<AppId>>,
}

impl From<Units> for UnitsInForce {
    fn from(units: Units) -> Self {
        Self { units, told: Mutex::default() }
    }
}

impl UnitsInForce {
    /// The units.
    pub fn all(&self) -> &Units {
        &self.units
    }

    /// Says, once for each app, that it goes on in milliseconds where this has been folded in seconds.
    pub fn tell_change_from(&self, before: &Units) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for app_id in to_milliseconds(before, &self.units) {
            if told.insert(app_id.clone()) {
                event::UnitChanged { app_id, words: TO_MILLISECONDS }.emit();
            }
        }
    }

    /// Refuses what only milliseconds can have made, of an app in seconds. A store remembers units itself, but an empty one,
    /// and another worker's, knows what others have pushed from the changelog alone.
    pub(super) fn check(&self, read: &Gathered) -> Result<(), PortError> {
        let states =
            read.states.iter().filter_map(|(identity, state)| Some((&identity.app_id, state.as_ref()?.update_time)));
        let removed =
            read.position.iter().flat_map(|position| position.removed_stamps.iter().map(|(app, at)| (app, *at)));
        let mut stamps = states.chain(removed).filter(|(_, stamp)| stamp.is_milliseconds());
        match stamps.find(|(app_id, _)| self.units.get(*app_id) == Some(&TimeUnit::Seconds)) {
            Some((app_id, _)) => Err(PortError::Refused(By::Store, back_to_seconds(app_id, "the changelog"))),
            None => Ok(()),
        }
    }
}

/// The apps that have seconds before and milliseconds after.
pub fn to_milliseconds<'a>(before: &'a Units, after: &'a Units) -> impl Iterator<Item = &'a AppId> {
    let changed = |(app_id, unit): &(&AppId, &TimeUnit)| {
        **unit == TimeUnit::Milliseconds && before.get(*app_id) == Some(&TimeUnit::Seconds)
    };
    after.iter().filter(changed).map(|(app_id, _)| app_id)
}

/// What a change to milliseconds means.
pub const TO_MILLISECONDS: &str = "update_time_unit has changed from seconds to milliseconds, which nothing undoes once \
     an order is pushed so: to the platform every stamp in seconds is older then, and it ignores those pushes in silence. All \
     workers of the group must have it: one with seconds is refused the partitions that have stamps in milliseconds, and \
     stops (docs/upgrading.md)";

/// That an app would go back to seconds, and what to do; `held` is where its stamps in milliseconds are.
pub fn back_to_seconds(app_id: &AppId, held: &str) -> String {
    format!(
        "update_time_unit of app {app_id} is \"seconds\", but {held} holds orders of it under stamps in milliseconds: their \
         update_time would go back, and the platform would ignore every push in silence; set update_time_unit = \
         \"milliseconds\" for this app again"
    )
}
