//! Commands about records that wait already: what is said of them before another one is given.

use std::collections::BTreeMap;

use crate::cli::reading::{self, Reading};
use crate::cli::times;
use crate::cli::unread::WAITING_STILL;
use crate::inspect::{RecordPlace, read_waiting};
use crate::record::RecordOffset;
use crate::sync::command::Command;

/// The commands about these records that nobody has executed yet, each in words.
pub(in crate::cli) fn waiting(
    records: &[RecordPlace],
    reading: &mut Reading,
) -> anyhow::Result<BTreeMap<RecordPlace, String>> {
    let mut partitions: Vec<i32> = records.iter().map(|(source, _)| source.partition).collect();
    partitions.sort_unstable();
    partitions.dedup();
    let (commands, changelog) = (reading.config.kafka.commands_topic(), reading.config.kafka.changelog_topic.clone());
    let mut sorted: Vec<&RecordPlace> = records.iter().collect();
    sorted.sort_unstable();
    let wanted = |place: &RecordPlace| sorted.binary_search(&place).is_ok();
    let found = read_waiting(&mut reading.scan, (&commands, &changelog), &partitions, &wanted);
    let words = |(place, given): (RecordPlace, Command)| (place, words(&given));
    let (found, unread) = found.map_err(reading::kafka)?;
    reading.note_unread(&unread, WAITING_STILL);
    Ok(found.into_iter().map(words).collect())
}

fn words(given: &Command) -> String {
    let offset = given.action.offset().map_or(0, RecordOffset::get);
    format!(
        "the {} of offset {offset} that {} gave at {} waits already, and no worker has executed it yet (id {})",
        given.action.as_str(),
        given.who,
        times::rfc3339(given.at_ms),
        given.id
    )
}
