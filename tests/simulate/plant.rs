//! Bugs that the fakes play on demand, each in the place of one promise: a suite that does not find them proves nothing.

/// One planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// Nothing is wrong.
    None,
    /// Offsets that have not changed are left out of the transaction.
    OffsetsNotSentAgain,
    /// The group is told an older offset than the position.
    OffsetBehind,
    /// What is committed is not held against what is owned.
    OwnershipNotChecked,
    /// The group's metadata is taken later than the owned set.
    FenceInTwoParts,
    /// A commit without an answer counts as made.
    UnknownIsYes,
    /// A commit without an answer counts as not made.
    UnknownIsNo,
    /// The changelog's end is taken as one who sees committed records only.
    EndAsCommitted,
    /// Reading stops where an open transaction begins, and says it is through.
    ReadStopsEarly,
    /// Offsets that a transaction is about to change are read all the same.
    UnstableOffset,
    /// Tombstones are not written.
    SettledNotWritten,
    /// A letter is written beside the transaction, and so again with its repetition.
    LettersBesideTransaction,
    /// The engine is told of a commit when it begins.
    ToldBeforeCommitted,
    /// A delivery that is read again is made anew under today's settings.
    MappedAnew,
    /// Reading goes on one record too far.
    StartsTooFar,
    /// A store that is behind says it is not.
    OldStoreIsBelieved,
    /// Nobody notices that the process was stopped.
    SilenceNotNoticed,
    /// One push is sent twice at once.
    SentTwice,
    /// A refused answer is taken for an accepted one.
    FailureIsAcceptance,
    /// A partition that waits for an open transaction waits for ever.
    RestoreWedged,
    /// What has left is not known after a restart.
    RemovedStampsForgotten,
    /// An order leaves, and its tombstone is not written.
    LeavesWithoutTombstone,
    /// The order's open letters are not found.
    OpenLettersUnknown,
    /// The broker drops tombstones as soon as it compacts.
    TombstonesDroppedEarly,
    /// Nobody knows which commands were executed.
    CommandsForgotten,
    /// Commands that wait their turn count as told.
    CommandsPassed,
    /// A pause does not come with its partition.
    PauseForgotten,
    /// What an operator has decided of a letter is not written.
    DecisionsNotWritten,
    /// What an operator has decided of a letter is not known.
    DecisionsForgotten,
}

impl Plant {
    /// Those that take thousands of worlds: looked for where somebody says how many.
    pub(crate) const RARE: [Self; 1] = [Self::DecisionsForgotten];

    /// All of them.
    pub(crate) const ALL: [Self; 28] = [
        Self::OffsetsNotSentAgain,
        Self::OffsetBehind,
        Self::OwnershipNotChecked,
        Self::FenceInTwoParts,
        Self::UnknownIsYes,
        Self::UnknownIsNo,
        Self::EndAsCommitted,
        Self::ReadStopsEarly,
        Self::UnstableOffset,
        Self::SettledNotWritten,
        Self::LettersBesideTransaction,
        Self::ToldBeforeCommitted,
        Self::MappedAnew,
        Self::StartsTooFar,
        Self::OldStoreIsBelieved,
        Self::SilenceNotNoticed,
        Self::SentTwice,
        Self::FailureIsAcceptance,
        Self::RestoreWedged,
        Self::RemovedStampsForgotten,
        Self::LeavesWithoutTombstone,
        Self::OpenLettersUnknown,
        Self::TombstonesDroppedEarly,
        Self::CommandsForgotten,
        Self::CommandsPassed,
        Self::PauseForgotten,
        Self::DecisionsNotWritten,
        Self::DecisionsForgotten,
    ];
}
