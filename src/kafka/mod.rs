//! Edge: everything that names rdkafka.

pub mod changelog;
pub mod changelog_topic;
pub mod client;
pub mod command_writer;
pub mod commands;
pub mod commands_topic;
pub mod consumer;
pub mod convert;
mod copies;
pub mod dead_letters;
pub mod embedded;
pub mod own_topics;
pub mod producer;
pub mod properties;
pub mod property_faults;
pub mod rebase;
pub mod scan;
pub mod source;
pub mod status;
pub mod token_topic;
pub mod topic_settings;
pub mod topics;
mod transaction_judge;
pub mod transaction_rights;
mod transaction_start;
mod transaction_time;
pub mod transactions;
pub mod write_rights;

mod acknowledged;
mod bounded_call;
mod chatter;
mod command_ends;
mod command_feed;
mod command_places;
mod command_reader;
mod command_records;
mod ends;
mod failure;
mod filling;
#[cfg(test)]
mod property_docs;
mod property_names;
mod spans;
mod unjoined;
mod wait;
pub mod whole_faults;
