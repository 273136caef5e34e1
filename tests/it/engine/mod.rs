//! The real engine over faulty fakes, with a clock that the test holds.

mod cases;
mod world;
