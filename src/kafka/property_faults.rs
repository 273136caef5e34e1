//! Everything that is wrong with the user's librdkafka properties, property by property and in words: refused by us,
//! unknown to the library, or of a value that it cannot read.
//!
//! It opens no connection. Where a property stands is the settings' knowledge, not this file's.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use secrecy::{ExposeSecret as _, SecretString};

use super::{properties, property_names};
use crate::config::is_hidden;

/// Each property at fault with what is wrong and what to do, in order of name. No value that may be a secret is shown.
pub fn faults(given: &BTreeMap<String, SecretString>) -> Vec<(String, String)> {
    let fault = |(name, value): (&String, &SecretString)| {
        let value = value.expose_secret();
        let what = match properties::refusal(name, value) {
            Some(reason) => Some(format!("is refused: {reason}; leave it out")),
            None => unusable(name, value),
        };
        what.map(|what| (name.clone(), what))
    };
    given.iter().filter_map(fault).collect()
}

/// What the library says to one property alone.
fn unusable(name: &str, value: &str) -> Option<String> {
    let mut alone = ClientConfig::new();
    alone.set(name, value);
    let error = alone.create_native_config().err()?;
    let KafkaError::ClientConfig(kind, words, _, _) = &error else {
        // The only other thing that setting a property may fail with.
        return Some("holds a zero byte; librdkafka takes none".to_owned());
    };
    let what = match (kind, property_names::words(name)) {
        (RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _) => match property_names::nearest(name) {
            Some(near) => format!("is unknown to librdkafka; did you mean `{near}`?"),
            None => "is unknown to librdkafka; its CONFIGURATION.md has every name".to_owned(),
        },
        (_, Some(words)) => format!("must be one of {}", words.join(", ")),
        (_, None) if shows(words, name, value) => {
            "has a value that librdkafka cannot use; its CONFIGURATION.md says what it takes".to_owned()
        }
        (_, None) => format!("cannot be used: {}", words.trim_end()),
    };
    Some(what)
}

/// Whether the library's words may repeat something of a value that is not to be shown; bare numbers may be.
fn shows(words: &str, name: &str, value: &str) -> bool {
    if is_hidden(name) {
        return true;
    }
    let mut parts = value.split(',').map(|part| part.trim().trim_start_matches(['+', '-']));
    value.trim().parse::<f64>().is_err() && parts.any(|part| !part.is_empty() && words.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, expected: &str) {
        let given = BTreeMap::from([(name.to_owned(), SecretString::from(value))]);
        let told = faults(&given).into_iter().map(|(at, what)| format!("{at} {what}")).collect::<Vec<_>>().join("\n");
        assert_eq!(told, expected);
    }

    #[test]
    fn every_fault_has_its_words() {
        check(
            "enable.auto.commit",
            "x",
            "enable.auto.commit is refused: offsets are committed after their records' \
               outcomes, never by a timer; leave it out",
        );
        check(
            "sesion.timeout.ms",
            "1",
            "sesion.timeout.ms is unknown to librdkafka; did you mean `session.timeout.ms`?",
        );
        check("whatever", "1", "whatever is unknown to librdkafka; its CONFIGURATION.md has every name");
        check(
            "session.timeout.ms",
            "0",
            "session.timeout.ms cannot be used: Configuration property \
               \"session.timeout.ms\" value 0 is outside allowed range 1..3600000",
        );
        check(
            "security.protocol",
            "SASL_SLS",
            "security.protocol must be one of plaintext, ssl, sasl_plaintext, sasl_ssl",
        );
        check("client.id", "a\0b", "client.id holds a zero byte; librdkafka takes none");
        check("session.timeout.ms", "6000", "");
    }

    #[test]
    fn no_value_that_may_be_a_secret_is_shown() {
        let names = [
            "session.timeout.ms",
            "security.protocol",
            "debug",
            "ssl.truststore.password",
            "sasl.jaas.config",
            "socket.keepalive.enable",
            "partition.assignment.strategy",
            "group.protocol",
            "sasl.oauthbearer.method",
            "sasl.passwort",
            "ssl_key",
            "CANARY",
        ];
        for name in names {
            let given = BTreeMap::from([(name.to_owned(), SecretString::from("CANARY,+CANARY\u{1}"))]);
            let told = faults(&given);
            assert_eq!(told.len(), 1, "{name}");
            assert!(!told[0].1.contains("CANARY"), "{told:?}");
        }
    }
}
