//! What several integration tests need.

pub mod fake_engine;
pub mod heard;
pub mod kafka;
pub mod raw_produce;
pub mod real_kafka;
pub mod running;
pub mod sled_damage;

/// An address where nobody listens: no test is given a port below 1024.
pub const NOBODY: &str = "127.0.0.1:1";
