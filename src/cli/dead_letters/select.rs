//! Which dead letters are meant: the options that `list`, `export` and `redrive` share.

use std::collections::BTreeSet;

use clap::builder::PossibleValuesParser;

use crate::cli::reading::Reading;
use crate::cli::{times, unknown};
use crate::inspect::{Copies, Filter, LetterId, Letters};
use crate::order::DeadLetterReason;
use crate::sync::changelog::LetterState;

/// Options that choose letters. Of one that is given several times, any may hold.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which letters")]
pub struct Select {
    /// These letters; all where it is empty.
    #[arg(skip)]
    pub ids: BTreeSet<LetterId>,
    /// Set aside for this reason
    #[arg(long, value_name = "CODE", value_parser = reasons())]
    pub reason: Vec<String>,
    /// What has become of it
    #[arg(long, value_name = "STATUS", value_parser = state)]
    pub status: Vec<LetterState>,
    /// Of this order
    #[arg(long, value_name = "ORDER_ID")]
    pub order: Vec<String>,
    /// Of this app
    #[arg(long, value_name = "APP_ID")]
    pub app: Vec<String>,
    /// From this source topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// From this partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Refused by the platform with this code
    #[arg(long, value_name = "CODE", allow_negative_numbers = true)]
    pub err_code: Vec<i64>,
    /// Last failed at this time or later: RFC 3339, or milliseconds since the epoch
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub since: Option<i64>,
    /// Last failed before this time
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub until: Option<i64>,
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(DeadLetterReason::ALL.map(DeadLetterReason::as_str))
}

fn state(word: &str) -> Result<LetterState, String> {
    let known = STATES.into_iter().find(|state| state.as_str() == word);
    known.ok_or_else(|| format!("write one of {}", STATES.map(LetterState::as_str).join(", ")))
}

const STATES: [LetterState; 4] =
    [LetterState::Open, LetterState::Redriven, LetterState::Superseded, LetterState::Discarded];

impl Select {
    /// Whether anything was said of which letters.
    pub(super) fn is_narrowed(&self) -> bool {
        let Self { ids, reason, status, order, app, topic, partition, err_code, since, until } = self;
        let lists = [reason.len(), status.len(), order.len(), app.len(), err_code.len(), ids.len()];
        let ones = [topic.is_some(), partition.is_some(), since.is_some(), until.is_some()];
        lists.into_iter().any(|length| length > 0) || ones.contains(&true)
    }

    /// The chosen letters, the newest first; with the earlier ones of their records or without.
    pub(super) fn letters(&self, copies: Copies, reading: &mut Reading) -> anyhow::Result<Letters> {
        let topic = reading.config.kafka.dead_letter_topic.clone();
        let mut spans = reading.letters(self.partition)?;
        if let Some(since) = self.since {
            // A letter is written after its last failure, by the same clock.
            reading.begin_at(&topic, &mut spans, since)?;
        }
        let statuses = reading.statuses(&spans)?;
        reading.bar.set_message(topic.clone());
        let filter = Filter {
            copies,
            ids: self.ids.clone(),
            reasons: self.reason.clone(),
            statuses: self.status.clone(),
            orders: self.order.clone(),
            apps: self.app.clone(),
            topic: self.topic.clone(),
            partition: self.partition,
            err_codes: self.err_code.clone(),
            since_ms: self.since,
            until_ms: self.until,
        };
        Ok(Letters::new(&topic, &spans, statuses, filter))
    }

    /// Nothing was found: refuses names that the settings do not have, either.
    pub(super) fn found_nothing(&self, reading: &Reading) -> anyhow::Result<()> {
        unknown::refuse(&reading.config, &self.app, self.topic.as_deref())
    }
}
