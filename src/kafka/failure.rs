//! Sorts rdkafka's errors into what may pass and what will not.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::sync::ports::{Closed, PortError};

/// What happened, with the words of librdkafka. Most failures of a broker pass; those of a wrong request do not.
pub(super) fn port_error(doing: &str, error: &KafkaError) -> PortError {
    let words = format!("{doing}: {}", describe(error));
    match error.rdkafka_error_code() {
        Some(code) if never_passes(code) => PortError::Fatal(words),
        Some(_) | None => PortError::Passing(words),
    }
}

/// As [`port_error`], for a question about a partition that was there at the start. A broker that has just started knows the
/// partitions one after another, and one that it does not know yet is there a moment later.
pub(super) fn asking_error(doing: &str, error: &KafkaError) -> PortError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownPartition) => PortError::Passing(format!(
            "{doing}: {}; if that stays so, the topic has lost partitions: run order-sync topics check",
            describe(error)
        )),
        Some(_) | None => port_error(doing, error),
    }
}

/// The error without a property's value, which may be a secret.
pub(super) fn describe(error: &KafkaError) -> String {
    if let KafkaError::ClientConfig(_, _, name, _) = error {
        return format!("property {name} is unknown or has an unusable value");
    }
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

/// Whether trying again cannot help. Authorisation is not among them: an operator grants it, and the worker goes on.
pub(super) fn never_passes(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnsupportedVersion
            | RDKafkaErrorCode::UnsupportedForMessageFormat
            | RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::InvalidArgument
            | RDKafkaErrorCode::PolicyViolation
    )
}

/// Why a step of a thread that serves the engine did not go on: the engine is gone, or a broker did not answer.
pub(super) enum Halt {
    Closed,
    Failed(PortError),
}

impl From<Closed> for Halt {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<PortError> for Halt {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_a_starting_broker_does_not_know_yet_is_asked_for_again() {
        let error = |code| KafkaError::MetadataFetch(code);
        let unknown = asking_error("asking", &error(RDKafkaErrorCode::UnknownPartition));
        assert!(matches!(&unknown, PortError::Passing(words) if words.contains("topics check")), "{unknown:?}");
        let invalid = asking_error("asking", &error(RDKafkaErrorCode::InvalidTopic));
        assert!(matches!(invalid, PortError::Fatal(_)), "{invalid:?}");
    }
}
