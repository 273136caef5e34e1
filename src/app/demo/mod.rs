//! The demo: the real worker over an embedded broker and the sandbox, on a seeded log.

pub mod dirt;
pub mod documents;
pub mod expect;
pub mod lifecycle;
pub mod log;
pub mod play;
pub mod stage;
pub mod verdict;

pub use log::{LogRecord, LogSpec, generate};
