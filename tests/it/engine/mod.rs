//! The real engine over faulty fakes, with a clock that the test holds.

mod chaos;
mod delivery;
mod evidence;
pub mod fakes;
mod letters;
mod partitions;
mod restoring;
mod retention;
pub mod scene;
mod suspension;
pub mod world;
