//! Which part of the source topics is read: topics, partitions, and from where to where in each; the same options, words and
//! refusals for all tools that take a range.

use std::str::FromStr;

use super::emptiness::{self, End, Within};
use super::exit::{self, Exit};
use super::reading::{Reading, kafka};
use super::times;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::scan::{LogScan as _, Span};

/// Numbers below this are offsets; from here on milliseconds since the epoch (13 digits).
const TIMES_FROM: i64 = 1_000_000_000_000;

/// A place in every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Offset 0, be it there or not.
    Earliest,
    /// The end.
    Latest,
    /// This offset.
    Offset(i64),
    /// The first record of this time or later, milliseconds since the epoch.
    Time(i64),
}

/// Options that choose a range.
#[derive(Clone, Debug, clap::Args)]
pub struct Range {
    /// Begin here in each partition: `earliest`, `latest`, an offset, or a time (RFC 3339, or 13 digits)
    #[arg(long, value_name = "PLACE", default_value = "earliest")]
    pub from: Place,
    /// End before this place
    #[arg(long, value_name = "PLACE", default_value = "latest")]
    pub until: Place,
    /// Of this source topic only
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Of these partitions only; may be repeated
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Vec<i32>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<i64>()) {
            ("earliest", _) => Ok(Self::Earliest),
            ("latest", _) => Ok(Self::Latest),
            (_, Ok(offset)) if (0..TIMES_FROM).contains(&offset) => Ok(Self::Offset(offset)),
            _ => times::parse(text).map(Self::Time).map_err(|_| {
                format!(
                    "{text:?} is no place: write an offset (1024), a time (2026-11-25T08:00:00Z, or 13 digits), earliest or \
                     latest"
                )
            }),
        }
    }
}

impl Range {
    /// The partitions that are read, each with how far it reaches and what is asked for of it. A range in which nothing can lie
    /// is refused.
    pub(super) fn partitions(&self, reading: &mut Reading) -> anyhow::Result<Vec<(TopicPartition, Within)>> {
        let mut partitions = Vec::new();
        for topic in self.topics(reading)? {
            let spans = self.spans(reading, &topic)?;
            let from = self.from.offsets(reading, &topic, &spans)?;
            let until = self.until.offsets(reading, &topic, &spans)?;
            for (whole, asked) in spans.into_iter().zip(from.into_iter().zip(until)) {
                let source = TopicPartition::new(topic.as_str(), whole.partition);
                partitions.push((source, Within { whole, asked: (asked.0, asked.1.max(asked.0)) }));
            }
        }
        let within: Vec<Within> = partitions.iter().map(|(_, within)| *within).collect();
        emptiness::check((self.from.end(), self.until.end()), &within)?;
        Ok(partitions)
    }

    fn topics(&self, reading: &Reading) -> anyhow::Result<Vec<String>> {
        let all = reading.config.kafka.topics.clone();
        match &self.topic {
            None => Ok(all),
            Some(topic) if all.contains(topic) => Ok(vec![topic.clone()]),
            Some(topic) => {
                Err(usage(format!("{topic} is no source topic of these settings; there are {}", all.join(", "))))
            }
        }
    }

    fn spans(&self, reading: &mut Reading, topic: &str) -> anyhow::Result<Vec<Span>> {
        let mut spans = reading.source(topic)?;
        if let Some(missing) = self.partition.iter().find(|n| !spans.iter().any(|span| span.partition == **n)) {
            let count = spans.len();
            return Err(usage(format!(
                "{topic} has {count} partitions, counted from 0: there is no partition {missing}"
            )));
        }
        spans.retain(|span| self.partition.is_empty() || self.partition.contains(&span.partition));
        Ok(spans)
    }
}

fn usage(words: String) -> anyhow::Error {
    exit::fail(Exit::Usage, anyhow::anyhow!(words))
}

impl Place {
    fn end(self) -> End {
        match self {
            Self::Earliest | Self::Latest => End::OfLog,
            Self::Offset(offset) => End::Offset(offset),
            Self::Time(at_ms) => End::Time(at_ms),
        }
    }

    fn offsets(self, reading: &mut Reading, topic: &str, spans: &[Span]) -> anyhow::Result<Vec<i64>> {
        let everywhere = |offset| Ok(vec![offset; spans.len()]);
        match self {
            Self::Earliest => everywhere(0),
            // Behind the end, too: the log may have passed more than there is.
            Self::Latest => everywhere(i64::MAX),
            Self::Offset(offset) => everywhere(offset),
            Self::Time(at_ms) => {
                let partitions: Vec<i32> = spans.iter().map(|span| span.partition).collect();
                let found = reading.scan.at_time(topic, &partitions, at_ms).map_err(kafka)?;
                let or_end = |(found, span): (Option<NextOffset>, &Span)| found.unwrap_or(span.until).get();
                Ok(found.into_iter().zip(spans).map(or_end).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_told_from_a_time_and_both_from_a_word() {
        let check = |text: &str, expect| assert_eq!(text.parse::<Place>(), Ok(expect), "{text}");
        check("earliest", Place::Earliest);
        check("latest", Place::Latest);
        check("0", Place::Offset(0));
        check("1795593600", Place::Offset(1_795_593_600));
        check("999999999999", Place::Offset(999_999_999_999));
        check("1795593600000", Place::Time(1_795_593_600_000));
        check("2026-11-25T08:00:00Z", Place::Time(1_795_593_600_000));
        for text in ["", "-1", "yesterday", "99999999999999"] {
            assert!(text.parse::<Place>().unwrap_err().contains("is no place"), "{text}");
        }
    }
}
