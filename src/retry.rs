//! Pure: the retry policy over the backoff crate.
