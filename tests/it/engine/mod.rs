//! The real engine over faulty fakes, with a clock that the test holds.

mod chaos;
mod commands;
pub mod commands_site;
mod delivery;
mod draining;
mod evidence;
pub mod fakes;
mod give_up;
mod giving_back;
mod gone;
mod letters;
mod partitions;
mod pausing;
mod released;
mod restoring;
mod retention;
mod revoked;
pub mod scene;
mod suspension;
mod tokenless;
pub mod world;
