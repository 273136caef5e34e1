//! Pure: the platform's side: the order detail, the request, byte limits, and the judgement of every answer.

mod answer;
pub mod table;
mod table_text;
pub mod token;
pub mod verdict;
#[cfg(test)]
mod verdict_tests;

pub use table::{OutcomeTable, UserRule};
