//! `order-sync store rebase`: what it is going to do and has done, in words, and how it ends.

use super::exit::{self, Exit};
use super::shell::Shell;
use super::skip_lost;
use super::store;
use crate::app::rebase::{self, Behind, Told};
use crate::config::Config;
use crate::store::SledStore;
use crate::sync::ports::PortError;

/// Runs `order-sync store rebase`.
pub(super) fn execute(config: &Config, behind: Behind, shell: &mut Shell) -> anyhow::Result<Exit> {
    if !config.kafka.exactly_once {
        let words = "a rebase writes into the changelog of kafka.exactly_once; set it to true first";
        return Err(exit::fail(Exit::Usage, PortError::Fatal(words.to_owned())));
    }
    let held = SledStore::open_as_is(&config.store, &store::owner(config)).map_err(store::failed(config))?;
    if let Some(cluster_id) = store::cluster_id(config).map_err(|error| exit::fail(Exit::Kafka, error))? {
        held.agree_cluster(&cluster_id).map_err(store::failed(config))?;
    }
    let result = rebase::rebase(config, &held, behind, &mut |told| {
        shell.out.line(line(told)).map_err(|error| PortError::Fatal(error.to_string()))
    });
    let left = result.map_err(store::failed_either)?;
    shell.out.line(format!("the store is a cache of {} now", config.kafka.changelog_topic))?;
    if left > 0 {
        let words = format!(
            "{left} partitions are left, of which the changelog knows nothing yet: run `store rebase` on the directory of the \
             worker that had them last. Where none is left, --set-back takes what this store has"
        );
        return Err(exit::fail(Exit::Store, PortError::Fatal(words)));
    }
    Ok(Exit::Done)
}

fn line(told: Told) -> String {
    match told {
        Told::Brought { source, from } => {
            format!("{source}: had less than the changelog {from}, and has all of it now")
        }
        Told::Unasked { changelog } => format!(
            "the changelog {changelog} was not asked: where the worker of this store was killed, its last ten seconds may be \
             missing, stamps that commands (resync, redrive) gave then among them; give such commands again afterwards"
        ),
        Told::Plans { source, note } => format!("{source}: {note}"),
        Told::Wrote { source, orders, owed, next } => {
            format!("{source}: {orders} orders and {owed} owed deliveries written; next offset {next}")
        }
        Told::LeftOut { source } => {
            format!(
                "{source}: left out, as kafka.topics does not name its topic; its states stay in this directory alone: keep \
                 it, and run this again once the topic is back"
            )
        }
        Told::Left { source, next: None, group } => {
            format!("{source}: left, as this store does not know it; the group goes on at offset {group}")
        }
        Told::Left { source, next: Some(next), group } => {
            format!("{source}: left, as this store ends at offset {next} and the group goes on at {group}")
        }
        Told::Lost(lost) => {
            format!("{}; `order-sync store skip-lost` goes on behind them", skip_lost::lost_text(&lost))
        }
    }
}
