//! The pure part of the library (decode, fold, map, store) against the reference.

mod against_reference;
mod events;
mod worker;
