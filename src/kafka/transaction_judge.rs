//! What an error of a transaction means for the worker: wait and begin anew, or end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::ends::Failed;
use super::failure::port_error;
use super::own_topics;
use super::write_rights;
use crate::config;
use crate::sync::ports::PortError;

/// For so long a commit that the brokers deny is tried again.
const DENIED_MAX: Duration = Duration::from_secs(20);
/// Being fenced so often within [`FENCED_WITHIN`], by transactions that had time left, is no pause of this process: somebody else
/// has the same store.
const FENCED_MAX: usize = 3;
const FENCED_WITHIN: Duration = Duration::from_secs(120);

/// Judges the errors of one worker's transactions, and remembers those that are borne for a while only.
pub(super) struct TransactionJudge {
    config: config::Kafka,
    id: String,
    fenced: VecDeque<Instant>,
    /// When the last transaction has run out of its time: the brokers fence it themselves then.
    runs_out: Instant,
    /// Since when the brokers have denied what a commit needs.
    denied_since: Option<Instant>,
}

impl TransactionJudge {
    /// For the transactions of this id.
    pub(super) fn new(config: &config::Kafka, id: String) -> Self {
        Self { config: config.clone(), id, fenced: VecDeque::new(), runs_out: Instant::now(), denied_since: None }
    }

    /// The id of the transactions.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// A transaction begins, which the brokers end after `time`.
    pub(super) fn begins(&mut self, time: Duration) {
        self.runs_out = Instant::now() + time;
    }

    /// A commit has got through.
    pub(super) fn committed(&mut self) {
        self.denied_since = None;
    }

    /// What an error means for the worker.
    pub(super) fn error(&mut self, doing: &str, error: &KafkaError) -> PortError {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch,
            ) => self.was_fenced(doing),
            Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
                self.was_denied(write_rights::denied_id(&self.config, doing))
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                let topics = [self.config.changelog_topic.as_str(), &self.config.dead_letter_topic];
                self.was_denied(write_rights::denied(&self.config, doing, &topics))
            }
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                let (changelog, letters) = (&self.config.changelog_topic, &self.config.dead_letter_topic);
                own_topics::too_large(doing, &format!("{changelog} or {letters}"))
            }
            Some(RDKafkaErrorCode::ConcurrentTransactions) => PortError::Passing(format!(
                "{doing}: the brokers have not ended the transaction before it yet; where that stays so, a topic that it wrote \
                 to has too few replicas in sync: `order-sync topics check` names it"
            )),
            _ => port_error(doing, error),
        }
    }

    /// What it means that a record of a transaction was not written; `time` is how long the brokers had for it.
    pub(super) fn unwritten(&mut self, doing: &str, failed: &Failed, time: Duration) -> PortError {
        let Failed { code, topic, partition } = failed;
        let is_late = matches!(
            code,
            RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::NotEnoughReplicas
                | RDKafkaErrorCode::NotEnoughReplicasAfterAppend
        );
        if *code == RDKafkaErrorCode::MessageSizeTooLarge {
            return own_topics::too_large(doing, topic);
        }
        if matches!(code, RDKafkaErrorCode::InvalidRecord | RDKafkaErrorCode::InvalidTimestamp) {
            return own_topics::strange_time(doing, topic, *code);
        }
        if !is_late {
            return self.error(doing, &KafkaError::MessageProduction(*code));
        }
        PortError::Passing(format!(
            "{doing}: partition {partition} of {topic} has not taken a record within {} s: its broker is away or too slow, or \
             fewer of its replicas are in sync than its min.insync.replicas; `order-sync topics check` tells the latter",
            time.as_secs()
        ))
    }

    /// Rights that are taken away for a moment, as while they are being changed, are waited for; not for ever, as nothing is
    /// delivered meanwhile, and a worker that has ended is seen.
    fn was_denied(&mut self, refused: PortError) -> PortError {
        let since = self.denied_since.get_or_insert_with(Instant::now);
        if since.elapsed() < DENIED_MAX { PortError::Passing(refused.to_string()) } else { refused }
    }

    /// A pause of this process, longer than the transaction's time, is got over by beginning anew. A second worker with
    /// the same id is not: the two would take turns for ever.
    fn was_fenced(&mut self, doing: &str) -> PortError {
        let now = Instant::now();
        if now < self.runs_out {
            self.fenced.push_back(now);
        }
        self.fenced.retain(|at| now.duration_since(*at) < FENCED_WITHIN);
        if self.fenced.len() < FENCED_MAX {
            return PortError::Passing(format!(
                "{doing}: another producer has taken over {}, or this one was silent for too long; beginning anew",
                self.id
            ));
        }
        PortError::Fatal(format!(
            "{doing}: another worker takes over {} again and again: it works on a copy of this store directory. Stop one \
             of them, and start it with an empty directory of its own",
            self.id
        ))
    }
}

/// Whether the answer to a commit says that it never took place. librdkafka asks for an abort as well where it has no answer:
/// a connection that ends in an error of TLS, or of its login, may have carried the commit to its end.
pub(super) fn nothing_was_committed(error: &KafkaError) -> bool {
    if let KafkaError::Transaction(error) = error {
        return error.txn_requires_abort() && denies_it(error.code());
    }
    // The records were not all out, so the commit was not even asked for.
    matches!(error, KafkaError::Flush(_))
}

/// Whether these are a broker's own words, and say no. What the client says by itself has a negative code, and so has a
/// broker that does not know what went wrong.
fn denies_it(code: RDKafkaErrorCode) -> bool {
    let is_silence = matches!(
        code,
        RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::NetworkException
            | RDKafkaErrorCode::NotEnoughReplicasAfterAppend
    );
    code as i32 > 0 && !is_silence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::client::tests::settings;

    #[test]
    fn a_store_has_two_workers_where_transactions_with_time_left_are_fenced_again_and_again() {
        for (time, is_told) in [(Duration::ZERO, false), (Duration::from_secs(60), true)] {
            let mut judge = TransactionJudge::new(&settings("127.0.0.1:1"), "group.store".to_owned());
            let mut fence = || {
                judge.begins(time);
                let error = KafkaError::Flush(RDKafkaErrorCode::Fenced);
                judge.error("a commit", &error)
            };
            let said: Vec<_> = (0..5).map(|_| matches!(fence(), PortError::Fatal(_))).collect();
            assert_eq!(said, [false, false, is_told, is_told, is_told], "{time:?}");
        }
    }
}
