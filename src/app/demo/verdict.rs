//! Whether the demo came out right. Asked of the sandbox and of Kafka, never of the worker.

use std::collections::BTreeMap;

use super::expect::ExpectedPush;
use super::play::Player;
use super::stage::{PARTITIONS, Stage};
use crate::kafka::source::SourceTopics;
use crate::order::Identity;
use crate::record::{RecordOffset, TopicPartition};
use crate::sandbox::{Outcome, Received};
use crate::sync::ports::{PortError, SourceReader as _};

/// How many faults are told one by one.
const FAULTS_TOLD: usize = 10;

/// What the check found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Orders whose state at the sandbox is exactly the last one expected.
    pub right: usize,
    /// What is wrong, in words; empty when all is right. Told up to a bound.
    pub wrong: Vec<String>,
    /// Dead letters in the dead-letter topic, by reason.
    pub letters: BTreeMap<String, usize>,
    /// From producing a record to its state being applied, of the paced part, in milliseconds, ascending.
    pub latencies_ms: Vec<i64>,
}

impl Checked {
    /// The latency that this share of the paced events stayed within.
    pub fn percentile(&self, share: f64) -> Option<i64> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (self.latencies_ms.len() as f64 * share).ceil() as usize;
        self.latencies_ms.get(rank.saturating_sub(1)).copied()
    }

    fn fault(&mut self, words: String) {
        if self.wrong.len() < FAULTS_TOLD {
            self.wrong.push(words);
        }
    }
}

/// Compares sandbox and dead-letter topic with what the log must come to.
pub fn check(stage: &Stage, played: &Player) -> Result<Checked, PortError> {
    let mut checked = Checked { letters: letters(stage)?, ..Checked::default() };
    for (identity, pushes) in &stage.expected.orders {
        check_order(stage, played, identity, pushes, &mut checked);
    }
    checked.latencies_ms.sort_unstable();
    let known = stage.expected.orders.len();
    let shown = stage.sandbox.orders().len();
    if shown > known {
        checked.fault(format!("the sandbox holds {shown} orders, the log has {known}"));
    }
    let mut expected: BTreeMap<String, usize> =
        stage.expected.reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
    let rejected = stage.expected.pushes() - stage.pushes_to_apply();
    if rejected > 0 {
        expected.insert("rejected_by_platform".to_owned(), rejected);
    }
    if checked.letters != expected {
        let words = format!("dead letters: expected {expected:?}, found {:?}", checked.letters);
        checked.fault(words);
    }
    let violations = stage.sandbox.report().violations_total;
    if violations > 0 {
        checked.fault(format!("the sandbox saw {violations} violations of the rules of stamps and order"));
    }
    Ok(checked)
}

fn check_order(stage: &Stage, played: &Player, identity: &Identity, pushes: &[ExpectedPush], checked: &mut Checked) {
    let (app, order) = (identity.app_id.as_str(), identity.order_id.as_ref());
    let history = stage.sandbox.history(app, order);
    let applied: Vec<&Received> = history.iter().filter(|push| push.outcome == Outcome::Applied).collect();
    if stage.refused.contains(order) {
        if applied.is_empty() {
            checked.right += 1;
        } else {
            checked.fault(format!("order {order}: refused for good, and yet applied"));
        }
        return;
    }
    let stamps: Vec<Option<i64>> = applied.iter().map(|push| push.stamp).collect();
    let expected: Vec<Option<i64>> = pushes.iter().map(|push| Some(push.update_time)).collect();
    if stamps != expected {
        checked.fault(format!("order {order}: expected stamps {expected:?}, the sandbox applied {stamps:?}"));
        return;
    }
    let same = applied.iter().zip(pushes).all(|(push, expected)| same_body(&push.body, &expected.request));
    if !same {
        checked.fault(format!("order {order}: a state at the sandbox differs from the one expected"));
        return;
    }
    checked.right += 1;
    for (push, expected) in applied.iter().zip(pushes).filter(|(_, expected)| expected.record >= played.burst_records())
    {
        let produced = played.at_ms.get(expected.record).copied().unwrap_or_default();
        checked.latencies_ms.push(i64::try_from(push.at_ms).unwrap_or(i64::MAX) - produced);
    }
}

/// Whether a body as received, its token emptied, is the request with an empty token in front.
fn same_body(received: &[u8], request: &[u8]) -> bool {
    received.strip_prefix(br#"{"access_token":"","#).is_some_and(|rest| request.get(1..) == Some(rest))
}

/// Reads the dead-letter topic to its end.
fn letters(stage: &Stage) -> Result<BTreeMap<String, usize>, PortError> {
    let mut reader = SourceTopics::connect(&stage.config.kafka)?;
    let mut reasons = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let topic = TopicPartition::new(stage.config.kafka.dead_letter_topic.as_str(), partition);
        let mut offset = RecordOffset::new(0);
        while let Some(letter) = reader.read(&topic, offset)? {
            let reason = letter.headers.iter().rfind(|header| header.name == "order-sync.reason");
            let reason = reason.and_then(|header| header.value.as_deref()).unwrap_or(b"no reason");
            *reasons.entry(String::from_utf8_lossy(reason).into_owned()).or_default() += 1;
            offset = RecordOffset::new(offset.next().get());
        }
    }
    Ok(reasons)
}
