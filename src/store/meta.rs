//! What a store knows of itself: its format, its own id, whose it is, and the apps' units.
//!
//! Next to sled's files stands a small file with the same id: sled may open a damaged file as an empty one, and a
//! store that has lost its memory must not be taken for a new one.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::{self, Disk, Tree, Writes};
use super::keys;
use super::units::Units;
use crate::order::{AppId, TimeUnit};
use crate::sync::ports::{By, PortError};

/// The format of the store as a whole: trees, rows and chunks.
const STORE_FORMAT: u64 = 1;
/// The file that says that a store is here.
const LABEL: &str = "order-sync-store";

/// Whose store it is; a store is refused to anybody else.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The consumer group.
    pub group_id: String,
    /// The Kafka cluster's id, where it is known.
    pub cluster_id: Option<String>,
    /// The changelog that the store is a cache of; `None` where the store itself is the truth.
    pub changelog: Option<String>,
    /// Wall clock, milliseconds since the epoch, for a new store's birthday.
    pub now_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    format: u64,
    store_id: String,
    group_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changelog: Option<String>,
    /// A cache that is about to become the only copy, and has not got everything yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    detaching: bool,
    created_at: String,
    #[serde(default)]
    units: BTreeMap<AppId, TimeUnit>,
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

/// The store's knowledge of itself, kept in its own tree.
#[derive(Debug)]
pub(super) struct Meta {
    tree: Tree,
    stored: Stored,
}

impl Meta {
    /// Reads it, or begins a new store; refuses one of another format, group or cluster.
    pub(super) fn open(disk: &Disk, path: &Path, owner: &Owner) -> Result<Self, PortError> {
        let tree = disk.tree(keys::META_TREE)?;
        let label = read_label(path)?;
        let Some(row) = tree.get(keys::META_ROW)? else {
            if label.is_some() {
                return Err(disk::unreadable(path, "its content is gone, though a store has been here"));
            }
            let mut meta = Self { tree, stored: Stored::new(owner) };
            meta.write(disk)?;
            meta.write_label(path)?;
            return Ok(meta);
        };
        let format =
            serde_json::from_slice::<Format>(&row).map_err(|error| disk::unreadable(path, &error.to_string()))?;
        if format.format != STORE_FORMAT {
            return Err(PortError::Fatal(format!(
                "store directory {} has format {}, and this release reads {STORE_FORMAT}: run the release that wrote \
                 it, or give this worker another directory in [store] path",
                path.display(),
                format.format
            )));
        }
        let stored = serde_json::from_slice(&row).map_err(|error| disk::unreadable(path, &error.to_string()))?;
        let mut meta = Self { tree, stored };
        meta.check_label(path, label.as_deref())?;
        meta.check_owner(path, owner)?;
        if meta.stored.cluster_id.is_none() && owner.cluster_id.is_some() {
            meta.stored.cluster_id.clone_from(&owner.cluster_id);
            meta.write(disk)?;
        }
        Ok(meta)
    }

    /// The store's own id: 32 hexadecimal digits, drawn once.
    pub(super) fn store_id(&self) -> &str {
        &self.stored.store_id
    }

    /// The apps' units as they were agreed last.
    pub(super) fn units(&self) -> &Units {
        &self.stored.units
    }

    /// Remembers the apps' units; on disk when it returns.
    pub(super) fn set_units(&mut self, disk: &Disk, units: Units) -> Result<(), PortError> {
        if self.stored.units == units {
            return Ok(());
        }
        self.stored.units = units;
        self.write(disk)
    }

    /// The cluster is known now: refused where the store belongs to another one, remembered where it knew none.
    pub(super) fn agree_cluster(&mut self, disk: &Disk, path: &Path, cluster_id: &str) -> Result<(), PortError> {
        self.check_cluster(path, cluster_id)?;
        if self.stored.cluster_id.is_some() {
            return Ok(());
        }
        self.stored.cluster_id = Some(cluster_id.to_owned());
        self.write(disk)
    }

    /// Refused where the store belongs to another cluster than this one.
    pub(super) fn check_cluster(&self, path: &Path, cluster_id: &str) -> Result<(), PortError> {
        match &self.stored.cluster_id {
            Some(has) if has != cluster_id => Err(elsewhere(path, "Kafka cluster", has, cluster_id)),
            Some(_) | None => Ok(()),
        }
    }

    /// The changelog that the store is a cache of.
    pub(super) fn changelog(&self) -> Option<&str> {
        self.stored.changelog.as_deref()
    }

    /// Makes the store a cache of this changelog, or of none.
    pub(super) fn set_changelog(&mut self, disk: &Disk, topic: Option<&str>) -> Result<(), PortError> {
        self.stored.changelog = topic.map(str::to_owned);
        self.stored.detaching = false;
        self.write(disk)
    }

    /// Nobody takes the store for the only copy before [`Self::set_changelog`].
    pub(super) fn begin_detaching(&mut self, disk: &Disk) -> Result<(), PortError> {
        self.stored.detaching = true;
        self.write(disk)
    }

    /// Refuses a store that was filled under another regime: what it holds is not what the changelog says, or what it lacks
    /// may be there. An unused one takes the new regime.
    pub(super) fn agree_changelog(
        &mut self,
        disk: &Disk,
        path: &Path,
        owner: &Owner,
        used: bool,
    ) -> Result<(), PortError> {
        self.check_changelog(path, owner, used)?;
        if self.stored.changelog == owner.changelog {
            return Ok(());
        }
        self.stored.changelog.clone_from(&owner.changelog);
        self.write(disk)
    }

    /// Whether [`Self::agree_changelog`] would take it.
    pub(super) fn check_changelog(&self, path: &Path, owner: &Owner, used: bool) -> Result<(), PortError> {
        let shown = path.display();
        if self.stored.detaching && owner.changelog.is_none() {
            return Err(PortError::Fatal(format!(
                "`order-sync store detach` was begun on store directory {shown} and has not come to its end, so that it may lack \
                 something of the changelog: run it again"
            )));
        }
        if !used || self.stored.changelog == owner.changelog {
            return Ok(());
        }
        Err(PortError::Fatal(match (&self.stored.changelog, &owner.changelog) {
            (None, _) => format!(
                "store directory {shown} was filled without transactions (kafka.exactly_once = false), and its states are \
                 in no changelog: `order-sync store rebase` writes them there; or set kafka.exactly_once back to false"
            ),
            (Some(has), None) => format!(
                "store directory {shown} is a cache of the changelog {has}, and kafka.exactly_once is false: its states may \
                 be behind. Set kafka.exactly_once to true again; or, to go back for good, stop every worker and have `order-sync \
                 store detach` make this store the only copy"
            ),
            (Some(has), Some(is)) => format!(
                "store directory {shown} is a cache of the changelog {has}, and kafka.changelog_topic is {is}: set it back, \
                 or stop every worker and have `order-sync store rebase` write the states into {is}. An empty directory in \
                 [store] path is right only where {is} holds them already, as after a rebase of another directory"
            ),
        }))
    }

    fn write(&mut self, disk: &Disk) -> Result<(), PortError> {
        let row = serde_json::to_vec(&self.stored).map_err(|error| PortError::Fatal(error.to_string()))?;
        let mut writes = Writes::default();
        writes.put(keys::META_ROW, &row);
        self.tree.apply(writes)?;
        disk.flush()
    }

    fn check_owner(&self, path: &Path, owner: &Owner) -> Result<(), PortError> {
        if self.stored.group_id != owner.group_id {
            return Err(elsewhere(path, "group", &self.stored.group_id, &owner.group_id));
        }
        owner.cluster_id.as_deref().map_or(Ok(()), |cluster_id| self.check_cluster(path, cluster_id))
    }

    fn check_label(&self, path: &Path, label: Option<&str>) -> Result<(), PortError> {
        match label {
            Some(id) if id == self.stored.store_id => Ok(()),
            Some(_) => Err(disk::unreadable(path, "its files are of two different stores")),
            // The process that made the store died between the two steps.
            None => self.write_label(path),
        }
    }

    fn write_label(&self, path: &Path) -> Result<(), PortError> {
        let write = || -> io::Result<()> {
            let new = path.join(format!("{LABEL}.new"));
            let mut file = std::fs::File::create(&new)?;
            file.write_all(self.stored.store_id.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, path.join(LABEL))?;
            std::fs::File::open(path)?.sync_all()
        };
        write().map_err(|error| disk::failed(path, "write", &error))
    }
}

fn elsewhere(path: &Path, what: &str, has: &str, is: &str) -> PortError {
    let words = format!(
        "store directory {} belongs to {what} {has}, and this worker is of {what} {is}: see that the settings are those of its \
         worker, or give this one a directory of its own in [store] path",
        path.display()
    );
    PortError::Refused(By::Store, words)
}

impl Stored {
    fn new(owner: &Owner) -> Self {
        let created_at = jiff::Timestamp::from_millisecond(owner.now_ms).unwrap_or_default();
        // Each hasher's keys come from the operating system's random source.
        let half = || RandomState::new().hash_one((&owner.group_id, owner.now_ms, std::process::id()));
        Self {
            format: STORE_FORMAT,
            store_id: format!("{:016x}{:016x}", half(), half()),
            group_id: owner.group_id.clone(),
            cluster_id: owner.cluster_id.clone(),
            changelog: owner.changelog.clone(),
            detaching: false,
            created_at: format!("{created_at:.3}"),
            units: Units::new(),
        }
    }
}

/// Whether a store is in this directory, however damaged. An empty file of sled's without the label is none: opened, it would
/// become one.
pub fn is_here(path: &Path) -> bool {
    path.join(LABEL).exists() || std::fs::metadata(path.join("db")).is_ok_and(|db| db.len() > 0)
}

fn read_label(path: &Path) -> Result<Option<String>, PortError> {
    match std::fs::read_to_string(path.join(LABEL)) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk::failed(path, "read", &error)),
    }
}
