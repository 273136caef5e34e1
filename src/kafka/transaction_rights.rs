//! Whether the brokers let this user commit by transactions at all: asked before a topic is made or the group is joined,
//! so that brokers without them are told at once and not by commits that never come.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::BaseProducer;

use super::chatter::Chatter;
use super::client;
use super::failure::{describe, port_error};
use super::status::Status;
use super::transaction_start::start;
use super::transactions::TRANSACTION_TIMEOUT;
use crate::config;
use crate::sync::ports::PortError;

/// One question; an open transaction of the same id is ended meanwhile.
const ASK: Duration = Duration::from_secs(5);
/// What helps wherever transactions cannot be had.
const WITHOUT: &str = "set kafka.exactly_once = false and run one worker: its store is the only copy then";

/// Begins the transactions of `id` and drops them. [`PortError::Fatal`] where they will never begin, with words that say
/// what to do.
pub fn ask(config: &config::Kafka, id: &str) -> Result<(), PortError> {
    let producer: BaseProducer<Chatter> = client::transactions(config, id, TRANSACTION_TIMEOUT)?
        .create_with_context(Chatter::new(config, Status::new()))
        .map_err(|e| port_error("cannot make a client that asks about transactions", &e))?;
    start(&producer, &config.changelog_topic, ASK).map_err(|error| judge(config, &error))
}

fn judge(config: &config::Kafka, error: &KafkaError) -> PortError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed) => {
            PortError::Fatal(format!(
                "transactions are refused ({}): grant this user Write and Describe on the transactional ids that begin with {}; \
             or {WITHOUT}",
                describe(error),
                config.group_id
            ))
        }
        Some(RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion) => {
            PortError::Fatal(format!("the brokers know no transactions ({}): {WITHOUT}", describe(error)))
        }
        Some(RDKafkaErrorCode::InvalidTransactionTimeout) => PortError::Fatal(format!(
            "the brokers let no transaction stay open for {} s: raise their transaction.max.timeout.ms; or {WITHOUT}",
            TRANSACTION_TIMEOUT.as_secs()
        )),
        _ => {
            let again = port_error("transactions cannot begin", error);
            PortError::Passing(format!(
                "{again}; see that a transaction coordinator can be had (transaction.state.log.replication.factor is at most \
                 the number of brokers); if these brokers have no transactions, {WITHOUT}"
            ))
        }
    }
}
