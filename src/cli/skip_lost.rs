//! `order-sync store skip-lost`: what retention took before it was read, and going on behind it.

use super::exit::{self, Exit};
use super::shell::Shell;
use super::store;
use crate::app::skip_lost::{self, Lost, Skip, Told};
use crate::config::Config;
use crate::store::SledStore;
use crate::sync::ports::PortError;

/// Runs `order-sync store skip-lost`.
pub(super) fn execute(config: &Config, skip: Skip, shell: &mut Shell) -> anyhow::Result<Exit> {
    let mut tell = |told| {
        let line = match told {
            Told::Lost(lost) => {
                format!("{} (markers of transactions and aborted records count among them)", lost_text(&lost))
            }
            Told::Moved(lost) => format!("{}: goes on at offset {}", lost.source, lost.to),
        };
        shell.out.line(line).map_err(|error| PortError::Fatal(error.to_string()))
    };
    let in_kafka = |error| exit::fail(Exit::Kafka, error);
    let found = if config.kafka.exactly_once {
        store::check_home(config, store::cluster_id(config).map_err(in_kafka)?.as_deref())?;
        skip_lost::in_changelog(config, skip, &mut tell).map_err(in_kafka)?
    } else {
        let mut store = only_copy(config)?;
        // Another cluster's topic of this name has other offsets.
        if let Some(cluster_id) = store::cluster_id(config).map_err(in_kafka)? {
            let agreed = match skip {
                Skip::Look => store.check_cluster(&cluster_id),
                Skip::Do => store.agree_cluster(&cluster_id),
            };
            agreed.map_err(store::failed(config))?;
        }
        skip_lost::in_store(config, &mut store, skip, &mut tell).map_err(in_kafka)?
    };
    match (found, skip) {
        (0, _) => shell.out.line("no partition has lost records that were not read; nothing is changed")?,
        (_, Skip::Look) => shell.out.line("nothing is changed")?,
        (_, Skip::Do) => shell.out.line(
            "states and stamps are as they were; have the merchant send the orders of that time again, each with its whole \
             document",
        )?,
    }
    Ok(Exit::Done)
}

/// What is lost of a partition, for people.
pub(super) fn lost_text(lost: &Lost) -> String {
    let (from, to) = (lost.from.get(), lost.to.get());
    format!("{}: {} offsets, {from} to {}, were removed before they were read", lost.source, to - from, to - 1)
}

/// The store, where it holds the positions.
fn only_copy(config: &Config) -> anyhow::Result<SledStore> {
    store::check_is_there(config)?;
    let found = SledStore::open_as_is(&config.store, &store::owner(config)).map_err(store::failed(config))?;
    match found.changelog() {
        None => Ok(found),
        Some(topic) => {
            let words = format!("the positions are in the changelog {topic}; set kafka.exactly_once to true");
            Err(exit::fail(Exit::Usage, PortError::Fatal(words)))
        }
    }
}
