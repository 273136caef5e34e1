//! The JSON Schema of the changelog's records, for schemas/: what a reader of the topic finds under which key.

use schemars::{JsonSchema, Schema};

use super::settings::StoredSettings;
use super::status::StoredStatus;
use crate::sync::command::StoredDone;
use crate::sync::position::StoredPosition;

/// The records of the changelog by their kind, the second element of their key. A key is a JSON array: format (1), kind,
/// source topic, and what names the thing within its partition. A record without a value says that the thing is gone.
/// The partition is that of the source. A `state` is as in state.schema.json.
#[derive(JsonSchema)]
#[schemars(title = "Changelog records, version 1")]
#[expect(dead_code, reason = "it is read by the schema generator only")]
struct ChangelogRecords {
    /// `[1, "position", topic]`: where the source partition stands.
    position: StoredPosition,
    /// `[1, "owed", topic, app id, order id, stamp]`: a delivery that is committed and not yet settled. Where Douyin has
    /// accepted it, the record without a value has headers: `attempts`, and where they are known `last_error` and `log_id`.
    owed: OwedDelivery,
    /// `[1, "letter", topic, offset]`: what has become of the dead letter of the record at this offset.
    letter: StoredStatus,
    /// `[1, "command", topic, id]`: what became of an operator's command. Never removed.
    command: StoredDone,
    /// `[1, "settings", topic, commit number]`: by which settings the partition is folded from this commit on, until the
    /// next such record. Never removed.
    settings: StoredSettings,
}

/// An owed delivery as committed.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is read by the schema generator only")]
struct OwedDelivery {
    /// The format's number.
    #[schemars(range(min = 1, max = 1))]
    format: u64,
    /// Offset of the record that the delivery belongs to.
    offset: i64,
    /// That record's timestamp, milliseconds since the epoch.
    timestamp_ms: Option<i64>,
    /// The body of order/v2/push without the token, as it will be sent.
    request: serde_json::Map<String, serde_json::Value>,
}

/// The schema of the changelog's values by their kind.
pub fn changelog_schema() -> Schema {
    schemars::schema_for!(ChangelogRecords)
}
