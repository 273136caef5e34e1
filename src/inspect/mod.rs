//! Engine of the operators' tools: what workers have written to Kafka, read back for people. It reads through
//! [`LogScan`](crate::sync::scan::LogScan) alone, holds a bounded part of it, and changes nothing.

mod backward;
mod base64;
mod detail;
mod letter;
mod letters;
mod mask;
mod reasons;
mod statuses;

pub use backward::Backward;
pub use base64::base64;
pub use detail::{AttemptLine, LetterDetail, find_letter};
pub use letter::{LetterId, LetterRow, NoId};
pub use letters::{Filter, Letters, Listed};
pub use mask::{Mask, Personal};
pub use reasons::{Advice, advice};
pub use statuses::Statuses;
