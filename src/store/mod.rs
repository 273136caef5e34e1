//! Edge: everything that names sled, and the in-memory twin.

mod aside;
mod cache;
mod chunk;
mod cut;
mod disk;
mod keys;
mod letters;
pub mod memory;
pub mod meta;
mod order_count;
mod owed_log;
mod pages;
pub mod sled_store;
mod units;

pub use aside::set_aside;
pub use memory::MemoryStore;
pub use meta::{Owner, is_here};
pub use sled_store::SledStore;
