//! `order-sync store detach`: what was read into the store that is the only copy now.

use super::exit::{self, Exit};
use super::shell::Shell;
use super::store;
use crate::app::detach::{self, Taken};
use crate::config::Config;
use crate::store::{Owner, SledStore};
use crate::sync::ports::PortError;

/// Runs `order-sync store detach`.
pub(super) fn execute(config: &Config, shell: &mut Shell) -> anyhow::Result<Exit> {
    let usage = |words: &str| exit::fail(Exit::Usage, PortError::Fatal(words.to_owned()));
    if config.kafka.exactly_once {
        return Err(usage("with kafka.exactly_once the store is a cache, and stays one; set it to false first"));
    }
    // A cache until it has everything.
    let owner = Owner { changelog: Some(config.kafka.changelog_topic.clone()), ..store::owner(config) };
    let held = SledStore::open_as_is(&config.store, &owner).map_err(store::failed(config))?;
    if held.changelog().is_none() {
        if held.has_positions().map_err(store::failed(config))? {
            let words = "this store is the only copy already (kafka.exactly_once = false)";
            return Err(exit::fail(Exit::Store, PortError::Fatal(words.to_owned())));
        }
        held.adopt_changelog(&config.kafka.changelog_topic).map_err(store::failed(config))?;
    }
    held.check_changelog(&owner).map_err(store::failed(config))?;
    // Before anything is asked: a directory that was empty would be taken for a new store by then.
    held.begin_detaching().map_err(store::failed(config))?;
    if let Some(cluster_id) = store::cluster_id(config).map_err(|error| exit::fail(Exit::Kafka, error))? {
        held.agree_cluster(&cluster_id).map_err(store::failed(config))?;
    }
    let result = detach::detach(config, &held, &mut |Taken { source, next, owed }| {
        let line = format!("{source}: all that the changelog has; next offset {next}, owed {owed}");
        shell.out.line(line).map_err(|error| PortError::Fatal(error.to_string()))
    });
    result.map_err(store::failed_either)?;
    shell.out.line(format!("{} is the only copy now: keep it", config.store.path.display()))?;
    Ok(Exit::Done)
}
