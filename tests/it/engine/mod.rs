//! The real engine over faulty fakes, with a clock that the test holds.

mod chaos;
mod delivery;
pub mod fakes;
mod partitions;
pub mod world;
