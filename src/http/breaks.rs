//! Why there is no whole answer: reqwest's errors in the house's words.
//!
//! Nothing of an error's text leaves this room: it may name a URL or a proxy with its password.

use std::error::Error;
use std::io;

use crate::douyin::verdict::Break;

/// Names the break. Everything about making a connection, its time-out too, is [`Break::Connect`].
pub(super) fn of(error: &reqwest::Error) -> Break {
    if error.is_connect() {
        return Break::Connect;
    }
    if error.is_timeout() {
        return Break::Timeout;
    }
    if error.is_builder() {
        return Break::Protocol;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return of_hyper(error);
        }
        cause = error.source();
    }
    Break::Reset
}

fn of_hyper(error: &hyper::Error) -> Break {
    if error.is_parse_too_large() {
        return Break::TooLarge;
    }
    if error.is_parse() || error.is_user() {
        return Break::Protocol;
    }
    // A chunked body that is not one: the connection is there, what it carries is not HTTP.
    let kind = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Break::Protocol,
        Some(_) | None => Break::Reset,
    }
}
