//! What the tools that read workers' topics have in common: the reader, its progress bar, how they end, and what is said
//! where something is not there.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::exit::{self, Exit};
use super::needed::Needed;
use super::render::{Output, Reader};
use super::shell::Shell;
use super::{render, runtime};
use crate::config::{Config, Need};
use crate::inspect::Statuses;
use crate::kafka::convert::silence_caught_panics;
use crate::kafka::scan::Scanner;
use crate::sync::ports::PortError;
use crate::sync::scan::{LogScan as _, ScanError, Span};

/// A tool at work.
pub(super) struct Reading {
    /// The settings.
    pub(super) config: Config,
    /// Reads topics.
    pub(super) scan: Scanner,
    /// Drawn on stderr, and only where that is a terminal.
    pub(super) bar: ProgressBar,
    /// Cancelled when the person ends it.
    pub(super) stop: CancellationToken,
    /// Whether it was said that the changelog is of a time before.
    told_of_the_past: bool,
}

/// Lets a tool work until it has ended or the person ends it.
pub(super) fn with(
    shell: &mut Shell,
    work: impl FnOnce(&mut Reading, &mut Shell) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    let config = shell.config(Need::Inspect)?;
    silence_caught_panics();
    runtime::block_on(|stop| async move {
        let scan = Scanner::connect(&config.kafka, stop.clone()).map_err(kafka)?;
        // Of unknown length until the first of it is read: of nothing, all is done.
        let bar = ProgressBar::no_length();
        bar.set_style(bar_style());
        let mut reading = Reading { config, scan, bar, stop: stop.clone(), told_of_the_past: false };
        let result = tokio::task::block_in_place(|| work(&mut reading, shell));
        reading.bar.finish_and_clear();
        match result {
            Err(error) if stop.is_cancelled() && !render::is_closed_stdout(&error) => Ok(Exit::Interrupted),
            result => result,
        }
    })
}

fn bar_style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{msg} {bar:32} {percent:>3} %  {rate}/s");
    let rate = |state: &ProgressState, to: &mut dyn Write| write!(to, "{:.0}", state.per_sec()).unwrap_or(());
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate)
}

/// An error of Kafka, with its exit code and what to look at.
pub(super) fn kafka(error: impl Into<ScanError>) -> anyhow::Error {
    match error.into() {
        ScanError::Port(error @ PortError::Passing(_)) => {
            let next = "see whether kafka.brokers is right and reached from here: `order-sync check`";
            exit::fail(Exit::Kafka, anyhow::anyhow!("{error}; {next}"))
        }
        error @ (ScanError::Port(PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..))
        | ScanError::Stopped) => exit::fail(Exit::Kafka, error),
    }
}

impl Reading {
    /// How far the dead-letter topic reaches: all of its partitions, or one.
    pub(super) fn letters(&mut self, only: Option<i32>) -> anyhow::Result<Vec<Span>> {
        let topic = self.config.kafka.dead_letter_topic.clone();
        self.extents(&topic, only)?.ok_or_else(|| self.missing(Needed::DeadLetters, &topic))
    }

    /// How far the changelog reaches.
    pub(super) fn changelog(&mut self) -> anyhow::Result<Vec<Span>> {
        let topic = self.config.kafka.changelog_topic.clone();
        self.extents(&topic, None)?.ok_or_else(|| self.missing(Needed::Changelog, &topic))
    }

    /// How far a source topic reaches.
    pub(super) fn source(&mut self, topic: &str) -> anyhow::Result<Vec<Span>> {
        self.extents(topic, None)?.ok_or_else(|| self.missing(Needed::Sources, topic))
    }

    /// How far a topic reaches, all of its partitions or one; `None` where it does not exist.
    pub(super) fn extents(&mut self, topic: &str, only: Option<i32>) -> anyhow::Result<Option<Vec<Span>>> {
        let Some(count) = self.scan.partitions(topic).map_err(kafka)? else { return Ok(None) };
        let kafka_settings = &self.config.kafka;
        if topic == kafka_settings.changelog_topic && !kafka_settings.exactly_once && !self.told_of_the_past {
            self.told_of_the_past = true;
            render::note(format!(
                "note: kafka.exactly_once is false, and the changelog {topic} tells what was so before: what a worker has done \
                 without transactions since is in its store alone"
            ));
        }
        let partitions: Vec<i32> = match only {
            None => (0..count).collect(),
            Some(partition) if partition < count => vec![partition],
            Some(partition) => {
                let words =
                    format!("{topic} has {count} partitions, counted from 0: there is no partition {partition}");
                return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
            }
        };
        self.scan.extents(topic, &partitions).map(Some).map_err(kafka)
    }

    /// Lets the spans begin with the first record of this time or later.
    pub(super) fn begin_at(&mut self, topic: &str, spans: &mut [Span], at_ms: i64) -> anyhow::Result<()> {
        let partitions: Vec<i32> = spans.iter().map(|span| span.partition).collect();
        let found = self.scan.at_time(topic, &partitions, at_ms).map_err(kafka)?;
        for (span, found) in spans.iter_mut().zip(found) {
            span.from = found.unwrap_or(span.until).clamp(span.from, span.until);
        }
        Ok(())
    }

    /// What the changelog says of the dead letters in these partitions.
    pub(super) fn statuses(&mut self, letters: &[Span]) -> anyhow::Result<Statuses> {
        let topic = self.config.kafka.changelog_topic.clone();
        if let Some(mut spans) = self.extents(&topic, None)? {
            spans.retain(|span| letters.iter().any(|letters| letters.partition == span.partition));
            return Ok(Statuses::of(&topic, &spans));
        }
        render::note(format!(
            "note: there is no changelog {topic}: without transactions (kafka.exactly_once) nobody keeps what became of a \
             dead letter, and every one is shown as open"
        ));
        Ok(Statuses::unknown())
    }

    /// Waits, unless the person ends it meanwhile.
    pub(super) fn pause(&self, wait: Duration) -> anyhow::Result<()> {
        if wait.is_zero() {
            return Ok(());
        }
        let cancelled = async { tokio::time::timeout(wait, self.stop.cancelled()).await };
        match tokio::runtime::Handle::current().block_on(cancelled) {
            Ok(()) => Err(kafka(ScanError::Stopped)),
            Err(_) => Ok(()),
        }
    }

    /// Rows that go to the terminal as they are found stand where the bar would.
    pub(super) fn hide_bar_from(&self, shell: &Shell) {
        if shell.out.reader() == Reader::Terminal {
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// The same for what prints a row only where scripts read it: people get nothing before the end.
    pub(super) fn hide_bar_of_rows(&self, shell: &Shell) {
        if shell.output() == Output::Json {
            self.hide_bar_from(shell);
        }
    }

    /// Shows how much has been read, and of how much.
    pub(super) fn progress(bar: &ProgressBar, (read, total): (u64, u64)) {
        bar.set_length(total);
        bar.set_position(read);
    }
}
