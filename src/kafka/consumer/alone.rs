//! Without transactions one worker works for a group. A second one is known by what it does not get: the first was given
//! every partition before. It reads nothing: its store does not know the states that the first one's holds.

use super::partition::Stage;
use super::worker::{Ended, Worker};
use crate::config;
use crate::sync::ports::{Input, PortError};

/// Whether others may work for the group beside this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// By transactions any number may.
    Welcome,
    /// None may, and this worker has not had every partition since its session began.
    Newcomer,
    /// None may, and this worker has had every partition: whoever comes is the later one.
    First,
}

impl Company {
    pub(super) fn of(config: &config::Kafka) -> Self {
        if config.exactly_once { Self::Welcome } else { Self::Newcomer }
    }

    /// What it is after an assignment of `held` of `total` partitions; `None` where this worker has to go.
    pub(super) fn after(self, held: usize, total: usize) -> Option<Self> {
        match self {
            Self::Newcomer if held >= total => Some(Self::First),
            Self::Welcome | Self::First => Some(self),
            Self::Newcomer => None,
        }
    }

    /// The session was lost: somebody may have begun meanwhile.
    pub(super) fn lost(self) -> Self {
        match self {
            Self::Welcome => self,
            Self::Newcomer | Self::First => Self::Newcomer,
        }
    }
}

impl Worker {
    /// Looks at what the group has given, before anything of it starts.
    pub(super) fn look_for_others(&mut self) -> Result<(), Ended> {
        let (held, total) = (self.partitions.len(), self.watch.partitions());
        if let Some(company) = self.company.after(held, total) {
            if company == Company::First && held < total {
                tracing::warn!(
                    held,
                    total,
                    "another member has joined the group, which may have one without transactions; it should end by itself"
                );
            }
            self.company = company;
            return Ok(());
        }
        for stage in self.partitions.values_mut() {
            *stage = Stage::Broken;
        }
        let words = format!(
            "this worker was given {held} of {total} partitions: another member of the group has the others, and without \
             transactions (kafka.exactly_once = false) one worker works for a group, as its store is the only copy. Stop one \
             of them; or set kafka.exactly_once = true for several"
        );
        self.tell(Input::Failed(PortError::Fatal(words)))
    }
}

#[cfg(test)]
mod tests {
    use super::Company::{First, Newcomer, Welcome};
    use super::*;

    fn check(company: Company, held: usize, expect: Option<Company>) {
        assert_eq!(company.after(held, 4), expect, "{company:?} with {held} of 4");
    }

    #[test]
    fn whoever_never_had_all_is_the_later_one() {
        check(Newcomer, 4, Some(First));
        check(Newcomer, 2, None);
        check(Newcomer, 0, None);
        check(First, 2, Some(First));
        check(First, 0, Some(First));
        check(Welcome, 0, Some(Welcome));
        assert_eq!([Newcomer, First, Welcome].map(Company::lost), [Newcomer, Newcomer, Welcome]);
    }
}
