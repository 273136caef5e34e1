//! What stands between the worker and its records just now, for readiness and for one log line per change.
//!
//! A problem is kept until somebody clears it; nothing here decides what to do about it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Kinds of problem; each stands at most once (a topic's once per topic).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// No broker answers, or it refuses us.
    Brokers,
    /// This topic does not exist, or may not be read.
    Topic(String),
    /// The group cannot be joined, or refuses commits.
    Group,
    /// This partition cannot be read just now.
    Partition(String),
}

/// A snapshot, shared; clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Status {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    problems: BTreeMap<Problem, String>,
    joined: bool,
    assigned: usize,
}

impl Status {
    /// Nothing known yet: not joined, no problem.
    pub fn new() -> Self {
        Self::default()
    }

    /// The problems in words, the gravest kind first; empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        self.with(|inner| inner.problems.values().cloned().collect())
    }

    /// Whether the group has given its first assignment, be it an empty one.
    pub fn joined(&self) -> bool {
        self.with(|inner| inner.joined)
    }

    /// How many partitions this worker holds.
    pub fn assigned(&self) -> usize {
        self.with(|inner| inner.assigned)
    }

    /// Says a problem; logged when it is new or reads differently.
    pub(super) fn raise(&self, problem: Problem, words: impl Into<String>) {
        let words = words.into();
        let changed = self.with(|inner| inner.problems.insert(problem, words.clone()).as_ref() != Some(&words));
        if changed {
            tracing::warn!(problem = %words, "waiting for kafka");
        }
    }

    /// Takes a problem back; logged when it stood.
    pub(super) fn clear(&self, problem: &Problem) {
        if let Some(words) = self.with(|inner| inner.problems.remove(problem)) {
            tracing::info!(problem = %words, "kafka problem is over");
        }
    }

    /// Whether this problem stands.
    pub(super) fn stands(&self, problem: &Problem) -> bool {
        self.with(|inner| inner.problems.contains_key(problem))
    }

    pub(super) fn hold(&self, assigned: usize) {
        self.with(|inner| {
            inner.joined = true;
            inner.assigned = assigned;
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_one_line_per_problem_until_it_is_over() {
        let status = Status::new();
        status.raise(Problem::Topic("orders".into()), "topic orders does not exist");
        status.raise(Problem::Brokers, "no broker");
        status.raise(Problem::Brokers, "connection refused");
        assert_eq!(status.problems(), ["connection refused", "topic orders does not exist"]);
        status.clear(&Problem::Brokers);
        assert_eq!(status.problems(), ["topic orders does not exist"]);
        assert!(!status.stands(&Problem::Brokers));
    }
}
