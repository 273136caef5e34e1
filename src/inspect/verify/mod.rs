//! Folds a source partition again, and holds what comes out against what the log says: changelog and dead letters alone.

mod account;
mod bases;
mod close;
mod commits;
mod debts;
mod eras;
mod evidence;
mod facts;
mod given;
mod letters;
mod obey;
mod outcome;
mod partition;
mod rules;
mod said;
mod settled;
mod spread;
mod step;
mod tally;
mod tracks;
mod unread;
mod unsaid;
mod worlds;

#[cfg(test)]
mod command_tests;
#[cfg(test)]
mod fake_deeds;
#[cfg(test)]
mod fakes;
#[cfg(test)]
mod laws_tests;
#[cfg(test)]
mod lost_tests;
#[cfg(test)]
mod settled_tests;

pub use eras::Eras;
pub(super) use eras::InForce;
pub use outcome::{Kind, Reason};
pub use partition::{Asked, verify_partition};
pub use rules::{MakeMapping, Start, VerifyRules};
pub use spread::Spread;
pub use tally::{Report, Unaccounted};
