//! The `order-sync` binary.
fn main() {}
