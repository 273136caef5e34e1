//! Who of a group's workers fetches an app's next token, so that one fetch serves all of them.
//!
//! Each fetch cuts the life of the token before it (douyin-api §4), so workers that fetch for themselves evict one
//! another. They agree through the order of one log that all of them read, without a lock, a leader or a common clock:
//!
//! * The *version* of an app is the offset of its last token, or of the last claim that was granted.
//! * Who wants a token appends a *claim* that names the version it has seen. The first claim on a version is granted
//!   and becomes the version; every other claim on it has come too late. All readers see the same order, so all of them
//!   judge alike, and no worker needs to be told.
//! * Who is granted fetches at once and appends the token, which names its claim; a token is taken by everybody, and the
//!   one with the last claim counts. So a copy of an old one, which anybody can append who may write to the log, changes
//!   nothing. The log's order alone decides this, too.
//! * A grant without a token may be claimed again after some 15 s (the request's time-out and 10 s): a fetcher that was killed or cut off costs
//!   that time. One that comes back late finds its grant out of date and does not begin to fetch.
//!
//! What is left: a worker may die between fetching and appending, or lose sight of the log in that moment; then a
//! second one fetches, and the first one's fetch was one too many. A reader that starts on a compacted log may not see
//! whether its last claim was granted, and takes it as granted; the next token ends every difference of opinion. It may
//! see the copy of an old token, and nothing of the newer one whose place in the log the copy took: that one is refused,
//! and another fetched. The
//! partition's owner was not made the fetcher, because the group may give that partition to nobody for minutes, and
//! because a worker that is cut off goes on believing that it owns it.
//!
//! The token's text never comes here, and time is an argument.

use std::time::Duration;

use crate::record::RecordOffset;

/// How long after a claim was written its grant may still begin a fetch.
const FETCH_START_MAX: Duration = Duration::from_secs(5);
/// What reading and writing may take beyond the fetch itself.
const MARGIN: Duration = Duration::from_secs(5);
/// How long the log may take to give back what was written to it, before somebody is told.
const READ_BACK_MAX: Duration = Duration::from_secs(10);

/// What is to be done for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Append a claim of this number on this version.
    Claim {
        /// Counts the claims of this process for the app.
        number: u64,
        /// What it is based on.
        on: Option<RecordOffset>,
    },
    /// Fetch, then tell [`Round::fetch_ended`].
    Fetch,
    /// Tell who wanted a token that the log cannot be read or written.
    Refuse,
    /// Tell who wanted a token that another worker has fetched in vain; it is wanted no more until it is asked for again.
    Unserved,
    /// Nothing before this time; `None`: not before something is read or wanted.
    Wait(Option<Duration>),
}

/// What a fetch that has ended is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its token is for everybody.
    Current {
        /// Where the claim lies that was granted.
        claim: RecordOffset,
    },
    /// It took so long, or somebody else fetched meanwhile, that its token may be the older one: nobody shall use it.
    Late,
}

/// A claim that was granted and has no token yet.
#[derive(Clone, Copy, Debug)]
struct Grant {
    read_at: Duration,
    is_ours: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    at: Duration,
}

/// One app's part of the log, as one worker has read it.
#[derive(Debug)]
pub struct Round {
    patience: Duration,
    caught_up: bool,
    version: Option<RecordOffset>,
    last_read: Option<RecordOffset>,
    /// The claim of the last token.
    claim_of_token: Option<RecordOffset>,
    grant: Option<Grant>,
    claims: u64,
    sent: Option<Sent>,
    fetch_before: Option<Duration>,
    fetching: Option<Duration>,
    wanted: Option<Duration>,
    unserved: bool,
}

impl Round {
    /// Nothing is read yet. A fetch takes at most `request_timeout`.
    pub fn new(request_timeout: Duration) -> Self {
        Self {
            patience: FETCH_START_MAX + request_timeout + MARGIN,
            caught_up: false,
            version: None,
            last_read: None,
            claim_of_token: None,
            grant: None,
            claims: 0,
            sent: None,
            fetch_before: None,
            fetching: None,
            wanted: None,
            unserved: false,
        }
    }

    /// Everything that lay in the log at the start is read.
    pub fn caught_up(&mut self) {
        self.caught_up = true;
    }

    /// A newer token is wanted. What others fetched in vain before is not told: it may be long ago.
    pub fn want(&mut self, now: Duration) {
        if self.wanted.is_none() {
            self.unserved = false;
        }
        self.wanted.get_or_insert(now);
    }

    /// A token was handed over.
    pub fn satisfied(&mut self) {
        self.wanted = None;
    }

    /// A claim was read. `ours` is its number where this process wrote it.
    pub fn claim_read(&mut self, at: RecordOffset, on: Option<RecordOffset>, ours: Option<u64>, now: Duration) {
        self.reads(at);
        let sent = self.sent.filter(|sent| ours == Some(sent.number));
        if sent.is_some() {
            self.sent = None;
        }
        // Compaction may have taken what the first claim of a new reader is based on.
        let first_of_all = self.version.is_none() && !self.caught_up;
        if on != self.version && !first_of_all {
            return;
        }
        self.version = Some(at);
        // A grant after a grant: the one before has brought no token.
        self.unserved = self.grant.is_some_and(|grant| !grant.is_ours) && self.caught_up && sent.is_none();
        // An earlier claim of ours that was given up is waited for like anybody's: it may come any time.
        self.grant = Some(Grant { read_at: now, is_ours: sent.is_some() });
        self.fetch_before = sent.map(|sent| sent.at + FETCH_START_MAX);
    }

    /// A token was read that was fetched under this claim. Says whether it is a new one; else it is passed over.
    pub fn token_read(&mut self, at: RecordOffset, claim: Option<RecordOffset>) -> bool {
        self.reads(at);
        let is_new = match claim {
            // A claim lies before its token: one that does not is of a log that was there before this one.
            Some(claim) => claim < at && self.claim_of_token.is_none_or(|last| claim > last),
            // An earlier release does not name it, but there has to be one that waits.
            None => self.grant.is_some() || !self.caught_up,
        };
        if is_new {
            self.version = Some(at);
            self.claim_of_token = Some(claim.unwrap_or(at));
            self.grant = None;
            self.fetch_before = None;
            self.unserved = false;
        }
        is_new
    }

    /// A log that was deleted and made anew counts from its beginning again.
    fn reads(&mut self, at: RecordOffset) {
        if self.last_read.replace(at).is_some_and(|last| at <= last) {
            self.claim_of_token = None;
        }
    }

    /// Our fetch has ended, with a token or without.
    pub fn fetch_ended(&mut self, now: Duration) -> Standing {
        let in_time = self.fetching.take().is_some_and(|began| now < began + self.patience);
        // The version is the claim while a grant stands.
        match self.version.filter(|_| self.grant.is_some_and(|grant| grant.is_ours)) {
            Some(claim) if in_time => Standing::Current { claim },
            Some(_) | None => Standing::Late,
        }
    }

    /// No token could be had, and who wanted it was told.
    pub fn give_up(&mut self) {
        self.wanted = None;
        self.sent = None;
    }

    /// The number of the last claim.
    pub const fn claims(&self) -> u64 {
        self.claims
    }

    /// What is to be done now. [`Step::Wait`] alone is said more than once.
    pub fn step(&mut self, now: Duration) -> Step {
        let Some(since) = self.wanted else { return Step::Wait(None) };
        if let Some(end) = self.fetching.map(|began| began + self.patience) {
            if now < end {
                return Step::Wait(Some(end));
            }
            // Whoever fetches answers in less; a task that died must not end all fetching.
            self.fetching = None;
        }
        let unanswered = if self.caught_up { self.sent.map(|sent| sent.at) } else { Some(since) };
        if let Some(at) = unanswered {
            if now < at + READ_BACK_MAX {
                return Step::Wait(Some(at + READ_BACK_MAX));
            }
            self.give_up();
            return Step::Refuse;
        }
        if std::mem::take(&mut self.unserved) {
            self.wanted = None;
            return Step::Unserved;
        }
        if self.fetch_before.take().is_some_and(|before| now < before) {
            self.fetching = Some(now);
            return Step::Fetch;
        }
        if let Some(grant) = self.grant.filter(|grant| !grant.is_ours)
            && now < grant.read_at + self.patience
        {
            return Step::Wait(Some(grant.read_at + self.patience));
        }
        self.claims += 1;
        self.sent = Some(Sent { number: self.claims, at: now });
        Step::Claim { number: self.claims, on: self.version }
    }
}

/// The broker's clock, as far as records of ours tell it: the age of a record does not depend on two workers' clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogClock(Option<(Duration, i64)>);

impl LogClock {
    /// A record that was written a moment ago was read, with this timestamp.
    pub fn set(&mut self, timestamp_ms: i64, now: Duration) {
        self.0 = Some((now, timestamp_ms));
    }

    /// What it shows now, milliseconds since the epoch; none before it was set.
    pub fn shows_ms(&self, now: Duration) -> Option<i64> {
        let (then, then_ms) = self.0?;
        let since = i64::try_from(now.saturating_sub(then).as_millis()).unwrap_or(i64::MAX);
        Some(then_ms.saturating_add(since))
    }

    /// How old a record is; none before the clock was set, and never below zero.
    pub fn age(&self, timestamp_ms: i64, now: Duration) -> Option<Duration> {
        let age_ms = self.shows_ms(now)?.saturating_sub(timestamp_ms);
        Some(Duration::from_millis(u64::try_from(age_ms).unwrap_or(0)))
    }
}

#[cfg(test)]
#[path = "sharing_old_tests.rs"]
mod old_tests;
#[cfg(test)]
#[path = "sharing_tests.rs"]
mod tests;
