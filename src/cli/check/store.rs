//! Looks at the store's directory: can it be made or written, and is it free? A new store is not made by looking.

use std::path::{Path, PathBuf};

use super::report::Report;
use crate::app::{damage, retired, settings};
use crate::cli::exit::Exit;
use crate::config::Config;
use crate::store::{self, Owner, SledStore};
use crate::sync::ports::{By, PortError};
use crate::sync::units::{TO_MILLISECONDS, to_milliseconds};

/// Gives the store where there is one that can be used: whose cluster it is of is told when brokers are reached.
pub(super) fn check(config: &Config, report: &mut Report<'_>) -> anyhow::Result<Option<SledStore>> {
    let path = &config.store.path;
    let shown = path.display();
    if let Err(error) = try_write(path) {
        let message = format!("{shown} cannot be written: {error}; give this user the directory, or set store.path");
        report.fault("store", message, Exit::Store)?;
        return Ok(None);
    }
    if !store::is_here(path) {
        report.ok(
            "store",
            format!(
                "{shown} holds no store yet and can be written; `run` makes one. Whether update_time_unit goes with the stamps \
                 that a changelog holds is seen by `run` alone"
            ),
        )?;
        return Ok(None);
    }
    // The time is a new store's birthday, and this one is not new.
    let changelog = config.kafka.exactly_once.then(|| config.kafka.changelog_topic.clone());
    let owner = Owner { group_id: config.kafka.group_id.clone(), cluster_id: None, changelog, now_ms: 0 };
    let opened = SledStore::open(&config.store, &owner);
    let units = settings::units(config);
    match opened.and_then(|store| Ok((store.check_units(&units)?, store))) {
        Ok((before, store)) => {
            report.ok("store", format!("{shown} opens, and no other process has it"))?;
            for app_id in to_milliseconds(&before, &units) {
                report.warn("store", format!("app {app_id}: {TO_MILLISECONDS}"))?;
            }
            for unread in retired::owed(&store, &config.kafka.topics) {
                report.warn("store", unread.words())?;
            }
            Ok(Some(store))
        }
        // A check beside the worker that it is for is what a rollout begins with.
        Err(PortError::Refused(By::StoreInUse, _)) => {
            let message = format!(
                "{shown} is in use by another process, as it is while its worker runs: what it holds was not looked at, nor \
                 whether it fits these settings. A second worker needs a directory of its own in [store] path"
            );
            report.warn("store", message)?;
            Ok(None)
        }
        Err(error) => {
            report.fault("store", damage::advised(error, config).to_string(), Exit::Store)?;
            Ok(None)
        }
    }
}

/// Whether the brokers are those of the store's cluster.
pub(super) fn check_home(
    store: Option<SledStore>,
    cluster_id: Option<&str>,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    match store.zip(cluster_id).map(|(store, cluster_id)| store.check_cluster(cluster_id)) {
        Some(Err(error)) => report.fault("store", error.to_string(), Exit::Store),
        Some(Ok(())) | None => Ok(()),
    }
}

/// Writes a file into the directory, or into the nearest one above it that is there, and removes it again.
fn try_write(path: &Path) -> std::io::Result<()> {
    let here = PathBuf::from(".");
    let existing = path.ancestors().find(|above| above.exists()).filter(|above| !above.as_os_str().is_empty());
    let probe = existing.unwrap_or(&here).join(format!(".order-sync-check-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(probe)
}
