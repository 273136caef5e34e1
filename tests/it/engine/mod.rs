//! The real engine over faulty fakes, with a clock that the test holds.

mod chaos;
mod delivery;
mod fakes;
mod partitions;
mod world;
