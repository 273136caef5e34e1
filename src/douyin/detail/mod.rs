//! The order detail of each order type: read from the document, and written as the platform's JSON.

pub mod normal;
pub mod poi;
pub mod status;
pub mod vouchers;

pub use normal::{Item, NormalDetail};
pub use poi::{GoodsEntryType, PoiDetail};
pub use vouchers::{TicketList, TicketLists};
