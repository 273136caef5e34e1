//! No topic may serve two purposes: what is written for the one would be read as the other.

use std::iter;

use super::kafka::{Kafka, TOPIC_RULE, is_topic};
use super::reader::Reader;

/// A topic in use: what it is, the key that names it, and whether it is one of the source.
struct Use<'a> {
    name: &'a str,
    what: &'static str,
    key: &'static str,
    is_source: bool,
}

/// Tells of every topic in use that is also another one, by the key that is the easier to change: the names made from the
/// group come first, then the source's, then the worker's own, those that somebody has written last.
pub(super) fn check_apart(reader: &mut Reader<'_, '_>, kafka: &Kafka, share_tokens: bool) {
    let (commands, tokens) = (kafka.commands_topic(), kafka.token_topic());
    let own = |name, what, key| Use { name, what, key, is_source: false };
    let commands = kafka.exactly_once.then(|| own(commands.as_str(), "the topic of operator commands", "group_id"));
    let tokens = share_tokens.then(|| own(tokens.as_str(), "the topic of shared tokens", "group_id"));
    // Where those that can be set are made from the group, too, they have told it.
    let settable = [("changelog_topic", &kafka.changelog_topic), ("dead_letter_topic", &kafka.dead_letter_topic)];
    let told = settable.iter().any(|(key, name)| !reader.given(key) && !is_topic(name));
    if let Some(bad) = commands.iter().chain(&tokens).find(|topic| !told && !is_topic(topic.name)) {
        let Use { name, what, key, .. } = bad;
        reader.fault(key, format!("\"{name}\", {what}, is no topic name; take another group_id; {TOPIC_RULE}"));
    }
    let source = kafka.topics.iter().map(|name| {
        let what = "one of kafka.topics";
        Use { name, what, key: "topics", is_source: true }
    });
    let changelog = kafka.exactly_once.then(|| own(&kafka.changelog_topic, "the changelog", "changelog_topic"));
    let dead_letters = own(&kafka.dead_letter_topic, "the dead-letter topic", "dead_letter_topic");
    let mut settable: Vec<_> = changelog.into_iter().chain(iter::once(dead_letters)).collect();
    settable.sort_by_key(|topic| reader.given(topic.key));
    let in_use: Vec<_> = commands.into_iter().chain(tokens).chain(source).chain(settable).collect();
    for (at, later) in in_use.iter().enumerate() {
        let same = in_use.iter().take(at).find(|earlier| earlier.name == later.name);
        // A source topic that stands there twice has been told.
        let Some(earlier) = same.filter(|earlier| !(earlier.is_source && later.is_source)) else { continue };
        if !reader.faulty(later.key) {
            reader.fault(later.key, words(earlier, later));
        }
    }
}

fn words(earlier: &Use<'_>, later: &Use<'_>) -> String {
    let Use { name, what, .. } = later;
    if earlier.is_source {
        return format!(
            "\"{name}\" is also one of kafka.topics; what we write would be read as events; name another topic"
        );
    }
    let or_else = match earlier.key {
        "group_id" => "another kafka.group_id".to_owned(),
        key => format!("set kafka.{key} to another one"),
    };
    format!("\"{name}\" is {what} and also {}; name another topic, or {or_else}", earlier.what)
}

#[cfg(test)]
mod tests {
    use super::super::load_tests::{GOOD, Given, NOTHING, told};

    fn check(flags: &[&str], expect: &[&str]) {
        let text = told(&Given { file: Some(GOOD), flags, ..NOTHING });
        let expect: Vec<_> = expect.iter().map(|line| format!("--set: {line}")).collect();
        assert_eq!(text, expect.join("\n"), "{flags:?}");
    }

    #[test]
    fn no_topic_serves_two_purposes() {
        const EVENTS: &str = "is also one of kafka.topics; what we write would be read as events; name another topic";
        const GROUP: &str = "name another topic, or another kafka.group_id";
        let own = [
            ("changelog_topic", "the changelog", "dead_letter_topic", "the dead-letter topic", "dead-letters"),
            ("dead_letter_topic", "the dead-letter topic", "changelog_topic", "the changelog", "changelog"),
        ];
        let fixed = [("commands", "the topic of operator commands"), ("tokens", "the topic of shared tokens")];
        for (key, what, other_key, other, suffix) in own {
            check(
                &[&format!("kafka.{key}=shop.{suffix}")],
                &[&format!(
                    "kafka.{key}: \"shop.{suffix}\" is {what} and also {other}; name another topic, or set \
                     kafka.{other_key} to another one"
                )],
            );
            for (suffix, other) in fixed {
                let fault = format!("kafka.{key}: \"shop.{suffix}\" is {what} and also {other}; {GROUP}");
                check(&[&format!("kafka.{key}=shop.{suffix}")], &[&fault]);
            }
            check(&[&format!("kafka.{key}=orders")], &[&format!("kafka.{key}: \"orders\" {EVENTS}")]);
        }
        for (suffix, other) in fixed {
            let fault = format!("kafka.topics: \"shop.{suffix}\" is one of kafka.topics and also {other}; {GROUP}");
            check(&[&format!("kafka.topics=orders,shop.{suffix}")], &[&fault]);
        }
        check(
            &["kafka.changelog_topic=x", "kafka.dead_letter_topic=x"],
            &[
                "kafka.dead_letter_topic: \"x\" is the dead-letter topic and also the changelog; name another topic, or set \
               kafka.changelog_topic to another one",
            ],
        );
        let all = ["kafka.changelog_topic=shop.tokens", "kafka.dead_letter_topic=orders"];
        check(
            &all,
            &[
                &format!(
                    "kafka.changelog_topic: \"shop.tokens\" is the changelog and also the topic of shared tokens; {GROUP}"
                ),
                &format!("kafka.dead_letter_topic: \"orders\" {EVENTS}"),
            ],
        );
    }

    #[test]
    fn a_default_name_that_is_a_source_topic_is_told_where_it_can_be_set() {
        let file = GOOD.replace("[\"orders\"]", "[\"orders\", \"shop.changelog\", \"shop.dead-letters\"]");
        let text = told(&Given { file: Some(&file), ..NOTHING });
        for key in ["changelog_topic: \"shop.changelog\"", "dead_letter_topic: \"shop.dead-letters\""] {
            assert!(text.contains(&format!("kafka.{key} is also one of kafka.topics; ")), "{text}");
        }
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn a_group_makes_names_of_topics_where_they_are_in_use() {
        let named = ["kafka.changelog_topic=x", "kafka.dead_letter_topic=y", "kafka.group_id=a/b"];
        let fault = |name: &str, what: &str| {
            format!(
                "kafka.group_id: \"a/b.{name}\", {what}, is no topic name; take another group_id; 1 to 249 of the \
                 characters a-z, A-Z, 0-9, `.`, `_` and `-`"
            )
        };
        check(&named, &[&fault("commands", "the topic of operator commands")]);
        let without = [&named[..], &["kafka.exactly_once=false"]].concat();
        check(&without, &[]);
        let shared = [&without[..], &["douyin.share_tokens=true"]].concat();
        check(&shared, &[&fault("tokens", "the topic of shared tokens")]);
    }

    #[test]
    fn a_topic_that_is_not_in_use_is_in_nobodys_way() {
        let without = ["kafka.exactly_once=false", "kafka.dead_letter_topic=shop.tokens"];
        check(&without, &[]);
        check(&["kafka.exactly_once=false", "kafka.topics=shop.commands,shop.changelog"], &[]);
        let shared = [without[0], without[1], "douyin.share_tokens=true"];
        check(
            &shared,
            &[
                "kafka.dead_letter_topic: \"shop.tokens\" is the dead-letter topic and also the topic of shared tokens; name \
               another topic, or another kafka.group_id",
            ],
        );
    }
}
