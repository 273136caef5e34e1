//! Which librdkafka properties a user may not set, and why.
//!
//! Pure: it looks at a name and a value and talks to nobody. Whether librdkafka knows a property is `property_faults`'
//! matter. docs/configuration.md has the same list, made from the rules below.

/// When a property is refused.
pub(super) enum Rule {
    /// Whatever its value.
    Always,
    /// Unless its value is one of these.
    Unless(&'static [&'static str]),
    /// Where it is a number below this.
    Below(i64),
}

/// Bytes that a record of the worker's own topics may have: the original record and its headers (4 MiB).
pub const RECORD_BYTES_MAX: i64 = 4 * 1024 * 1024;

const ASSIGNORS: &[&str] = &["cooperative-sticky", "range", "roundrobin"];

/// Name, when it is refused, and why; in the order of the documentation.
pub(super) const RULES: &[(&str, Rule, &str)] = &[
    ("bootstrap.servers", Rule::Always, "set kafka.brokers"),
    ("metadata.broker.list", Rule::Always, "set kafka.brokers"),
    ("group.id", Rule::Always, "set kafka.group_id"),
    ("auto.offset.reset", Rule::Always, "a lost position must never be skipped in silence; set kafka.start_from"),
    ("enable.auto.commit", Rule::Always, "offsets are committed after their records' outcomes, never by a timer"),
    ("auto.commit.enable", Rule::Always, "offsets are committed after their records' outcomes, never by a timer"),
    ("auto.commit.interval.ms", Rule::Always, "offsets are committed with each commit; set kafka.commit_interval"),
    ("enable.auto.offset.store", Rule::Always, "offsets are committed after their records' outcomes only"),
    ("offset.store.method", Rule::Always, "positions live in the store and in the group, in no other file"),
    ("offset.store.path", Rule::Always, "positions live in the store and in the group, in no other file"),
    ("isolation.level", Rule::Unless(&["read_committed"]), "aborted records are no events: read_committed is required"),
    ("enable.partition.eof", Rule::Always, "the worker sets it where it needs it"),
    ("partition.assignment.strategy", Rule::Unless(ASSIGNORS), "use one of cooperative-sticky, range, roundrobin"),
    ("group.protocol", Rule::Unless(&["classic", "consumer"]), "use classic or consumer"),
    ("enable.idempotence", Rule::Unless(&["true"]), "a retried dead letter must be written once"),
    ("acks", Rule::Unless(&["all", "-1"]), "a dead letter counts as written when all in-sync replicas have it"),
    (
        "request.required.acks",
        Rule::Unless(&["all", "-1"]),
        "a dead letter counts as written when all replicas have it",
    ),
    ("delivery.report.only.error", Rule::Unless(&["false"]), "the worker waits for every acknowledgement"),
    ("message.max.bytes", Rule::Below(RECORD_BYTES_MAX), "a dead letter may take 4 MiB: at least 4194304 is required"),
    ("transactional.id", Rule::Always, "it is made from the group and the store"),
    ("transaction.timeout.ms", Rule::Always, "it is part of how the worker fences its predecessor"),
    ("allow.auto.create.topics", Rule::Unless(&["false"]), "a mistyped topic must be said, not created"),
    ("test.mock.num.brokers", Rule::Always, "it replaces the brokers by made-up ones; see `order-sync demo`"),
    ("client.software.name", Rule::Always, "it names this program to the broker"),
];

/// Why a property of this value is refused, and what to do instead; a fragment without full stop.
pub(super) fn refusal(name: &str, value: &str) -> Option<&'static str> {
    let (_, rule, reason) = RULES.iter().find(|(known, _, _)| *known == name.trim())?;
    refuses(rule, value.trim()).then_some(*reason)
}

fn refuses(rule: &Rule, value: &str) -> bool {
    match rule {
        Rule::Always => true,
        Rule::Unless(allowed) => !allowed.iter().any(|a| a.eq_ignore_ascii_case(value)),
        Rule::Below(least) => value.parse::<i64>().is_ok_and(|value| value < *least),
    }
}

/// Whether a property's value is a secret as such: a log line that repeats it gets it blotted out. What a dump hides is
/// more than that, see [`crate::config::is_hidden`].
pub(super) fn is_secret(name: &str) -> bool {
    const PARTS: &[&str] = &["password", "secret", ".pem", "oauthbearer.config", "jaas", "assertion.private.key"];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(name: &str, value: &str, refused: bool) {
        assert_eq!(refusal(name, value).is_some(), refused, "{name} = {value}");
    }

    #[test]
    fn refuses_what_breaks_a_promise_by_name() {
        check_one("enable.auto.commit", "false", true);
        check_one("auto.offset.reset", "latest", true);
        check_one("group.id", "x", true);
        check_one("isolation.level", "read_uncommitted", true);
        check_one("isolation.level", "read_committed", false);
        check_one("acks", "1", true);
        check_one("acks", "ALL", false);
        check_one("enable.idempotence", "false", true);
        check_one("partition.assignment.strategy", "range", false);
        check_one("partition.assignment.strategy", "sticky", true);
        check_one("message.max.bytes", "1000000", true);
        check_one("message.max.bytes", "8388608", false);
        check_one("transactional.id", "a", true);
        check_one("allow.auto.create.topics", "true", true);
    }

    #[test]
    fn leaves_the_users_properties_alone() {
        for name in [
            "session.timeout.ms",
            "max.poll.interval.ms",
            "security.protocol",
            "sasl.mechanism",
            "sasl.password",
            "ssl.ca.location",
            "client.id",
            "client.rack",
            "fetch.max.bytes",
            "group.instance.id",
        ] {
            check_one(name, "1", false);
        }
    }

    #[test]
    fn knows_the_secret_ones() {
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["sasl.username", "ssl.ca.location", "client.id"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
