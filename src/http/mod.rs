//! Edge: everything that names reqwest. One attempt is one bounded request; the tokens live here and nowhere else.

mod answer;
mod breaks;
mod client;
mod edge;
mod fetch;
mod promise;
mod retry_after;
mod secret;
mod token;

pub use client::ClientError;
pub use edge::HttpEdge;
pub use fetch::TokenSource;
