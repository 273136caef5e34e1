//! The names of trees and rows. No id, however odd, can be taken for another.

use crate::order::{AppId, Identity};
use crate::record::{RecordOffset, TopicPartition};

/// The tree of what concerns the whole store.
pub(super) const META_TREE: &[u8] = b"meta";
/// The only row of [`META_TREE`] so far.
pub(super) const META_ROW: &[u8] = b"store";
/// The row of a partition's position.
pub(super) const POSITION: &[u8] = b"p";
/// The row of how many orders a partition holds: eight bytes, little-endian.
pub(super) const ORDERS: &[u8] = b"n";
/// The row of a partition's place in the changelog.
pub(super) const CHECKPOINT: &[u8] = b"c";
/// What the rows of chunks begin with.
pub(super) const CHUNKS: &[u8] = b"o";
/// What the rows of chunks' settled places begin with.
pub(super) const MARKS: &[u8] = b"m";

/// What the rows of dead letters' statuses begin with.
pub(super) const LETTERS: &[u8] = b"l";

/// What the rows of commands' outcomes begin with.
pub(super) const COMMANDS: &[u8] = b"k";

/// The row of a command's outcome.
pub(super) fn command(id: &str) -> Vec<u8> {
    [COMMANDS, id.as_bytes()].concat()
}

/// The id of such a row.
pub(super) fn command_id(key: &[u8]) -> Option<Box<str>> {
    std::str::from_utf8(key.strip_prefix(COMMANDS)?).ok().map(Box::from)
}

/// The tree of a source partition: the number first, as a topic's name may end in digits.
pub(super) fn tree(source: &TopicPartition) -> Vec<u8> {
    format!("p/{}/{}", source.partition, source.topic).into_bytes()
}

/// The source partition of a tree; `None` for a tree of another kind.
pub(super) fn source(tree: &[u8]) -> Option<TopicPartition> {
    let (partition, topic) = std::str::from_utf8(tree).ok()?.strip_prefix("p/")?.split_once('/')?;
    Some(TopicPartition::new(topic, partition.parse().ok()?))
}

/// What the rows of an app's states begin with: the app's id behind its length.
pub(super) fn states(app_id: &AppId, out: &mut Vec<u8>) {
    let app_id = app_id.as_str().as_bytes();
    out.clear();
    out.push(b's');
    out.extend_from_slice(&u32::try_from(app_id.len()).unwrap_or(u32::MAX).to_be_bytes()[2..]);
    out.extend_from_slice(app_id);
}

/// The row of an order's state. Orders with neighbouring numbers are neighbours.
pub(super) fn state(identity: &Identity, out: &mut Vec<u8>) {
    states(&identity.app_id, out);
    out.extend_from_slice(identity.order_id.as_bytes());
}

/// What the rows of all states begin with.
pub(super) const STATES: &[u8] = b"s";

/// The order of a state's row.
pub(super) fn identity(key: &[u8]) -> Option<Identity> {
    let (length, ids) = key.strip_prefix(STATES)?.split_first_chunk::<2>()?;
    let (app_id, order_id) = ids.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some(Identity::new(AppId::new(std::str::from_utf8(app_id).ok()?), std::str::from_utf8(order_id).ok()?))
}

/// The row of a chunk of owed deliveries, of its settled places, or of another thing with a number.
pub(super) fn numbered(kind: &[u8], number: u64) -> [u8; 9] {
    let mut key = [0; 9];
    let (head, tail) = key.split_at_mut(1);
    head.copy_from_slice(kind);
    tail.copy_from_slice(&number.to_be_bytes());
    key
}

/// The row of the status of the dead letter of the record at `offset`.
pub(super) fn letter(offset: RecordOffset) -> [u8; 9] {
    numbered(LETTERS, u64::try_from(offset.get()).unwrap_or_default())
}

/// The offset of such a row.
pub(super) fn letter_offset(key: &[u8]) -> Option<RecordOffset> {
    Some(RecordOffset::new(number(key)?.try_into().ok()?))
}

/// The number in such a row's key.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn trees_are_read_back() {
        for source_in in [("orders", 0), ("orders/1", 1), ("1", 12), ("", 0), ("单/订", 3)] {
            let expect = TopicPartition::new(source_in.0, source_in.1);
            assert_eq!(source(&tree(&expect)), Some(expect));
        }
        assert_eq!(source(META_TREE), None);
        assert_eq!(source(b"__sled__default"), None);
    }

    #[test]
    fn no_two_orders_share_a_row() {
        let ids = ["", "A", "AA", "A\0", "\0A", "\0\u{1}A", "单", "单号"];
        let mut seen = HashSet::new();
        for (app, order) in ids.iter().flat_map(|app| ids.iter().map(move |order| (app, order))) {
            let mut key = Vec::new();
            let order = Identity::new(AppId::new(*app), *order);
            state(&order, &mut key);
            assert_eq!(identity(&key), Some(order.clone()));
            assert!(seen.insert(key), "{app:?} {order:?}");
        }
    }

    #[test]
    fn numbered_rows_sort_by_number() {
        assert!(numbered(CHUNKS, 255) < numbered(CHUNKS, 256));
        assert_eq!(number(&numbered(MARKS, 1 << 40)), Some(1 << 40));
    }
}
