//! Which checkpoints are of a known age, and young enough: the brokers drop tombstones when their time is over.

use std::time::Duration;

/// How far ahead of this clock a checkpoint may have been written by another one.
const CLOCKS_DIFFER_MS: i64 = 3_600_000;

/// Whether `written_ms` lies so far back that half of `kept` has passed: clocks differ, and the broker's time decides.
pub(super) fn is_older(written_ms: i64, kept: Duration, now_ms: i64) -> bool {
    now_ms.saturating_sub(written_ms) > half_ms(kept)
}

/// Whether `written_ms` lies further ahead of now than clocks may differ: an hour, or half of `kept` where that is less.
///
/// What is compared are two readings of wall clocks, of whoever wrote the checkpoint and of this process, which may run on
/// another machine. A writer that was ahead by `a` makes a checkpoint look younger by `a`: one that [`is_older`] lets pass is
/// at most half of `kept` and `a` old, so that up to half of `kept` nothing is missed. One that was further ahead hides any
/// age, and is known by it as long as its time has not come. An hour is more than clocks under NTP, or one that was set
/// back a little, come to; what it costs to be wrong is one reading of the changelog from its start.
///
/// Not seen is one whose time has come by now: its writer must have been ahead by more than half of `kept`, and the store
/// away until then.
pub(super) fn is_ahead(written_ms: i64, kept: Duration, now_ms: i64) -> bool {
    written_ms.saturating_sub(now_ms) > half_ms(kept).min(CLOCKS_DIFFER_MS)
}

fn half_ms(kept: Duration) -> i64 {
    i64::try_from(kept.as_millis() / 2).unwrap_or(i64::MAX)
}
