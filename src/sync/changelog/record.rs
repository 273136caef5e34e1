//! A cut becomes records: settings that are new first, each changed thing once, the position last.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::key;
use super::status::{LetterStatus, StatusError};
use crate::sync::acceptance::Acceptance;
use crate::sync::commit::CutPart;
use crate::sync::owed::OwedKey;
use crate::sync::ports::PortError;

/// One record of the changelog, in the partition of its source partition's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogRecord {
    /// What it is about.
    pub key: Vec<u8>,
    /// The stored form; `None` says that the thing is gone.
    pub value: Option<Vec<u8>>,
}

/// The records of one partition's part of a cut, as a restore reads them: without headers. The position is the last one: whoever has read it has read all.
///
/// A debt that the cut settles and owes again, as an event does whose content stands as a dead letter, is one record:
/// the debt. (A debt is never owed and then settled in one cut, as it is due only when its cut is committed.)
pub fn records(part: &CutPart) -> Result<Vec<ChangelogRecord>, PortError> {
    let mut records = Vec::new();
    write_records(part, &mut |key, value, _| {
        records.push(ChangelogRecord { key: key.to_vec(), value: value.map(<[u8]>::to_vec) });
        Ok(())
    })?;
    Ok(records)
}

/// Takes key and value of one record, and of an accepted delivery's tombstone what its headers tell.
pub type PutRecord<'p, E> = dyn FnMut(&[u8], Option<&[u8]>, Option<&Acceptance>) -> Result<(), E> + 'p;

/// Calls `put` with key and value of each of the [`records`], one after another: a cut of a catch-up is tens of megabytes,
/// which need not stand in memory once more. An error of `put` ends it.
pub fn write_records<E: From<PortError>>(part: &CutPart, put: &mut PutRecord<'_, E>) -> Result<(), E> {
    let (layer, topic) = (&part.layer, &part.source.topic);
    let (mut key, mut value) = (Vec::with_capacity(128), Vec::with_capacity(4096));
    if let Some(settings) = &part.settings {
        key::write_settings(topic, part.position.commit_number, &mut key);
        put(&key, Some(&settings.encode().map_err(|error| fatal(&error))?), None)?;
    }
    for (identity, state) in layer.states() {
        value.clear();
        state.encode(&mut value);
        key::write_state(topic, identity, &mut key);
        put(&key, Some(&value), None)?;
    }
    let owed_again: HashSet<&OwedKey, RandomState> = match (layer.owed(), layer.settled()) {
        ([], _) | (_, []) => HashSet::default(),
        (owed, _) => owed.iter().map(|(key, _)| key).collect(),
    };
    for settled in layer.settled().iter().filter(|settled| !owed_again.contains(&settled.key)) {
        key::write_owed(topic, &settled.key, &mut key);
        put(&key, None, settled.acceptance.as_ref())?;
    }
    for (debt, owed) in layer.owed() {
        value.clear();
        owed.encode(&mut value);
        key::write_owed(topic, debt, &mut key);
        put(&key, Some(&value), None)?;
    }
    for (offset, status) in layer.statuses().iter() {
        let value = status.map(LetterStatus::encode).transpose().map_err(|error: StatusError| fatal(&error))?;
        key::write_letter(topic, offset, &mut key);
        put(&key, value.as_deref(), None)?;
    }
    for identity in layer.removed().keys() {
        key::write_state(topic, identity, &mut key);
        put(&key, None, None)?;
    }
    for (id, done) in layer.commands().iter().chain(layer.told()) {
        key::write_command(topic, id, &mut key);
        put(&key, Some(&done.encode().map_err(|error| fatal(&error))?), None)?;
    }
    key::write_position(topic, &mut key);
    put(&key, Some(&part.position.encode().map_err(|error| fatal(&error))?), None)
}

fn fatal(error: &dyn std::error::Error) -> PortError {
    PortError::Fatal(error.to_string())
}
