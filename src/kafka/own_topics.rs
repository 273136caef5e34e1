//! The worker's own topics in one table: what each is made with, and what of that has to stay so. Whether they are there, and
//! how wide they are, is asked beside this.
//!
//! What counts is the value in force, whether the topic sets it or inherits it from the brokers.

use rdkafka::error::RDKafkaErrorCode;

use super::copies::Standing;
use super::topic_settings::{Settings, Value, set_command};
use super::topics::Topics;
use crate::config;
use crate::sync::ports::{By, PortError};

/// `max.message.bytes` of our topics: a record of 4 MiB and its framing, which the broker counts, too.
const ROOM: &str = "4259840";

/// The brokers' default of any release, and more than a producer puts into one batch: a batch may hold the tokens of many apps.
const TOKENS_ROOM: &str = "1000012";

/// That a topic takes no record of the size that a commit needs.
pub(super) fn too_large(doing: &str, topic: &str) -> PortError {
    let words = format!("the broker takes no record of this size; set max.message.bytes of {topic} to {ROOM} or more");
    PortError::Refused(By::Kafka, format!("{doing}: {words}"))
}

/// What it means that a broker does not take a record's time.
pub(super) fn strange_time(doing: &str, topic: &str, code: RDKafkaErrorCode) -> PortError {
    let words = format!(
        "the broker refuses a record ({code:?}), as by its time: look at this machine's clock, and at message.timestamp.after.max.ms \
         and message.timestamp.before.max.ms of {topic} (an hour, and no bound, by default)"
    );
    PortError::Refused(By::Kafka, format!("{doing}: {words}"))
}

/// The same of a token, which is waited for.
pub(super) fn token_too_large(topic: &str) -> String {
    format!("topic {topic} takes no record of a token's size; set its max.message.bytes to {TOKENS_ROOM} or more")
}

/// A topic of the worker's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTopic {
    /// States, debts and positions.
    Changelog,
    /// What operators have asked for.
    Commands,
    /// What was set aside.
    DeadLetters,
    /// The tokens that workers share.
    Tokens,
}

/// What `run` does about a setting that does not fit. `topics check` calls it a fault either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It does not start: Kafka would remove what no other record replaces, from the first day on.
    Refused,
    /// It says so and goes on: nothing is lost yet, and there is time to set it; a worker that stands still loses more.
    Warned,
}

/// One setting, and what it is for.
struct Rule {
    setting: &'static str,
    /// What the topic is made with; always right.
    made: &'static str,
    /// Which other values are right.
    also: Also,
    weight: Weight,
    /// What happens with a wrong one.
    otherwise: &'static str,
}

#[derive(Clone, Copy)]
enum Also {
    /// None.
    Nothing,
    /// Greater numbers.
    More,
    /// Everything that comes to no limit.
    Endless,
    /// No policy at all, which newer brokers know: nothing is ever removed.
    Empty,
}

const fn rule(setting: &'static str, made: &'static str, also: Also, weight: Weight, otherwise: &'static str) -> Rule {
    Rule { setting, made, also, weight, otherwise }
}

const STOPS: &str = "a larger record can never be committed, and the worker stops before it";
const LETTERS_GO: &str = "Kafka removes letters before anybody has seen to them";
const COMMANDS_GO: &str = "Kafka removes commands, also such as wait, and with them who has done what";

/// The table. What a topic is made with is all of its values under `made`.
const CHANGELOG: &[Rule] = &[
    rule("max.message.bytes", ROOM, Also::More, Weight::Warned, STOPS),
    rule(
        "cleanup.policy",
        "compact",
        Also::Nothing,
        Weight::Refused,
        "Kafka deletes the states of orders that are quiet for a while",
    ),
    rule(
        "delete.retention.ms",
        "604800000",
        Also::More,
        Weight::Warned,
        "what was settled or removed can come back where a store that was away for longer, or a slow restore, misses its tombstone",
    ),
];
const COMMANDS: &[Rule] = &[
    rule("max.message.bytes", ROOM, Also::More, Weight::Warned, "a larger command cannot be given"),
    rule("cleanup.policy", "delete", Also::Empty, Weight::Refused, COMMANDS_GO),
    rule("retention.ms", "-1", Also::Endless, Weight::Warned, COMMANDS_GO),
    rule("retention.bytes", "-1", Also::Endless, Weight::Warned, COMMANDS_GO),
];
const DEAD_LETTERS: &[Rule] = &[
    rule("max.message.bytes", ROOM, Also::More, Weight::Warned, STOPS),
    rule("cleanup.policy", "delete", Also::Empty, Weight::Refused, LETTERS_GO),
    rule("retention.ms", "-1", Also::Endless, Weight::Warned, LETTERS_GO),
    rule("retention.bytes", "-1", Also::Endless, Weight::Warned, LETTERS_GO),
];
/// Of more than one partition the first is used.
const TOKENS: &[Rule] = &[
    rule(
        "max.message.bytes",
        TOKENS_ROOM,
        Also::More,
        Weight::Warned,
        "a larger token cannot be shared, and no app has one any more when those at hand have ended",
    ),
    rule(
        "cleanup.policy",
        "compact",
        Also::Nothing,
        Weight::Warned,
        "every token there ever was is read at each start, or the one in use is deleted and fetched anew",
    ),
    rule(
        "message.timestamp.type",
        "LogAppendTime",
        Also::Nothing,
        Weight::Warned,
        "the age of a token depends on the clock of the worker that has fetched it",
    ),
];

impl OwnTopic {
    fn rules(self) -> &'static [Rule] {
        match self {
            Self::Changelog => CHANGELOG,
            Self::Commands => COMMANDS,
            Self::DeadLetters => DEAD_LETTERS,
            Self::Tokens => TOKENS,
        }
    }

    /// The settings that it is made with.
    pub(super) fn made_with(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.rules().iter().map(|rule| (rule.setting, rule.made))
    }

    /// What it is called.
    pub fn name(self, config: &config::Kafka) -> String {
        match self {
            Self::Changelog => config.changelog_topic.clone(),
            Self::Commands => config.commands_topic(),
            Self::DeadLetters => config.dead_letter_topic.clone(),
            Self::Tokens => config.token_topic(),
        }
    }
}

impl Rule {
    fn is_kept_by(&self, value: &str) -> bool {
        let number = || value.parse::<i64>().ok();
        value == self.made
            || match self.also {
                Also::Nothing => false,
                Also::Empty => value.is_empty(),
                Also::Endless => number().is_some_and(|n| n < 0 || n == i64::MAX),
                Also::More => number().zip(self.made.parse().ok()).is_some_and(|(n, made): (i64, i64)| n >= made),
            }
    }

    fn wanted(&self) -> String {
        match self.also {
            Also::More => format!("{} or more", self.made),
            Also::Nothing | Also::Endless | Also::Empty => self.made.to_owned(),
        }
    }
}

/// A setting that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// The topic.
    pub topic: String,
    /// The setting.
    pub setting: &'static str,
    /// Its value there.
    pub is: String,
    /// Where that comes from, in words; empty where the topic sets it.
    pub from: &'static str,
    /// The value that it must have.
    pub wanted: String,
    /// What `run` does about it.
    pub weight: Weight,
    /// The command that sets it.
    pub command: String,
    otherwise: &'static str,
}

impl Lapse {
    /// All of it but the topic, in words.
    pub fn words(&self) -> String {
        let Self { setting, is, from, wanted, otherwise, command, .. } = self;
        format!("{setting} is {is}{from}, but must be {wanted}: else {otherwise}. Set it: {command}")
    }
}

/// The settings of `own` that do not fit. One that the brokers do not know is none.
fn lapses(config: &config::Kafka, own: OwnTopic, value: impl Fn(&str) -> Option<Value>) -> Vec<Lapse> {
    let lapse = |rule: &Rule| {
        let Value { text: is, from } = value(rule.setting).filter(|value| !rule.is_kept_by(&value.text))?;
        let topic = own.name(config);
        let command = set_command(config, &topic, rule.setting, rule.made);
        let Rule { setting, weight, otherwise, .. } = *rule;
        Some(Lapse { topic, setting, is, from, wanted: rule.wanted(), weight, command, otherwise })
    };
    own.rules().iter().filter_map(lapse).collect()
}

/// What a look at a topic's settings has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// They are known.
    Seen {
        /// What does not fit.
        lapses: Vec<Lapse>,
        /// Why it takes no record just now, in words.
        faults: Vec<String>,
        /// What is no fault but good to know, in words.
        notes: Vec<String>,
    },
    /// They cannot be looked at: why, in words.
    Unseen(String),
}

impl Topics {
    /// Looks at the settings of a topic that is there.
    pub fn look(&self, config: &config::Kafka, own: OwnTopic) -> Result<Looked, PortError> {
        let topic = own.name(config);
        let settings = match self.settings(config, &topic)? {
            Ok(settings) => settings,
            Err(unseen) => return Ok(Looked::Unseen(unseen)),
        };
        let lapses = lapses(config, own, |name| settings.value(name));
        let Standing { faults, notes } = self.standing(&topic, &settings)?;
        // Tokens are fetched anew where they are lost.
        let notes = if own == OwnTopic::Tokens { Vec::new() } else { notes };
        Ok(Looked::Seen { lapses, faults, notes })
    }

    /// Which of the brokers' own topics that transactions are kept in takes no record just now, and why. One that this user
    /// may not look at is left out.
    pub fn look_at_brokers(&self, config: &config::Kafka) -> Result<Vec<(&'static str, String)>, PortError> {
        let mut faults = Vec::new();
        for topic in ["__transaction_state", "__consumer_offsets"] {
            if let Ok(settings) = self.settings(config, topic)? {
                faults.extend(self.standing(topic, &settings)?.faults.into_iter().map(|words| (topic, words)));
            }
        }
        Ok(faults)
    }

    fn standing(&self, topic: &str, settings: &Settings) -> Result<Standing, PortError> {
        let least = settings.value("min.insync.replicas").and_then(|value| value.text.parse().ok());
        Ok(Standing::of(&self.copies(topic)?, least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::changelog_topic::TOMBSTONES_KEPT;
    use crate::kafka::client::tests::settings;

    fn of(own: OwnTopic, setting: &str, text: &str) -> Vec<Lapse> {
        let value = |name: &str| {
            let made = own.made_with().find(|(made, _)| *made == name)?.1;
            let text = if name == setting { text } else { made }.to_owned();
            Some(Value { text, from: "" })
        };
        lapses(&settings("127.0.0.1:1"), own, value)
    }

    #[test]
    fn what_loses_something_is_wrong_and_what_is_more_than_needed_is_not() {
        use OwnTopic::{Changelog, Commands, DeadLetters, Tokens};
        let check = |own, setting, text, expected: Option<(&str, Weight)>| {
            let found = of(own, setting, text);
            let found: Vec<_> = found.iter().map(|l| (l.setting, l.wanted.as_str(), l.weight)).collect();
            let expected: Vec<_> = expected.into_iter().map(|(wanted, weight)| (setting, wanted, weight)).collect();
            assert_eq!(found, expected, "{own:?} {setting}={text}");
        };
        let (refused, warned) = (Weight::Refused, Weight::Warned);
        for policy in ["delete", "compact,delete", ""] {
            check(Changelog, "cleanup.policy", policy, Some(("compact", refused)));
            check(Tokens, "cleanup.policy", policy, Some(("compact", warned)));
        }
        check(Changelog, "max.message.bytes", "1048588", Some(("4259840 or more", warned)));
        check(Changelog, "max.message.bytes", "8388608", None);
        check(Changelog, "delete.retention.ms", "86400000", Some(("604800000 or more", warned)));
        check(Changelog, "delete.retention.ms", "604800001", None);
        for own in [Commands, DeadLetters] {
            for policy in ["compact", "compact,delete", "delete,compact"] {
                check(own, "cleanup.policy", policy, Some(("delete", refused)));
            }
            check(own, "cleanup.policy", "", None);
            for retention in ["retention.ms", "retention.bytes"] {
                check(own, retention, "0", Some(("-1", warned)));
                check(own, retention, "604800000", Some(("-1", warned)));
                check(own, retention, "9223372036854775807", None);
            }
        }
        check(DeadLetters, "max.message.bytes", "4259839", Some(("4259840 or more", warned)));
        check(Commands, "max.message.bytes", "1048588", Some(("4259840 or more", warned)));
        check(Tokens, "max.message.bytes", "60", Some(("1000012 or more", warned)));
        check(Tokens, "max.message.bytes", "1048588", None);
        check(Tokens, "message.timestamp.type", "CreateTime", Some(("LogAppendTime", warned)));
    }

    #[test]
    fn a_restore_counts_on_tombstones_for_no_longer_than_they_are_kept() {
        let made = OwnTopic::Changelog.made_with().find(|(name, _)| *name == "delete.retention.ms").unwrap().1;
        assert_eq!(made.parse(), Ok(TOMBSTONES_KEPT.as_millis()));
    }

    #[test]
    fn a_lapse_names_both_values_and_the_command() {
        let words = of(OwnTopic::DeadLetters, "retention.ms", "604800000")[0].words();
        insta::assert_snapshot!(words);
    }
}
