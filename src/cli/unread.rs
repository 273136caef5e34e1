//! Records of the changelog that a tool could not read: one note names them, whatever tool it is, and the tool goes on.

use super::reading::Reading;
use super::render::{self, printable};
use crate::inspect::Unread;

/// What follows for a tool that has gone on without them.
pub(super) const LETTERS_OPEN: &str = "letters whose status it is stand as open";
/// The same for a tool that writes letters again.
pub(super) const LETTERS_UNKNOWN: &str = "letters whose status it is are not imported";
/// The same for a tool that looks which commands wait.
pub(super) const WAITING_STILL: &str = "a command whose outcome it is counts as waiting";
/// The same for a tool that shows orders.
pub(super) const ORDERS_WITHOUT: &str = "what is shown is without them";
/// The same for a replay.
pub(super) const REPLAYED_WITHOUT: &str = "what is found of their orders may be wrong, so look before you --apply";

impl Reading {
    /// Names the records that could not be read, with their places in the changelog, and says what follows.
    pub(super) fn note_unread(&self, unread: &Unread, what_follows: &str) {
        if unread.count == 0 {
            return;
        }
        let topic = printable(&self.config.kafka.changelog_topic);
        let named = unread.first.iter();
        let named: Vec<String> = named
            .map(|(partition, offset, key)| format!("{topic}/{partition}/{offset} with the key {}", printable(key)))
            .collect();
        let more = if unread.count > unread.first.len() as u64 { ", …" } else { "" };
        self.bar.suspend(|| {
            render::note(format!(
                "note: {} records of the changelog cannot be read: {}{more}; {what_follows}; another release or another hand has \
                 written them",
                unread.count,
                named.join(", ")
            ));
        });
    }
}
