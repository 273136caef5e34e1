//! Edge: everything that names reqwest. One attempt is one bounded request; the tokens live here and nowhere else.

mod answer;
mod breaks;
mod client;
mod edge;
mod fetch;
mod group;
mod mail;
mod note;
mod promise;
mod retry_after;
mod seal;
mod secret;
mod token;
mod token_file;
pub mod worker;

pub use client::ClientError;
pub use edge::HttpEdge;
pub use fetch::TokenSource;
pub use mail::{GroupMail, GroupReader, GroupTokens};
