//! What is said of a store that cannot be read: what helps depends on whether it is the only copy.

use std::path::Path;

use crate::config::Config;
use crate::sync::ports::PortError;

/// The same error, where it is one of damage with words that name the directory and say what to do.
pub fn advised(error: PortError, config: &Config) -> PortError {
    let PortError::Damaged(words) = error else { return error };
    let changelog = config.kafka.exactly_once.then_some(&*config.kafka.changelog_topic);
    PortError::Damaged(format!("{}; {}", named(&words, &config.store.path), advice(changelog)))
}

/// What helps; a store without a changelog is the only copy.
fn advice(changelog: Option<&str>) -> String {
    match changelog {
        Some(changelog) => format!(
            "it is only a cache of the changelog {changelog}: start again, and it is moved aside and rebuilt from there, or \
             move it aside now with `order-sync store rebuild`"
        ),
        None => "it is the only copy (kafka.exactly_once = false): restore a backup of it, or move it away and start again: \
                 the orders are then folded again from the source topics, from kafka.start_from on"
            .to_owned(),
    }
}

/// The same for a cache that was moved aside already, to `to`.
pub(super) fn moved(words: &str, to: &Path, config: &Config) -> PortError {
    PortError::Damaged(format!(
        "{}; it was moved aside to {}: start again, and a new one is rebuilt from the changelog {}",
        named(words, &config.store.path),
        to.display(),
        config.kafka.changelog_topic
    ))
}

/// An error in a row does not know where the row lies.
fn named(words: &str, path: &Path) -> String {
    let shown = path.display().to_string();
    if words.contains(&shown) { words.to_owned() } else { format!("store directory {shown} cannot be read: {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_depends_on_what_the_store_is() {
        let check = |changelog, has: &str, lacks: &str| {
            let words = advice(changelog);
            assert!(words.contains(has) && !words.contains(lacks), "{words}");
        };
        check(Some("g.changelog"), "cache of the changelog g.changelog: start again", "backup");
        check(None, "restore a backup", "changelog");
    }

    #[test]
    fn the_directory_is_named_once() {
        let path = Path::new("/data/orders");
        assert_eq!(named("chunk 3 is gone", path), "store directory /data/orders cannot be read: chunk 3 is gone");
        assert_eq!(named("store directory /data/orders is odd", path), "store directory /data/orders is odd");
    }
}
