//! What a replay has found so far: counted, told row by row to scripts, kept in a few examples for people, and planned where
//! commands are to follow.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::progress_file::{PlannedOrder, ProgressFile};
use crate::cli::render::Output;
use crate::cli::shell::Shell;
use crate::inspect::replay::{Finding, Tally, Verdict, Will};
use crate::order::Status;

/// Orders that are named to people, of those that a person has to look at.
const NAMED_MAX: usize = 20;

/// A replay's findings.
pub(super) struct Plan {
    pub(super) tally: Tally,
    /// Examples of what differs, with their fields or without.
    pub(super) samples: Vec<Finding>,
    samples_max: usize,
    /// What a resync does not mend, as far as it is named.
    pub(super) looks: Vec<Finding>,
    /// Where commands are planned.
    pub(super) file: Option<ProgressFile>,
    failed: Option<anyhow::Error>,
}

impl Plan {
    /// Nothing found yet.
    pub(super) fn new(samples_max: usize, file: Option<ProgressFile>) -> Self {
        Self { tally: Tally::default(), samples: Vec::new(), samples_max, looks: Vec::new(), file, failed: None }
    }

    /// Takes what was found of an order.
    pub(super) fn take(&mut self, finding: Finding, shell: &mut Shell) -> ControlFlow<()> {
        match self.try_take(finding, shell) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// What went wrong while findings were taken.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn try_take(&mut self, finding: Finding, shell: &mut Shell) -> anyhow::Result<()> {
        if let (Will::Resync, Some(file), Some(place), Some(stamp)) =
            (finding.will, &mut self.file, &finding.place, finding.held_stamp)
        {
            file.plan(PlannedOrder {
                topic: place.topic.to_string(),
                partition: place.partition,
                app_id: finding.identity.app_id.to_string(),
                order_id: finding.identity.order_id.to_string(),
                stamp,
            })?;
        }
        if finding.verdict == Verdict::Same {
            return Ok(());
        }
        if shell.output() == Output::Json {
            shell.out.json(&row(&finding))?;
            return Ok(());
        }
        let is_named = finding.will == Will::Look && self.looks.len() < NAMED_MAX;
        let is_sample = matches!(finding.verdict, Verdict::Differing(_)) && self.samples.len() < self.samples_max;
        match (is_named, is_sample) {
            (true, true) => {
                self.looks.push(finding.clone());
                self.samples.push(finding);
            }
            (true, false) => self.looks.push(finding),
            (false, true) => self.samples.push(finding),
            (false, false) => {}
        }
        Ok(())
    }

    /// What scripts are told last.
    pub(super) fn summary(&self) -> Value {
        let tally = &self.tally;
        json!({
            "events": tally.events,
            "orders": tally.orders,
            "same": tally.same,
            "differing": tally.differing,
            "never_delivered": tally.never_delivered,
            "pushes": tally.pushes(),
        })
    }

    /// Everything that was counted.
    pub(super) fn line(&self, seconds: Option<u64>) -> Value {
        let tally = &self.tally;
        json!({
            "kind": "plan",
            "events": tally.events,
            "pending": tally.pending,
            "set_aside": tally.set_aside,
            "unread": tally.unread,
            "orders": tally.orders,
            "same": tally.same,
            "differing": tally.differing,
            "never_delivered": tally.never_delivered,
            "left": tally.left,
            "discarded": tally.discarded,
            "later": tally.later,
            "undecided": tally.undecided,
            "pushes": tally.pushes(),
            "resyncs": tally.to_resync(),
            "owed": tally.owed,
            "looks": tally.looks,
            "seconds": seconds,
        })
    }
}

fn row(finding: &Finding) -> Value {
    let place = finding.place.as_ref();
    json!({
        "kind": "order",
        "app_id": finding.identity.app_id.as_str(),
        "order_id": &*finding.identity.order_id,
        "verdict": finding.verdict.as_str(),
        "why": finding.verdict.why(),
        "will": finding.will.as_str(),
        "status": finding.status.map(Status::as_str),
        "changelog_status": finding.held_status.map(Status::as_str),
        "topic": place.map(|place| &*place.topic),
        "partition": place.map(|place| place.partition),
        "last_offset": finding.last_offset,
        "differences": finding.differences,
    })
}
