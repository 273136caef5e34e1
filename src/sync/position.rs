//! Where a partition stands, and its stored form: the same bytes for the store and the changelog.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::changelog_id::ChangelogId;
use super::fold_settings::Fingerprint;
use super::last_record::LastRecord;
use crate::order::{AppId, UpdateTime};
use crate::record::NextOffset;

/// Where a partition stands: the `position` entry of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Everything before it has a committed outcome.
    pub next: NextOffset,
    /// Counts the commits of this partition.
    pub commit_number: u64,
    /// Everything before it in the commands topic is done; `None` while no command was read.
    pub commands: Option<NextOffset>,
    /// How many partitions the source topic had; `None` where that was not noted.
    pub partitions: Option<i32>,
    /// The last record before `next`, where that was noted.
    pub last: Option<LastRecord>,
    /// The first offset that the group has read of it; `None` where that was not noted.
    pub begun: Option<NextOffset>,
    /// The source topic's id, where the client tells it.
    pub topic_id: Option<String>,
    /// Which changelog it stands in; `None` without one, and where its first position was written before there were ids.
    pub changelog_id: Option<ChangelogId>,
    /// The group whose position it is; `None` where it was written before that was noted.
    pub group: Option<Arc<str>>,
    /// The settings by which the partition is folded, as recorded last; `None` where none were.
    pub settings: Option<Fingerprint>,
    /// The greatest stamp that retention removed, per app.
    pub removed_stamps: BTreeMap<AppId, UpdateTime>,
    /// Apps whose deliveries an operator has paused.
    pub paused_apps: BTreeSet<AppId>,
    /// Codes of the platform whose rejections an operator has accepted as right, per app.
    pub accepted_codes: BTreeMap<AppId, BTreeSet<i64>>,
}

/// The format that this release writes; it reads no other.
pub const POSITION_FORMAT: u64 = 1;

/// A stored position cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// Written by a newer release, or not by us.
    #[error("unknown position format {0}")]
    Format(u64),
    /// Not the JSON that this release writes.
    #[error("unreadable position: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

/// The stored form of a source partition's position, as in the store and in the changelog.
///
/// Members that an older release would drop are a new format: unknown members and unknown formats are refused alike.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Position")]
pub(super) struct StoredPosition {
    /// The format's number.
    #[schemars(range(min = 1, max = 1))]
    format: u64,
    /// The next source offset to fold: everything before it has a committed outcome.
    #[schemars(range(min = 0))]
    next: i64,
    /// Counts the commits of this partition, from 1.
    commit_number: u64,
    /// The next offset of the commands topic; left out while no command was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    commands: Option<i64>,
    /// How many partitions the source topic had; left out where that was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1))]
    partitions: Option<i32>,
    /// The last record before `next`; left out where it was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LastRecord")]
    last: Option<LastRecord>,
    /// The first offset that the group has read of it: what `kafka.start_from` said then; left out where it was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    begun: Option<i64>,
    /// The source topic's id, where the client tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    topic_id: Option<String>,
    /// Which changelog it stands in: a number drawn with the first position there and with each that a rebase writes, and
    /// carried on; left out where the first one was written before there were ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ChangelogId")]
    changelog_id: Option<ChangelogId>,
    /// The group whose position it is; left out where it was written before that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    group: Option<Box<str>>,
    /// The fingerprint of the settings by which the partition is folded, which a `settings` record has in full; left out
    /// where none were recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Fingerprint")]
    settings: Option<Fingerprint>,
    /// The greatest stamp that retention removed, per app.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, i64>")]
    removed_stamps: BTreeMap<AppId, UpdateTime>,
    /// Apps whose deliveries an operator has paused.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(with = "BTreeSet<String>")]
    paused_apps: BTreeSet<AppId>,
    /// Codes of the platform whose rejections an operator has accepted as right, per app.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, BTreeSet<i64>>")]
    accepted_codes: BTreeMap<AppId, BTreeSet<i64>>,
}

impl Position {
    /// The position of a partition that nothing was ever committed for.
    pub fn before(next: NextOffset) -> Self {
        Self {
            next,
            commit_number: 0,
            commands: None,
            partitions: None,
            last: None,
            begun: None,
            topic_id: None,
            changelog_id: None,
            group: None,
            settings: None,
            removed_stamps: BTreeMap::new(),
            paused_apps: BTreeSet::new(),
            accepted_codes: BTreeMap::new(),
        }
    }

    /// Refuses a source topic that has another number of partitions than it had: `has`.
    pub fn check_partitions(&self, topic: &str, has: i32) -> Result<(), String> {
        match self.partitions {
            Some(had) if had != has => Err(grown(topic, had, has)),
            Some(_) | None => Ok(()),
        }
    }

    /// The stored form: one JSON object, `format` first.
    pub fn encode(&self) -> Result<Vec<u8>, PositionError> {
        let stored = StoredPosition {
            format: POSITION_FORMAT,
            next: self.next.get(),
            commit_number: self.commit_number,
            commands: self.commands.map(NextOffset::get),
            partitions: self.partitions,
            last: self.last,
            begun: self.begun.map(NextOffset::get),
            topic_id: self.topic_id.clone(),
            changelog_id: self.changelog_id,
            group: self.group.as_deref().map(Box::from),
            settings: self.settings,
            removed_stamps: self.removed_stamps.clone(),
            paused_apps: self.paused_apps.clone(),
            accepted_codes: self.accepted_codes.clone(),
        };
        Ok(serde_json::to_vec(&stored)?)
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, PositionError> {
        let format = serde_json::from_slice::<Format>(bytes)?.format;
        if format != POSITION_FORMAT {
            return Err(PositionError::Format(format));
        }
        let stored: StoredPosition = serde_json::from_slice(bytes)?;
        Ok(Self {
            next: NextOffset::new(stored.next),
            commit_number: stored.commit_number,
            commands: stored.commands.map(NextOffset::new),
            partitions: stored.partitions,
            last: stored.last,
            begun: stored.begun.map(NextOffset::new),
            topic_id: stored.topic_id,
            changelog_id: stored.changelog_id,
            group: stored.group.map(Arc::from),
            settings: stored.settings,
            removed_stamps: stored.removed_stamps,
            paused_apps: stored.paused_apps,
            accepted_codes: stored.accepted_codes,
        })
    }
}

/// That a source topic has changed its number of partitions, and what to do.
pub fn grown(topic: &str, had: i32, has: i32) -> String {
    format!(
        "topic {topic} had {had} partitions and has {has} now: its orders are keyed to other partitions than before, and going \
         on would split them. Set kafka.topics to a topic that was made with all its partitions, under a new group id, and let \
         the merchant write there; docs/upgrading.md has the steps"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(position: &Position, expect: &str) {
        let stored = position.encode().unwrap();
        assert_eq!(std::str::from_utf8(&stored).unwrap(), expect);
        assert_eq!(Position::decode(&stored).unwrap(), *position);
    }

    #[test]
    fn the_stored_form_is_fixed_and_comes_back() {
        let mut position = Position { commit_number: 7, ..Position::before(NextOffset::new(42)) };
        check(&position, r#"{"format":1,"next":42,"commit_number":7}"#);
        position.removed_stamps =
            [("tt2", 5), ("tt1", 1_700_000_000)].map(|(app, n)| (AppId::new(app), UpdateTime(n))).into();
        check(&position, r#"{"format":1,"next":42,"commit_number":7,"removed_stamps":{"tt1":1700000000,"tt2":5}}"#);
        position.commands = Some(NextOffset::new(3));
        position.partitions = Some(12);
        position.last = Some(LastRecord { offset: 41, timestamp_ms: Some(9), digest: 5 });
        position.topic_id = Some("abc".to_owned());
        position.changelog_id = Some(ChangelogId(0xbeef));
        position.group = Some("shop".into());
        position.settings = Some(Fingerprint::try_from("00000000000000af".to_owned()).unwrap());
        position.paused_apps = [AppId::new("tt2")].into();
        position.accepted_codes = [(AppId::new("tt1"), [40, -1].into())].into();
        check(
            &position,
            concat!(
                r#"{"format":1,"next":42,"commit_number":7,"commands":3,"partitions":12,"last":{"offset":41,"timestamp_ms":9,"digest":5},"topic_id":"abc","#,
                r#""changelog_id":"000000000000beef","group":"shop","settings":"00000000000000af","#,
                r#""removed_stamps":{"tt1":1700000000,"tt2":5},"paused_apps":["tt2"],"accepted_codes":{"tt1":[-1,40]}}"#
            ),
        );
    }

    #[test]
    fn another_number_of_partitions_is_refused_where_it_was_noted() {
        let mut position = Position::before(NextOffset::new(1));
        assert_eq!(position.check_partitions("orders", 3), Ok(()));
        position.partitions = Some(2);
        assert_eq!(position.check_partitions("orders", 2), Ok(()));
        let words = position.check_partitions("orders", 3).unwrap_err();
        assert!(words.contains("orders had 2 partitions and has 3 now"), "{words}");
    }

    #[test]
    fn another_format_is_refused() {
        let error = Position::decode(br#"{"format":2,"at":1}"#).unwrap_err();
        assert_eq!(error.to_string(), "unknown position format 2");
        assert!(Position::decode(br#"{"format":1,"next":1,"commit_number":1,"later":1}"#).is_err(), "would be lost");
        assert!(Position::decode(b"").is_err());
    }
}
