//! Shell: one file per noun; text for people, JSON for scripts.
