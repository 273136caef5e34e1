//! Text to tree, as strict as the contract: nesting, surrogates and integers are judged everywhere in the text.
//!
//! `serde_json` reads the tokens; nothing is skipped unread, because what is skipped is not checked for surrogates.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::tree::Json;

/// How deep JSON may nest; the outermost object or array is 1 (§2).
pub const NESTING_MAX: u32 = 100;

impl<'a> Json<'a> {
    /// Parses one JSON text, white space around it allowed. Errors name a place and a rule, never a value.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut scratch = Scratch::new(text);
        let mut reader = serde_json::Deserializer::from_str(text);
        let tree = Node::outermost(&mut scratch).deserialize(&mut reader)?;
        reader.end()?;
        Ok(tree)
    }
}

/// Shared by all values of one text: lists under construction, so that each finished list is one exact allocation,
/// and how far the text was searched for negative zeros.
pub(in crate::order) struct Scratch<'de> {
    members: Vec<(Cow<'de, str>, Json<'de>)>,
    items: Vec<Json<'de>>,
    text: &'de str,
    searched: usize,
}

impl<'de> Scratch<'de> {
    /// For parsing `text`.
    pub(in crate::order) const fn new(text: &'de str) -> Self {
        Self { members: Vec::new(), items: Vec::new(), text, searched: 0 }
    }

    /// The next number in the text whose value is a negative zero: `-0` is the integer 0, `-0.0` and `-0e1` are not.
    /// `serde_json` gives −0.0 for all of them, in the order of the text, so each search goes on behind the last.
    fn negative_zero(&mut self) -> Json<'de> {
        let bytes = self.text.as_bytes();
        let mut at = self.searched;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => at = string_end(bytes, at + 1),
                b'-' => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let length =
                        rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
                    let end = at + length.count();
                    let token = self.text.get(at..end).unwrap_or_default();
                    at = end;
                    if token.parse::<f64>() == Ok(0.0) {
                        self.searched = at;
                        return if token == "-0" { Json::Int(0) } else { Json::Float(-0.0) };
                    }
                }
                _ => at += 1,
            }
        }
        Json::Float(-0.0)
    }

    fn close_object(&mut self, base: usize) -> Json<'de> {
        let open = self.members.get_mut(base..).unwrap_or_default();
        if open.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Json::Object(self.members.drain(base..).collect());
        }
        // The sort is stable, so the last of equal keys is the last one of the text.
        open.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut sorted: Vec<(Cow<'de, str>, Json<'de>)> = Vec::with_capacity(open.len());
        for member in self.members.drain(base..) {
            match sorted.last_mut() {
                Some(last) if last.0 == member.0 => *last = member,
                Some(_) | None => sorted.push(member),
            }
        }
        Json::Object(sorted)
    }
}

/// Behind the closing quote of the string whose text begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// Reads one value, whatever it is.
pub(in crate::order) struct Node<'c, 'de> {
    scratch: &'c mut Scratch<'de>,
    depth: u32,
}

impl<'c, 'de> Node<'c, 'de> {
    fn outermost(scratch: &'c mut Scratch<'de>) -> Self {
        Self { scratch, depth: 1 }
    }

    fn enter<E: Error>(&self) -> Result<(), E> {
        if self.depth > NESTING_MAX { Err(E::custom("nested more than 100 deep")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, 'de> {
    type Value = Json<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, 'de> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Json::UInt(value), Json::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(if value == 0.0 && value.is_sign_negative() { self.scratch.negative_zero() } else { Json::Float(value) })
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Str(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Str(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        self.enter()?;
        let Self { scratch, depth } = self;
        let base = scratch.items.len();
        while let Some(item) = seq.next_element_seed(Node { scratch: &mut *scratch, depth: depth + 1 })? {
            scratch.items.push(item);
        }
        Ok(Json::Array(scratch.items.drain(base..).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        self.enter()?;
        let Self { scratch, depth } = self;
        let base = scratch.members.len();
        while let Some(key) = map.next_key_seed(Key)? {
            let value = map.next_value_seed(Node { scratch: &mut *scratch, depth: depth + 1 })?;
            scratch.members.push((key, value));
        }
        Ok(scratch.close_object(base))
    }
}

/// Reads an object's key, borrowing where it has no escapes.
pub(in crate::order) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
