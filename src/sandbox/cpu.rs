//! The CPU time of the sandbox's own threads, as the kernel counts it.
//!
//! Other threads of the process, such as a test's or a demo's worker, are not in it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The accounting file of one thread.
#[derive(Clone, Debug)]
pub(super) struct ThreadClock(PathBuf);

impl ThreadClock {
    /// The calling thread's; none where there is no /proc.
    pub(super) fn of_this_thread() -> Option<Self> {
        let thread = fs::read_link("/proc/thread-self").ok()?;
        Some(Self(PathBuf::from("/proc").join(thread).join("schedstat")))
    }

    /// Time on a CPU so far; none once the thread has ended.
    pub(super) fn read(&self) -> Option<Duration> {
        let text = fs::read_to_string(&self.0).ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    }
}
