//! Whether the configured units of `update_time` go with the stamps that are stored already.
//!
//! Pure: the store tells which apps have states, and keeps what is agreed.

use std::collections::BTreeMap;

use crate::order::{AppId, TimeUnit};
use crate::sync::ports::PortError;

/// The apps' units as a store remembers them.
pub(super) type Units = BTreeMap<AppId, TimeUnit>;

/// What to remember from now on. `has_states` is asked only about an app whose unit would make stamps go back.
pub(super) fn agree(
    remembered: &Units,
    configured: &Units,
    has_states: impl Fn(&AppId) -> Result<bool, PortError>,
) -> Result<Units, PortError> {
    let mut agreed = remembered.clone();
    for (app_id, unit) in configured {
        let goes_back = remembered.get(app_id) == Some(&TimeUnit::Milliseconds) && *unit == TimeUnit::Seconds;
        if goes_back && has_states(app_id)? {
            return Err(PortError::Fatal(format!(
                "update_time_unit of app {app_id} is \"seconds\", but the store holds its orders under stamps in \
                 milliseconds: their update_time would go back, and the platform would ignore every push in silence; \
                 set update_time_unit = \"milliseconds\" for this app again"
            )));
        }
        agreed.insert(app_id.clone(), *unit);
    }
    Ok(agreed)
}
