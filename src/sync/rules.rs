//! What the engine is told once: the rules of fold and delivery, and the time of one turn.

use std::sync::Arc;
use std::time::Duration;

use super::circuit::CircuitRules;
use super::fold_settings::FoldedBy;
use crate::douyin::table::OutcomeTable;
use crate::order::event::EventRules;
use crate::order::{AppId, MapOrder, TimeUnit};
use crate::retry::RetryPolicy;

/// The time of one turn. The engine owns no clock: the runner reads it, the simulation makes it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the engine started; never goes back.
    pub mono: Duration,
    /// The worker's wall clock, milliseconds since the Unix epoch; may go back.
    pub wall_ms: i64,
}

/// What the engine needs to know of one app.
#[derive(Clone, Debug)]
pub struct AppRules {
    /// The app.
    pub app_id: AppId,
    /// The unit of its stamps.
    pub unit: TimeUnit,
}

/// Everything the engine is told once.
pub struct Rules {
    /// The group whose positions are committed.
    pub group: Arc<str>,
    /// How events are decoded.
    pub event: EventRules,
    /// The apps, in the order of the config; never empty.
    pub apps: Vec<AppRules>,
    /// Maps merged orders to requests.
    pub mapper: Arc<dyn MapOrder + Send + Sync>,
    /// What of the settings `event`, `apps` and `mapper` come from, to be recorded; `None` without transactions.
    pub settings: Option<FoldedBy>,
    /// Judges answers.
    pub outcomes: Arc<OutcomeTable>,
    /// The waits between attempts.
    pub retry: RetryPolicy,
    /// When an app waits as a whole.
    pub circuit: CircuitRules,
    /// Failing time, by evidence, after which an order is given up.
    pub give_up_after: Duration,
    /// Attempts at once.
    pub max_in_flight: usize,
    /// Orders of one app in memory that do not fail; the others are left to the store.
    pub max_lanes: usize,
    /// Deliveries owed before intake pauses.
    pub max_owed: usize,
    /// Bytes not yet committed before intake pauses.
    pub max_buffered_bytes: usize,
    /// At most one commit in this time.
    pub commit_interval: Duration,
    /// How long a revoked partition may take for its last commit.
    pub revoke_timeout: Duration,
    /// How long draining may take.
    pub shutdown_timeout: Duration,
    /// Starts per second and app; none is unlimited.
    pub requests_per_second: Option<std::num::NonZeroU32>,
    /// When orders leave that are at their end; `None`: never.
    pub retention: Option<RetentionRules>,
    /// Whether to end once everything that stood in the topics at the start is delivered.
    pub end: End,
}

/// When orders leave that are at their end, and how slowly they are looked for.
#[derive(Clone, Debug)]
pub struct RetentionRules {
    /// They stay so long after their last stamp.
    pub retain: Duration,
    /// Rows of the store that are looked through in one go.
    pub page_rows: usize,
    /// From one page to the next, unless a tenth of it may leave.
    pub page_every: Duration,
    /// From one pass over a partition to its next.
    pub pass_every: Duration,
    /// How many of what a page names are judged at one cut.
    pub judged_per_cut: usize,
}

impl RetentionRules {
    /// The pace of production: 500 orders a second are looked at, a million in 34 minutes, at some 3 ms of another thread's
    /// time a second, and more where many may leave; of those at most 250 are judged between two commits, at some 20 µs
    /// each, so that some 2,000 orders can leave in a second.
    pub fn new(retain: Duration) -> Self {
        Self {
            retain,
            page_rows: 1000,
            page_every: Duration::from_secs(2),
            pass_every: Duration::from_secs(6 * 3600),
            judged_per_cut: 250,
        }
    }
}

/// When the engine ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Never: only when told to.
    WhenTold,
    /// When every partition has reached the end it had at its assignment and nothing is owed.
    WhenCaughtUp,
}

/// Bytes of requests that lanes may keep in memory; the rest stands in the store until its turn comes.
pub const LANE_BYTES_MAX: usize = 24 << 20;
/// Lanes that may keep a log of their head's attempts and the platform's last answer, up to 5 KiB together.
pub const LANES_DETAILED_MAX: usize = 2048;
/// Requests that one lane may keep in memory.
pub const LANE_REQUESTS_MAX: usize = 4;
/// Key, value and headers together; above it a record is dead-lettered.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Records folded in one go before answers are looked at again.
pub const FOLD_SLICE: usize = 64;
