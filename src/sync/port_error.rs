//! How an edge fails, as far as the engine and the shell have to know: what passes, what ends the worker, and whose fault it is.

/// An edge failed.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It may work later: the caller waits and tries again.
    #[error("{0}")]
    Passing(String),
    /// It will not work later: the worker stops, saying so.
    #[error("{0}")]
    Fatal(String),
    /// What the store holds cannot be read back. The worker stops; where the store is a cache, it is set aside and rebuilt.
    #[error("{0}")]
    Damaged(String),
    /// An edge is refused what it needs, and a person has to see to it: a full disk, a directory that is gone; a right at the
    /// brokers. The worker stops; what was committed is not lost.
    #[error("{1}")]
    Refused(By, String),
}

/// Who refuses for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The store's disk.
    Store,
    /// Another process, which has the store open.
    StoreInUse,
    /// The brokers.
    Kafka,
}
