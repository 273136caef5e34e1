//! One binary for every integration test: a module per file, so that the library is linked once.
//!
//! A test that needs a broker or a platform starts its own on loopback; nothing here knows an address of a machine.

// Modules, in alphabetical order, one per line:
