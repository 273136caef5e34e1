//! Names that somebody looks for and nothing has: a slip of the fingers is told from an empty answer.
//!
//! Letters of apps and topics that the settings do not have do exist, so a name is refused only where nothing was found under it.

use super::exit::{self, Exit};
use crate::config::{ALIKE, Config, nearest};

/// What is looked for when nothing was found: apps and a source topic.
pub(super) fn refuse(config: &Config, apps: &[String], topic: Option<&str>) -> anyhow::Result<()> {
    let known_apps: Vec<&str> = config.apps.iter().map(|app| app.app_id.as_str()).collect();
    let known_topics: Vec<&str> = config.kafka.topics.iter().map(String::as_str).collect();
    let app = apps.iter().find_map(|app| words("app", "[[apps]]", app, &known_apps));
    let topic = topic.and_then(|topic| words("source topic", "kafka.topics", topic, &known_topics));
    app.or(topic).map_or(Ok(()), |words| Err(exit::fail(Exit::Usage, anyhow::anyhow!(words))))
}

fn words(kind: &str, setting: &str, name: &str, known: &[&str]) -> Option<String> {
    if known.contains(&name) {
        return None;
    }
    let next = match nearest(known.iter().copied(), name, ALIKE) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("it has {}", known.join(", ")),
    };
    Some(format!("nothing is of {kind} {name:?}, and {setting} has no such {kind}: {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_and_what_is_known_is_only_empty() {
        let known = ["tt-orders", "other"];
        let check = |name: &str| words("app", "[[apps]]", name, &known).unwrap_or_default();
        assert_eq!(check("other"), "");
        assert_eq!(
            check("tt-order"),
            r#"nothing is of app "tt-order", and [[apps]] has no such app: did you mean "tt-orders"?"#
        );
        assert_eq!(
            check("\u{202e}x"),
            r#"nothing is of app "\u{202e}x", and [[apps]] has no such app: it has tt-orders, other"#
        );
    }
}
