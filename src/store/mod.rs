//! Edge: everything that names sled, and the in-memory twin.
