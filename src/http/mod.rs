//! Edge: everything that names reqwest: one attempt, the token cache.
