//! The engine: fold, commit, deliver. It knows ports, never their makers; time and randomness are arguments.

pub mod dead_letter;
pub mod intake;
pub mod owed;
pub mod pace;
pub mod ports;

pub use dead_letter::DeadLetter;
pub use intake::IntakeBudget;
pub use owed::{Owed, OwedKey};
