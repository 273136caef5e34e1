//! order-sync keeps Douyin's order centre on a merchant's latest order state: it consumes order events from
//! Kafka, folds them per order, and pushes each state through `order/v2/push` under a strictly increasing stamp.
//!
//! ARCHITECTURE.md says which room may use which; `tests/tidy.rs` enforces it.

pub mod app;
pub mod cli;
pub mod config;
pub mod douyin;
pub mod http;
pub mod inspect;
pub mod kafka;
pub mod order;
pub mod record;
pub mod retry;
pub mod sandbox;
pub mod store;
pub mod sync;
pub mod telemetry;
