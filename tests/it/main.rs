//! One binary for every integration test: a module per file, so that the library is linked once.
//!
//! A test that needs a broker or a platform starts its own on loopback; nothing here knows an address of a machine.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "tests stop where the world is not as they made it"
)]

// Modules, in alphabetical order, one per line:
mod cli_check;
mod cli_elsewhere;
mod cli_frame;
mod engine;
mod fleet;
mod fold;
mod golden;
mod http_answers;
mod http_elsewhere;
mod http_harness;
mod http_server;
mod http_tls;
mod http_tokens;
mod http_wire;
mod kafka_changelog_topic;
mod kafka_commands;
mod kafka_commits;
mod kafka_letters;
mod kafka_mock;
mod kafka_nodes;
mod kafka_reads;
mod kafka_real;
mod kafka_unknown;
mod kafka_unread;
mod map;
mod owed_memory;
mod reference;
mod run;
mod run_alone;
mod run_commands;
mod run_disk;
mod run_given_back;
mod run_letters;
mod run_lost;
mod run_marked;
mod run_refused;
mod run_replicas;
mod run_retention;
mod run_secured;
mod run_source;
mod run_source_live;
mod run_tokens;
mod run_tokens_fleet;
mod run_topics;
mod schemas;
mod store_commands;
mod store_contract;
mod store_disk;
mod store_kill;
mod store_letters;
mod store_orders;
mod storm;
mod support;
mod tokens_group;
mod tokens_shared;
mod tools;
