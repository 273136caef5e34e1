//! An order's events folded again: each as it lies in the log, and those that commands have taken up where the commands stood,
//! all by the settings that were in force there.

use super::order_log::Executed;
use super::timeline::{Entry, Happened, Judge, Judged};
use super::verify::InForce;
use crate::order::again::resync;
use crate::order::event::{OrderEvent, decode};
use crate::order::fold::{FoldAs, FoldRules, fold_as};
use crate::order::{DeadLetterReason, Fault, Identity, MapOrder, OrderState, Transition, UpdateTime};
use crate::record::Record;
use crate::sync::command::Outcome;

/// The state on its way through the events.
pub(super) struct Refold<'r> {
    identity: &'r Identity,
    letters: &'r [Judged],
    judge: &'r Judge<'r>,
    /// Commands that have changed the order, as they acted; those that are still to come.
    commands: Vec<&'r Executed>,
    state: Option<OrderState>,
}

impl<'r> Refold<'r> {
    pub(super) fn new(
        identity: &'r Identity,
        letters: &'r [Judged],
        commands: &[&'r Executed],
        judge: &'r Judge<'r>,
    ) -> Self {
        let mut commands = commands.to_vec();
        // The first of them is taken from the end.
        commands.sort_by_key(|executed| std::cmp::Reverse((executed.done.next, executed.done.command_offset)));
        Self { identity, letters, judge, commands, state: None }
    }

    /// The events in log order, and the state that they leave.
    pub(super) fn run(mut self, records: &[Record]) -> (Vec<Entry>, Option<OrderState>) {
        let mut entries = Vec::new();
        for record in records {
            self.act(record.offset.get(), records);
            entries.extend(self.take(record));
        }
        self.act(i64::MAX, records);
        (entries, self.state)
    }

    /// Folds an event, where it is the order's.
    fn take(&mut self, record: &Record) -> Option<Entry> {
        let (at_ms, offset) = (record.timestamp_ms.unwrap_or_default(), record.offset.get());
        let value = record.value.as_deref().unwrap_or_default();
        // The first letter says whether the event was folded: it may have been taken up since, and have come back from Douyin.
        let letters = self.letters.iter().map(|(letter, _)| letter);
        let letter = letters.filter(|letter| letter.row.id.offset == record.offset).min_by_key(|l| l.row.times);
        let aside = letter.filter(|letter| letter.text("__connect.errors.stage") != Some("deliver"));
        let aside = aside.map(|letter| letter.row.reason.to_string());
        // The clock of then: what lay in the future lies in the past by now.
        let by = self.judge.then.at(offset);
        let decoded = self.decode(value, by, at_ms);
        let key = record.key.as_deref().unwrap_or_default();
        let is_keyed = key == self.identity.order_id.as_bytes();
        if !decoded.as_ref().map_or(is_keyed, |event| self.is_its(event)) {
            return None;
        }
        let other_key = (!is_keyed).then(|| String::from_utf8_lossy(key).into_owned());
        let mut entry = Happened::Event {
            offset,
            event_id: None,
            status: None,
            occurred_at_ms: None,
            outcome: aside.is_some().then_some("dead_letter"),
            other_key,
            update_time: None,
            reason: aside.clone(),
        };
        if let Happened::Event { event_id, status, occurred_at_ms, outcome, update_time, reason, .. } = &mut entry {
            if let Ok(event) = &decoded {
                *event_id = Some(event.event_id.to_string());
                *status = Some(event.status.as_str());
                *occurred_at_ms = Some(event.occurred_at.0);
                if aside.is_none() {
                    let (word, stamp, why) = self.fold(FoldAs::Event, event, offset, by);
                    (*outcome, *update_time) = (word, stamp.map(|stamp| stamp.0));
                    *reason = why.map(|why| why.as_str().to_owned());
                }
            } else {
                (*event_id, *occurred_at_ms) = readable(value);
            }
        }
        Some(Entry { at_ms, what: entry })
    }

    fn is_its(&self, event: &OrderEvent<'_>) -> bool {
        event.app_id == self.identity.app_id && *event.order_id == *self.identity.order_id
    }

    /// Lets the commands act that stood before the record at this offset.
    fn act(&mut self, offset: i64, records: &[Record]) {
        while let Some(executed) = self.commands.pop_if(|executed| executed.done.next.get() <= offset) {
            let way = match &*executed.done.command {
                "redrive" => FoldAs::Redrive,
                "fold" => FoldAs::Word,
                "resync" => {
                    self.resynced(executed);
                    continue;
                }
                _ => continue,
            };
            if matches!(executed.done.outcome, Outcome::Folded | Outcome::Unchanged) {
                self.take_up(executed, way, records);
            }
        }
    }

    /// What comes behind a resync goes on from its stamp, and from the content that the settings gave it.
    fn resynced(&mut self, executed: &Executed) {
        let (rules, mapper) = self.by(self.judge.then.of(&executed.done));
        if let Some((state, stamp)) = self.state.as_mut().zip(executed.done.update_time) {
            let update_time = state.update_time.max(stamp);
            if let Ok(again) = resync(state, self.identity, executed.done.at_ms, rules.unit, mapper) {
                *state = again.state;
            }
            state.update_time = update_time;
        }
    }

    /// Folds a record here, by the clock of whoever did. One that was folded already changes nothing.
    fn take_up(&mut self, executed: &Executed, way: FoldAs, records: &[Record]) {
        let taken = records.iter().find(|record| Some(record.offset) == executed.done.offset);
        let Some((offset, value)) = taken.and_then(|record| Some((record.offset.get(), record.value.as_deref()?)))
        else {
            return;
        };
        let by = self.judge.then.of(&executed.done);
        if let Ok(event) = self.decode(value, by, executed.done.at_ms)
            && self.is_its(&event)
        {
            self.fold(way, &event, offset, by);
        }
    }

    /// How these settings fold and map; `None`: today's.
    fn by(&self, by: Option<&'r InForce>) -> (FoldRules, &'r dyn MapOrder) {
        let Judge { rules, mapper, .. } = self.judge;
        by.map_or((*rules, *mapper), |by| {
            let variant = by.variant(&self.identity.app_id);
            (FoldRules { unit: variant.unit, ..*rules }, variant.mapper)
        })
    }

    /// Decodes by these settings. What was of no app to them is told as today's read it.
    fn decode<'v>(&self, value: &'v [u8], by: Option<&InForce>, now_ms: i64) -> Result<OrderEvent<'v>, Fault> {
        match by.map(|by| by.decode(value, now_ms)) {
            Some(decoded) if !decoded.as_ref().is_err_and(|fault| fault.reason == DeadLetterReason::UnknownApp) => {
                decoded
            }
            Some(_) | None => decode(value, &self.judge.events, now_ms),
        }
    }

    /// The word, the stamp and the reason of what folding an event gives; the state moves on.
    fn fold(
        &mut self,
        way: FoldAs,
        event: &OrderEvent<'_>,
        offset: i64,
        by: Option<&'r InForce>,
    ) -> (Option<&'static str>, Option<UpdateTime>, Option<DeadLetterReason>) {
        let (rules, mapper) = self.by(by);
        let (word, state) = match fold_as(way, self.state.as_ref(), event, offset, rules, mapper) {
            Ok(Transition::Advanced(advanced)) => ("advanced", advanced.state),
            Ok(Transition::Unchanged(unchanged)) => ("unchanged", unchanged.state),
            Ok(Transition::Duplicate) => return (Some("duplicate"), None, None),
            Ok(Transition::Stale) => return (Some("stale"), None, None),
            // No letter says so: it was folded into a state that is not among what was read.
            Err(fault) => return (None, None, Some(fault.reason)),
        };
        let stamp = state.update_time;
        self.state = Some(state);
        (Some(word), Some(stamp), None)
    }
}

/// What can be told of an event that cannot be folded: its id and its time.
fn readable(value: &[u8]) -> (Option<String>, Option<i64>) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(value) else { return (None, None) };
    (value["event_id"].as_str().map(str::to_owned), value["occurred_at"].as_i64())
}
