//! The operators' tools as processes on a real Kafka: text and JSON, what they hide, and how they end.

mod came_back;
mod commands;
mod dead_letters;
mod detached;
mod fixture;
mod importing;
mod killed;
mod many_letters;
mod many_orders;
mod missing;
mod operator;
mod orders;
mod planting;
mod racing;
mod rebased;
mod redriving;
mod renamed;
mod replay;
mod replay_apply;
mod replay_pace;
mod scan;
mod settings;
mod unread;
mod verify;
