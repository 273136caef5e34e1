//! What several integration tests need.

pub mod fake_engine;
pub mod kafka;
