//! What librdkafka says to the user's properties all together, with ours: each may be one that it takes, and the whole none.
//!
//! The clients are made as a run makes them, but know no broker: no connection is opened.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{NativeClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaType;
use secrecy::ExposeSecret as _;

use super::consumer::ENGINE_GRACE;
use super::transactions::TRANSACTION_TIMEOUT;
use super::{client, property_faults};
use crate::config::{self, format_duration, is_hidden};
use crate::sync::ports::PortError;

const POLL_INTERVAL: &str = "max.poll.interval.ms";

/// What is wrong with the whole and what to do, each under the property where it is best said, and under none where the
/// library names none that the user has set. No value that may be a secret is shown.
pub fn faults(config: &config::Kafka) -> Vec<(Option<String>, String)> {
    // What is wrong with one alone is told by its own name, and so is what a client says of our own settings.
    if config.properties.is_empty() || !property_faults::faults(&config.properties).is_empty() {
        return Vec::new();
    }
    let mut found: Vec<_> = late_revoke(config).into_iter().collect();
    let (consumer, producer) = (RDKafkaType::RD_KAFKA_CONSUMER, RDKafkaType::RD_KAFKA_PRODUCER);
    let mut clients = vec![
        (client::member(config), consumer),
        (client::reader(config), consumer),
        (client::producer(config), producer),
    ];
    if config.exactly_once {
        clients.push((client::transactions(config, "order-sync", TRANSACTION_TIMEOUT), producer));
    }
    for (client, kind) in clients {
        let fault = refusal(config, client, kind);
        found.extend(fault.filter(|fault| !found.contains(fault)));
    }
    found
}

/// A revoke is waited for on the thread that polls: one that may take longer than a member may go without a poll expels it.
fn late_revoke(config: &config::Kafka) -> Option<(Option<String>, String)> {
    let native = client::member(config).ok()?.create_native_config().ok()?;
    let interval = shown(&native, POLL_INTERVAL)?;
    let longest = config.revoke_timeout + ENGINE_GRACE;
    if longest < Duration::from_millis(interval.parse().ok()?) {
        return None;
    }
    let what = format!(
        "is {interval}, and kafka.revoke_timeout is {}: a revoke that takes as long (and {} more) has the worker expelled from \
         the group; set it above {}, or kafka.revoke_timeout lower",
        format_duration(config.revoke_timeout),
        format_duration(ENGINE_GRACE),
        longest.as_millis()
    );
    Some((Some(POLL_INTERVAL.to_owned()), what))
}

/// What the library says to one client, under the first property that it names and the user has set.
fn refusal(
    config: &config::Kafka,
    client: Result<ClientConfig, PortError>,
    kind: RDKafkaType,
) -> Option<(Option<String>, String)> {
    let mut client = match client {
        Ok(client) => client,
        Err(error) => return Some((None, error.to_string())),
    };
    client.remove("bootstrap.servers");
    let Err(error) = make(&client, kind) else { return None };
    let KafkaError::ClientCreation(words) = error else { return Some((None, super::failure::describe(&error))) };
    let shows = |(name, value): (&String, &secrecy::SecretString)| {
        is_hidden(name) && !value.expose_secret().is_empty() && words.contains(value.expose_secret())
    };
    if config.properties.iter().any(shows) {
        let what = "cannot be used together; librdkafka's CONFIGURATION.md says what goes with what";
        return Some((None, what.to_owned()));
    }
    let named: Vec<&str> = words.split('`').skip(1).step_by(2).collect();
    let at = named.iter().find(|name| config.properties.contains_key(**name));
    let values = client.create_native_config().ok().map(|native| values(&native, &named)).unwrap_or_default();
    let words = words.trim_end().replace("`must", "` must");
    Some((at.map(|name| (*name).to_owned()), format!("cannot be used with the rest: {words}{values}")))
}

fn make(client: &ClientConfig, kind: RDKafkaType) -> KafkaResult<Client<Silent>> {
    Client::new(client, client.create_native_config()?, kind, Silent)
}

/// What the properties that were named are, defaults included; empty where none may be shown.
fn values(native: &NativeClientConfig, named: &[&str]) -> String {
    let known = named.iter().filter_map(|name| Some(format!("{name} is {}", shown(native, name)?)));
    let known: Vec<String> = known.collect();
    if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) }
}

fn shown(native: &NativeClientConfig, name: &str) -> Option<String> {
    let value = native.get(name).ok().filter(|_| !is_hidden(name))?;
    let value = value.trim_end_matches('\0');
    (!value.is_empty()).then(|| value.to_owned())
}

/// The clients here have nothing to say but whether they can be made.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn told(properties: &[(&str, &str)], change: impl Fn(&mut config::Kafka)) -> String {
        let mut config = client::tests::settings("127.0.0.1:1");
        for (name, value) in properties {
            config.properties.insert((*name).to_owned(), SecretString::from(*value));
        }
        change(&mut config);
        let lines = faults(&config).into_iter().map(|(at, what)| format!("{}: {what}", at.unwrap_or_default()));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_the_library_takes_alone_and_not_together_is_told_with_both_values() {
        assert_eq!(told(&[], |_| {}), "");
        assert_eq!(told(&[("session.timeout.ms", "6000"), ("client.id", "me"), ("debug", "cgrp")], |_| {}), "");
        let interval = "cannot be used with the rest: `max.poll.interval.ms` must be >= `session.timeout.ms` \
                        (max.poll.interval.ms is 30000, session.timeout.ms is 45000)";
        assert_eq!(told(&[(POLL_INTERVAL, "30000")], |_| {}), format!("{POLL_INTERVAL}: {interval}"));
        assert_eq!(
            told(&[("group.protocol", "consumer"), ("session.timeout.ms", "6000")], |_| {}),
            "session.timeout.ms: cannot be used with the rest: `session.timeout.ms` is not supported for \
             `group.protocol=consumer`. It is defined broker side (session.timeout.ms is 6000)"
        );
        let held = [("linger.ms", "20000")];
        let sooner = |timeout| {
            format!(
                "linger.ms: cannot be used with the rest: `message.timeout.ms` must be greater than `linger.ms` \
                 (message.timeout.ms is {timeout}, linger.ms is 20000)"
            )
        };
        assert_eq!(told(&held, |_| {}), sooner(10000), "the producer of commits");
        assert_eq!(told(&held, |config| config.exactly_once = false), "");
        let both = [("linger.ms", "20000"), ("message.timeout.ms", "15000")];
        assert!(told(&both, |config| config.exactly_once = false).ends_with("linger.ms is 20000)"));
    }

    #[test]
    fn what_names_no_property_and_what_may_hold_a_secret_is_told_all_the_same() {
        let gssapi = told(&[("security.protocol", "sasl_plaintext")], |_| {});
        assert!(
            gssapi.starts_with(": cannot be used with the rest: No provider for SASL mechanism GSSAPI"),
            "{gssapi}"
        );
        assert_eq!(gssapi.lines().count(), 1, "{gssapi}");
        let secured = [("security.protocol", "ssl"), ("ssl.ca.location", "/nowhere/ca.pem")];
        assert!(told(&secured, |_| {}).contains("ssl.ca.location failed"), "{}", told(&secured, |_| {}));
        let canary = [
            ("security.protocol", "ssl"),
            ("ssl.keystore.location", "/CANARY/p12"),
            ("ssl.keystore.password", "CANARY"),
        ];
        let hidden = told(&canary, |_| {});
        assert!(!hidden.is_empty() && !hidden.contains("CANARY"), "{hidden}");
    }

    #[test]
    fn a_revoke_that_would_take_longer_than_a_member_may_be_silent_is_a_fault() {
        let session = ("session.timeout.ms", "6000");
        let expelled = told(&[(POLL_INTERVAL, "10000"), session], |_| {});
        assert_eq!(
            expelled,
            "max.poll.interval.ms: is 10000, and kafka.revoke_timeout is 10s: a revoke that takes as long (and 500ms more) has \
             the worker expelled from the group; set it above 10500, or kafka.revoke_timeout lower"
        );
        assert_eq!(told(&[(POLL_INTERVAL, "10500"), session], |_| {}).lines().count(), 1);
        assert_eq!(told(&[(POLL_INTERVAL, "10501"), session], |_| {}), "");
        let two_minutes = |config: &mut config::Kafka| config.revoke_timeout = Duration::from_secs(120);
        assert_eq!(told(&[("client.id", "me")], two_minutes), "", "300 s unless it is set");
    }
}
