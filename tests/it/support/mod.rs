//! What several integration tests need.

pub mod fake_engine;
pub mod kafka;
pub mod raw_produce;
pub mod real_kafka;
pub mod sled_damage;
