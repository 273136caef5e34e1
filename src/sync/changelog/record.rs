//! A cut becomes records: each changed thing once, the position last.

use super::key::ChangelogKey;
use super::status::{LetterStatus, StatusError};
use crate::sync::commit::CutPart;
use crate::sync::ports::PortError;

/// One record of the changelog, in the partition of its source partition's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogRecord {
    /// What it is about.
    pub key: Vec<u8>,
    /// The stored form; `None` says that the thing is gone.
    pub value: Option<Vec<u8>>,
}

/// The records of one partition's part of a cut. The position is the last one: whoever has read it has read all.
///
/// A debt that the cut settles and owes again, as an event does whose content stands as a dead letter, is one record:
/// the debt. (A debt is never owed and then settled in one cut, as it is due only when its cut is committed.)
pub fn records(part: &CutPart) -> Result<Vec<ChangelogRecord>, PortError> {
    let (layer, topic) = (&part.layer, &part.source.topic);
    let changes = layer.owed().len() * 2 + layer.settled().len() + layer.statuses().len() + layer.removed().len();
    let mut records = Vec::with_capacity(changes + 1);
    for (identity, state) in layer.states() {
        let mut value = Vec::new();
        state.encode(&mut value);
        put(&mut records, &ChangelogKey::State(identity.clone()), topic, Some(value));
    }
    let owed_again: std::collections::HashSet<_> = match (layer.owed(), layer.settled()) {
        ([], _) | (_, []) => std::collections::HashSet::new(),
        (owed, _) => owed.iter().map(|(key, _)| key).collect(),
    };
    for key in layer.settled().iter().filter(|key| !owed_again.contains(key)) {
        put(&mut records, &ChangelogKey::Owed(key.clone()), topic, None);
    }
    for (key, owed) in layer.owed() {
        let mut value = Vec::new();
        owed.encode(&mut value);
        put(&mut records, &ChangelogKey::Owed(key.clone()), topic, Some(value));
    }
    let fatal = |error: &dyn std::error::Error| PortError::Fatal(error.to_string());
    for (offset, status) in layer.statuses().iter() {
        let value = status.map(LetterStatus::encode).transpose().map_err(|error: StatusError| fatal(&error))?;
        put(&mut records, &ChangelogKey::Letter(offset), topic, value);
    }
    for identity in layer.removed().keys() {
        put(&mut records, &ChangelogKey::State(identity.clone()), topic, None);
    }
    let position = part.position.encode().map_err(|error| fatal(&error))?;
    put(&mut records, &ChangelogKey::Position, topic, Some(position));
    Ok(records)
}

fn put(records: &mut Vec<ChangelogRecord>, key: &ChangelogKey, topic: &str, value: Option<Vec<u8>>) {
    records.push(ChangelogRecord { key: key.encode(topic), value });
}
