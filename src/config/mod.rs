//! Settings: layers of raw values, then a validated [`Config`] that cannot be wrong. Every fault is reported at once.
//!
//! Each section is a file with its struct, the description of its keys, and how they are read; key.rs says what a
//! description holds. Nothing here reads the process environment or names a client library.

mod admin;
mod app;
mod circuit;
mod delivery;
mod document;
mod douyin;
mod dump;
mod duration;
mod error_code;
#[cfg(test)]
mod fault_tests;
mod kafka;
mod key;
mod limits;
mod load;
#[cfg(test)]
mod load_tests;
mod log;
mod nearest;
mod origin;
mod outside;
mod properties;
mod reader;
#[cfg(test)]
mod reference;
mod rows;
mod schema;
mod settings;
mod store;
mod topic_names;
mod value;

pub use admin::Admin;
pub use app::{App, Secret};
pub use circuit::Circuit;
pub use delivery::Delivery;
pub use douyin::{APP_ID, Douyin, GoodsEntryType, TicketLists, TokenKind};
pub use duration::{format_duration, parse as parse_duration};
pub use error_code::ErrorCodeRule;
pub use kafka::{Kafka, StartFrom};
pub use limits::{Limits, TextLimit};
pub use load::{DEFAULTS, JudgeKafka, JudgeProperties, Loaded, Need, Sources, key_paths, load};
pub use log::{Log, LogFormat};
pub use nearest::{ALIKE, nearest};
pub use origin::{Fault, Faults, Layer, Origin};
pub use outside::PREFIX;
pub use properties::is_hidden;
pub use schema::schema;
pub use settings::Config;
pub use store::{RETAIN_MIN, Store};
