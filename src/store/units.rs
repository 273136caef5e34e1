//! Whether the configured units of `update_time` go with the stamps that are stored already.
//!
//! Pure: the store keeps what is agreed, and looks at its stamps where that alone does not tell. A unit is remembered
//! before anything is folded under it; a unit that was only tried leaves no stamp and may be taken back.

use crate::order::{AppId, TimeUnit};
use crate::sync::ports::PortError;
pub(super) use crate::sync::units::Units;
use crate::sync::units::back_to_seconds;

/// What to remember from now on. `has_milliseconds` says whether the store holds a stamp of an app that only
/// milliseconds can have made; it may have to read all of the app's states, and is asked only where a unit goes back.
pub(super) fn agree(
    remembered: &Units,
    configured: &Units,
    has_milliseconds: impl Fn(&AppId) -> Result<bool, PortError>,
) -> Result<Units, PortError> {
    let mut agreed = remembered.clone();
    for (app_id, unit) in configured {
        let goes_back = remembered.get(app_id) == Some(&TimeUnit::Milliseconds) && *unit == TimeUnit::Seconds;
        if goes_back && has_milliseconds(app_id)? {
            return Err(PortError::Fatal(back_to_seconds(app_id, "the store")));
        }
        agreed.insert(app_id.clone(), *unit);
    }
    Ok(agreed)
}
