//! The JSON Schema of a command, for schemas/. That of its outcome is in the changelog's.

use schemars::Schema;

use super::stored::StoredCommand;

/// The schema of a record's value in the commands topic.
pub fn command_schema() -> Schema {
    schemars::schema_for!(StoredCommand)
}
