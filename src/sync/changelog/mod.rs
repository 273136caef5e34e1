//! The changelog: what a commit writes to Kafka, and how a partition's state is read back from it. Pure.
//!
//! Partition n of every source topic shares changelog partition n; a reader skips the keys of other topics. The values
//! of states, owed deliveries and positions are the same bytes that the store keeps.

mod gather;
mod key;
mod record;
mod schema;
mod settings;
mod status;

#[cfg(test)]
mod round_trip_tests;

pub use gather::{Debt, GatherError, Gathered};
pub use key::{ChangelogKey, KeyError};
pub use record::{ChangelogRecord, PutRecord, records, write_records};
pub use schema::changelog_schema;
pub use settings::{SettingsError, SettingsFrom};
pub use status::{LetterState, LetterStatus, StatusError};
