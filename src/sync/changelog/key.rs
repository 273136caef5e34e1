//! The keys of the changelog: a JSON array each, so that no id, however odd, can be taken for another, and people can
//! read them. Compaction compares bytes: the same thing has the same key for ever.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, SeqAccess, Visitor};

use crate::order::json::{TextOut, write_string};
use crate::order::{AppId, Identity, UpdateTime};
use crate::record::RecordOffset;
use crate::sync::owed::OwedKey;

/// The format that this release writes; it reads no other.
const FORMAT: u64 = 1;

/// What a record of the changelog is about, within one source topic and partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ChangelogKey {
    /// Where the partition stands.
    Position,
    /// The state of an order.
    State(Identity),
    /// An owed delivery.
    Owed(OwedKey),
    /// The status of the dead letter of the record at this offset.
    Letter(RecordOffset),
    /// The outcome of the command with this id.
    Command(Box<str>),
    /// The settings of the commits from the one with this number on.
    Settings(u64),
}

/// A key cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("unreadable changelog key: {0}")]
pub struct KeyError(#[from] serde_json::Error);

impl ChangelogKey {
    /// The key's bytes, for a partition of `topic`: `[1,"owed","orders","tt1","A1",1700000000]`.
    pub fn encode(&self, topic: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        match self {
            Self::Position => write_position(topic, &mut out),
            Self::State(identity) => write_state(topic, identity, &mut out),
            Self::Owed(key) => write_owed(topic, key, &mut out),
            Self::Letter(offset) => write_letter(topic, *offset, &mut out),
            Self::Command(id) => write_command(topic, id, &mut out),
            Self::Settings(commit_number) => write_settings(topic, *commit_number, &mut out),
        }
        out
    }

    /// Reads a key; `None` for a key of another source topic, whose own reader judges it.
    pub fn decode(bytes: &[u8], topic: &str) -> Result<Option<Self>, KeyError> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let key = reader.deserialize_seq(KeyVisitor { topic })?;
        reader.end()?;
        Ok(key)
    }

    /// The source topic that a key names, whichever it is.
    pub fn topic_of(bytes: &[u8]) -> Result<Box<str>, KeyError> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        Ok(reader.deserialize_seq(TopicVisitor)?)
    }
}

/// Replaces `out` by the key of the position.
pub(super) fn write_position(topic: &str, out: &mut Vec<u8>) {
    begin("position", topic, out);
    out.put("]");
}

/// Replaces `out` by the key of an order's state.
pub(super) fn write_state(topic: &str, identity: &Identity, out: &mut Vec<u8>) {
    begin("state", topic, out);
    write_identity(identity, out);
    out.put("]");
}

/// Replaces `out` by the key of an owed delivery.
pub(super) fn write_owed(topic: &str, key: &OwedKey, out: &mut Vec<u8>) {
    begin("owed", topic, out);
    write_identity(&key.identity, out);
    out.put(",");
    out.put(itoa::Buffer::new().format(key.stamp.0));
    out.put("]");
}

/// Replaces `out` by the key of a dead letter's status.
pub(super) fn write_letter(topic: &str, offset: RecordOffset, out: &mut Vec<u8>) {
    begin("letter", topic, out);
    out.put(",");
    out.put(itoa::Buffer::new().format(offset.get()));
    out.put("]");
}

/// Replaces `out` by the key of a command's outcome.
pub(super) fn write_command(topic: &str, id: &str, out: &mut Vec<u8>) {
    begin("command", topic, out);
    out.put(",");
    write_string(id, out);
    out.put("]");
}

/// Replaces `out` by the key of the settings that hold from a commit on.
pub(super) fn write_settings(topic: &str, commit_number: u64, out: &mut Vec<u8>) {
    begin("settings", topic, out);
    out.put(",");
    out.put(itoa::Buffer::new().format(commit_number));
    out.put("]");
}

fn begin(kind: &str, topic: &str, out: &mut Vec<u8>) {
    out.clear();
    out.put("[1,\"");
    out.put(kind);
    out.put("\",");
    write_string(topic, out);
}

fn write_identity(identity: &Identity, out: &mut Vec<u8>) {
    out.put(",");
    write_string(identity.app_id.as_str(), out);
    out.put(",");
    write_string(&identity.order_id, out);
}

struct KeyVisitor<'t> {
    topic: &'t str,
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for KeyVisitor<'_> {
    type Value = Option<ChangelogKey>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of format, kind, topic and ids")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let format: u64 = next(&mut seq)?;
        if format != FORMAT {
            return Err(A::Error::custom(format!("unknown format {format}")));
        }
        let kind: Text<'de> = next(&mut seq)?;
        let topic: Text<'de> = next(&mut seq)?;
        if topic.0 != self.topic {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        }
        let key = match kind.0.as_ref() {
            "position" => ChangelogKey::Position,
            "state" => ChangelogKey::State(identity(&mut seq)?),
            "owed" => {
                let identity = identity(&mut seq)?;
                ChangelogKey::Owed(OwedKey { identity, stamp: UpdateTime(next(&mut seq)?) })
            }
            "letter" => ChangelogKey::Letter(RecordOffset::new(next(&mut seq)?)),
            "command" => {
                let id: Text<'de> = next(&mut seq)?;
                ChangelogKey::Command(id.0.as_ref().into())
            }
            "settings" => ChangelogKey::Settings(next(&mut seq)?),
            // Leaving out what an older release does not know would lose it in its store.
            other => return Err(A::Error::custom(format!("unknown kind {other:?}"))),
        };
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Some(key)),
            Some(_) => Err(A::Error::custom("more elements than this release writes")),
        }
    }
}

/// Takes the topic alone.
struct TopicVisitor;

impl<'de> Visitor<'de> for TopicVisitor {
    type Value = Box<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of format, kind, topic and ids")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let _format: IgnoredAny = next(&mut seq)?;
        let _kind: IgnoredAny = next(&mut seq)?;
        let topic: Text<'de> = next(&mut seq)?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(topic.0.as_ref().into())
    }
}

fn identity<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Identity, A::Error> {
    let app_id: Text<'de> = next(seq)?;
    let order_id: Text<'de> = next(seq)?;
    Ok(Identity::new(AppId::new(app_id.0), order_id.0.as_ref()))
}

fn next<'de, T: serde::Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| A::Error::custom("an element is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(order: &str) -> Identity {
        Identity::new(AppId::new("tt1"), order)
    }

    #[test]
    fn the_text_of_a_key_is_fixed() {
        let check = |key: ChangelogKey, topic: &str, expect: &str| {
            assert_eq!(std::str::from_utf8(&key.encode(topic)).unwrap(), expect);
            assert_eq!(ChangelogKey::decode(expect.as_bytes(), topic).unwrap(), Some(key));
            assert_eq!(&*ChangelogKey::topic_of(expect.as_bytes()).unwrap(), topic);
        };
        check(ChangelogKey::Position, "orders", r#"[1,"position","orders"]"#);
        check(ChangelogKey::State(identity("A\"1单")), "orders", r#"[1,"state","orders","tt1","A\"1单"]"#);
        let owed = OwedKey { identity: identity("A1"), stamp: UpdateTime(1_700_000_000) };
        check(ChangelogKey::Owed(owed), "o\"", r#"[1,"owed","o\"","tt1","A1",1700000000]"#);
        check(ChangelogKey::Letter(RecordOffset::new(41)), "orders", r#"[1,"letter","orders",41]"#);
        check(ChangelogKey::Command("a/\"b".into()), "orders", r#"[1,"command","orders","a/\"b"]"#);
        check(ChangelogKey::Settings(12), "orders", r#"[1,"settings","orders",12]"#);
    }

    #[test]
    fn keys_of_other_topics_are_skipped_and_unknown_ones_refused() {
        assert_eq!(ChangelogKey::decode(br#"[1,"later","other",{"a":1}]"#, "orders").unwrap(), None);
        let check = |text: &str, expect: &str| {
            let error = ChangelogKey::decode(text.as_bytes(), "orders").unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        check(r#"[2,"position","orders"]"#, "unknown format 2");
        check(r#"[1,"later","orders"]"#, "unknown kind \"later\"");
        check(r#"[1,"state","orders","tt1"]"#, "an element is missing");
        check(r#"[1,"position","orders",1]"#, "more elements");
        check(r#"[1,"position","orders"] "x""#, "trailing");
        check("", "EOF");
    }
}
