//! The exit codes, as scripts see them. Documented here once; the help and docs/configuration.md print this list.
//!
//! It decides nothing: a command chooses its code, [`fail`] carries one along with an error.

use std::fmt;

/// How the process ends. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1
    Failure,
    /// 2
    Usage,
    /// 3
    DeadLetters,
    /// 4
    Differs,
    /// 5
    Unaccounted,
    /// 6
    Store,
    /// 7
    Kafka,
    /// 8
    Abandoned,
    /// 9
    Waiting,
    /// 130, what a shell tells of a process that Ctrl-C has ended.
    Interrupted,
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failure,
        Self::Usage,
        Self::DeadLetters,
        Self::Differs,
        Self::Unaccounted,
        Self::Store,
        Self::Kafka,
        Self::Abandoned,
        Self::Waiting,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::DeadLetters => 3,
            Self::Differs => 4,
            Self::Unaccounted => 5,
            Self::Store => 6,
            Self::Kafka => 7,
            Self::Abandoned => 8,
            Self::Waiting => 9,
            Self::Interrupted => 130,
        }
    }

    /// What the number means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; `run`: stopped on request with everything committed, or caught up",
            Self::Failure => "failed; the reason stands on stderr",
            Self::Usage => "wrong command line or wrong configuration",
            Self::DeadLetters => "`map`: at least one event is a dead letter",
            Self::Differs => "`replay --verify-only`: Douyin does not hold what the log says",
            Self::Unaccounted => "`verify`: at least one offset is not accounted for",
            Self::Store => "the store cannot be used: in use elsewhere, not writable, full, damaged, of another format",
            Self::Kafka => "Kafka refused for good: authentication, authorisation, a topic that does not fit",
            Self::Abandoned => {
                "stopped before everything was committed: `shutdown_timeout` was over, or partitions were lost; some work is repeated"
            }
            Self::Waiting => {
                "a command is written, and no worker has executed it within `--timeout`; it is when one owns its partition"
            }
            Self::Interrupted => {
                "a tool was ended by Ctrl-C: what it had printed by then is right; or a second signal ended a worker at once"
            }
        }
    }

    /// The list as text, one line per code.
    pub fn table() -> String {
        Self::ALL.map(|exit| format!("{:>3}  {}\n", exit.code(), exit.meaning())).concat()
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that knows its exit code. It adds no words of its own.
#[derive(Debug)]
struct Coded {
    exit: Exit,
    error: anyhow::Error,
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Coded {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Gives an error its exit code; without it an error ends the process with 1.
pub fn fail(exit: Exit, error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(Coded { exit, error: error.into() })
}

/// The exit code of an error: the outermost that [`fail`] has given, else [`Exit::Failure`].
pub fn of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(|cause| cause.downcast_ref::<Coded>()).map_or(Exit::Failure, |coded| coded.exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn the_code_survives_context_and_adds_no_words() {
        let error = Err::<(), _>(fail(Exit::Store, anyhow::anyhow!("the directory is locked")))
            .context("cannot open the store")
            .unwrap_err();
        assert_eq!(of(&error), Exit::Store);
        assert_eq!(format!("{error:#}"), "cannot open the store: the directory is locked");
        assert_eq!(of(&anyhow::anyhow!("anything")), Exit::Failure);
    }

    #[test]
    fn the_codes_are_documented() {
        let docs = include_str!("../../docs/configuration.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |\n", exit.code(), exit.meaning());
            assert!(docs.contains(&row), "docs/configuration.md lacks this row: {row}");
        }
    }

    #[test]
    fn codes_count_up() {
        let ours = Exit::ALL.iter().filter(|exit| **exit != Exit::Interrupted);
        for (index, exit) in ours.enumerate() {
            assert_eq!(usize::from(exit.code()), index);
        }
    }
}
