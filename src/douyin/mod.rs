//! Pure: the platform's side: the order detail, the request, byte limits, and the judgement of every answer.

mod answer;
mod beijing;
pub mod detail;
mod fields;
mod json_text;
pub mod judge;
pub mod limits;
pub mod log_id;
mod page;
pub mod request;
#[cfg(test)]
mod request_proptests;
#[cfg(test)]
mod request_tests;
pub mod schema;
pub mod table;
mod table_text;
pub mod token;
pub mod verdict;
#[cfg(test)]
mod verdict_tests;

pub use detail::{GoodsEntryType, TicketLists};
pub use fields::TextPolicy;
pub use request::{AppSettings, MapSettings, Mapper};
pub use table::{OutcomeTable, UserRule};
