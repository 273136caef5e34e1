//! The engine: fold, commit, deliver. It knows ports, never their makers; time and randomness are arguments.

pub mod assign;
pub mod commit;
pub mod cycle;
pub mod dead_letter;
pub mod deliver;
pub mod desk;
pub mod engine;
pub mod feed;
pub mod folding;
pub mod give_up;
pub mod intake;
pub mod lane;
pub mod letter;
pub mod letter_schema;
pub mod overlay;
pub mod owed;
pub mod pace;
pub mod partition;
pub mod ports;
pub mod position;
pub mod rules;
pub mod runner;
pub mod status;
pub mod timer;
pub mod token;
pub mod tokens;
pub mod trouble;
pub mod wind_up;

pub use dead_letter::DeadLetter;
pub use engine::{Ended, Engine};
pub use intake::IntakeBudget;
pub use letter::Letter;
pub use letter_schema::dead_letter_schema;
pub use owed::{Owed, OwedKey};
