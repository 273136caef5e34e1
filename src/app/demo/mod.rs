//! The demo: the real worker over an embedded broker and the sandbox, on a seeded log.

pub mod dirt;
pub mod documents;
pub mod lifecycle;
pub mod log;

pub use log::{LogRecord, LogSpec, generate};
