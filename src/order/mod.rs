//! Pure: the order event, the fold and the state it leaves. No I/O, no clock, no randomness: time is an argument.

pub mod again;
mod envelope;
pub mod event;
pub mod fault;
pub mod fold;
pub mod json;
pub mod schema;
pub mod state;
mod state_codec;
mod step;
pub mod time;
pub mod value;

pub use event::OrderEvent;
pub use fault::{DeadLetterReason, Fault, Stage};
pub use fold::{MapInput, MapOrder, Mapped, Transition};
pub use json::Json;
pub use state::OrderState;
pub use value::{AppId, Digest, EventTime, Identity, OrderType, Sequence, Status, TimeUnit, UpdateTime};
