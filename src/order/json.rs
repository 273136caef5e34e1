//! A JSON tree that borrows from the record: what the fold merges and the mapping reads.
//!
//! `serde_json` does the parsing; this tree exists because the contract needs facts that its `Value` loses (an
//! integer against `1.0`, `-0`) and because a borrowed, sorted tree costs a fraction of the allocations.

use std::borrow::Cow;

/// One JSON value. Objects are sorted by key, so that merging and comparing are linear and the text is canonical.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction or exponent that fits; `-0` is 0.
    Int(i64),
    /// A number without fraction or exponent above `i64`, kept for the document's sake.
    UInt(u64),
    /// Any other number.
    Float(f64),
    /// A string.
    Str(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, sorted by key, no key twice (the last one wins).
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}
