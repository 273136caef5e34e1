//! Shell: the composition root, supervision and the admin HTTP.

pub mod admin;
pub mod demo;
