//! One type per operational event: its log line and its metric together; the meters of the hot path; the log itself.
//!
//! Nothing here decides anything, and nothing is global but the log's subscriber: meters are made once by the
//! composition root (or by a test, for itself) and handed on as cheap clones.

mod command_meters;
pub mod event;
mod lag;
pub mod logging;
pub mod meters;
pub mod metric;
mod metric_docs;
pub mod redact;
mod registry;
mod store_meters;

pub use meters::{Meters, Outcome};
pub use store_meters::StoreMeters;
