//! Edge: everything that names sled, and the in-memory twin.

pub mod memory;
mod units;

pub use memory::MemoryStore;
