//! Engine of the operators' tools: what workers have written to Kafka, read back for people. It reads through
//! [`LogScan`](crate::sync::scan::LogScan) alone, holds a bounded part of it, and changes nothing.

mod backward;
mod detail;
mod exported;
mod letter;
mod letters;
mod life;
mod mask;
mod order_log;
mod order_rows;
mod own_time;
mod prospect;
mod reasons;
mod refold;
pub mod replay;
mod standing;
mod statuses;
mod timeline;
mod unread;
mod verify;
mod waiting;

#[cfg(test)]
mod fake_log;
#[cfg(test)]
mod letters_tests;
#[cfg(test)]
mod order_log_tests;
#[cfg(test)]
mod timeline_tests;

pub use backward::Backward;
pub use detail::{AttemptLine, LetterDetail};
pub use exported::{EXPORT_FORMAT, ExportError, ExportedLetter, read_exported};
pub use letter::{LetterId, LetterRow, NoId};
pub use letters::{Copies, Filter, Letters, Listed};
pub use life::{LetterLife, LetterOnce, find_letters};
pub use mask::{Mask, Personal};
pub use order_log::{Accepted, Debt, Executed, OrderLog, OrderLogs, OrderRead, read_order, waits_for};
pub use order_rows::{BriefState, OrderRow, read_rows};
pub use prospect::{Foresight, Original, Prospect, Will, identity_of};
pub use reasons::{Advice, advice};
pub use standing::{OrderPlace, Standing, read_positions, read_standing};
pub use statuses::{Statuses, Word};
pub use timeline::{Agreement, Entry, Happened, Judge, Judged, timeline};
pub use unread::Unread;
pub use verify::{
    Asked, Eras, Kind, MakeMapping, Reason, Report, Spread, Start, Unaccounted, VerifyRules, verify_partition,
};
pub use waiting::{RecordPlace, read_newest_commands, read_waiting};
