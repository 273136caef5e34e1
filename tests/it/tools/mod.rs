//! The operators' tools as processes on a real Kafka: text and JSON, what they hide, and how they end.

mod dead_letters;
mod fixture;
mod many_letters;
mod many_orders;
mod orders;
mod scan;
