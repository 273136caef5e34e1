//! Edge: everything that names rdkafka.

pub mod client;
pub mod consumer;
pub mod embedded;
pub mod producer;
pub mod properties;
pub mod status;

mod chatter;
mod convert;
mod failure;
