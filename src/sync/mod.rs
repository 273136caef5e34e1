//! The engine: fold, commit, deliver. It knows ports, never their makers; time and randomness are arguments.

pub mod dead_letter;
pub mod owed;
pub mod ports;

pub use dead_letter::DeadLetter;
pub use owed::{Owed, OwedKey};
