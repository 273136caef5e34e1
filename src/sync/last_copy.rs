//! A store's copy of a partition that the changelog cannot replace.

use super::last_position::last_position;
use super::log_ports::ChangelogExtent;
use super::ports::PortError;
use super::restore::RestoreSite;
use super::restore_words::last_copy;
use crate::record::TopicPartition;

/// Refuses to drop what the store has of a partition of which the changelog has nothing: a rebase left it out, as its topic was
/// not among the settings, or as its store was behind what the group had committed. `reason`: why it is to be dropped.
pub(super) fn keep(
    site: &mut RestoreSite,
    source: &TopicPartition,
    extent: ChangelogExtent,
    reason: &str,
) -> Result<(), PortError> {
    let Some(position) = site.cache.store().position(source)? else { return Ok(()) };
    match last_position(site.changelog.as_mut(), source, extent.high, extent.low)? {
        Some(_) => Ok(()),
        None => Err(last_copy(&site.topic, source, position.next, reason)),
    }
}
