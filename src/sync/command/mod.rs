//! Operator commands as events: what lies in the commands topic, and what an executed command leaves behind. Pure.
//!
//! A command is written by the CLI, executed by the owner of its source partition through fold, commit and deliver, and
//! leaves its outcome under its id in the changelog, in that same commit. An id that has an outcome does nothing again.

mod done;
mod record;
mod schema;
mod stored;

pub(super) use done::StoredDone;
pub use done::{CommandDone, DoneError, Outcome};
pub use record::{Action, COMMAND_ID_BYTES_MAX, Command, LetterPlace, WHO_BYTES_MAX, WHY_BYTES_MAX};
pub use schema::command_schema;
pub use stored::{Read, read};
