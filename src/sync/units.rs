//! Whether the configured units of `update_time` go with the stamps that are there: milliseconds are never gone back from.

use std::collections::BTreeMap;

use super::changelog::Gathered;
use super::port_error::{By, PortError};
use crate::order::{AppId, TimeUnit};

/// The apps' units, as configured.
pub type Units = BTreeMap<AppId, TimeUnit>;

/// That an app would go back to seconds, and what to do; `held` is where its stamps in milliseconds are.
pub fn back_to_seconds(app_id: &AppId, held: &str) -> String {
    format!(
        "update_time_unit of app {app_id} is \"seconds\", but {held} holds orders of it under stamps in milliseconds: their \
         update_time would go back, and the platform would ignore every push in silence; set update_time_unit = \
         \"milliseconds\" for this app again"
    )
}

/// Refuses what only milliseconds can have made, of an app in seconds. A store remembers units itself, but an empty one, and
/// another worker's, knows what others have pushed from the changelog alone.
pub(super) fn check(units: &Units, read: &Gathered) -> Result<(), PortError> {
    let states =
        read.states.iter().filter_map(|(identity, state)| Some((&identity.app_id, state.as_ref()?.update_time)));
    let removed = read.position.iter().flat_map(|position| position.removed_stamps.iter().map(|(app, at)| (app, *at)));
    let mut stamps = states.chain(removed).filter(|(_, stamp)| stamp.is_milliseconds());
    match stamps.find(|(app_id, _)| units.get(*app_id) == Some(&TimeUnit::Seconds)) {
        Some((app_id, _)) => Err(PortError::Refused(By::Store, back_to_seconds(app_id, "the changelog"))),
        None => Ok(()),
    }
}
