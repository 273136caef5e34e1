//! Text to tree, as strict as the contract: nesting, surrogates and integers are judged everywhere in the text.
//!
//! `serde_json` reads the tokens; nothing is skipped unread, because what is skipped is not checked for surrogates.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::tree::{Json, Member, key_order};

/// How deep JSON may nest; the outermost object or array is 1 (§2).
pub const NESTING_MAX: u32 = 100;

impl<'a> Json<'a> {
    /// Parses one JSON text, white space around it allowed. Errors name a place and a rule, never a value.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut scratch = Scratch::new(text);
        let mut reader = serde_json::Deserializer::from_str(text);
        Node { scratch: &mut scratch, depth: 1 }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(scratch.take())
    }
}

/// Shared by all values of one text: the values and keys whose list is not closed yet, and how far the text was searched
/// for negative zeros. Values go straight onto these stacks, because handing them up through the deserializer costs
/// more than reading them, and each closed list is one exact allocation.
pub(in crate::order) struct Scratch<'de> {
    keys: Vec<Cow<'de, str>>,
    values: Vec<Json<'de>>,
    text: &'de str,
    searched: usize,
}

impl<'de> Scratch<'de> {
    /// For parsing `text`.
    pub(in crate::order) fn new(text: &'de str) -> Self {
        Self { keys: Vec::with_capacity(16), values: Vec::with_capacity(16), text, searched: 0 }
    }

    /// The value that was read last.
    pub(in crate::order) fn take(&mut self) -> Json<'de> {
        self.values.pop().unwrap_or(Json::Null)
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

    fn close_array(&mut self, base: usize) {
        let items = self.values.drain(base..).collect();
        self.values.push(Json::Array(items));
    }

    fn close_object(&mut self, base: usize) {
        let first_key = self.keys.len() - (self.values.len() - base);
        let mut members: Vec<Member<'de>> = self.keys.drain(first_key..).zip(self.values.drain(base..)).collect();
        if !members.is_sorted_by(|(a, _), (b, _)| key_order(a, b).is_lt()) {
            // The sort is stable, so the last of equal keys is the last one of the text.
            members.sort_by(|(a, _), (b, _)| key_order(b, a));
            members.reverse();
            members.dedup_by(|(a, _), (b, _)| a == b);
        }
        self.values.push(Json::Object(members.into_boxed_slice()));
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

/// Reads one value, whatever it is, onto the stack.
struct Node<'c, 'de> {
    scratch: &'c mut Scratch<'de>,
    depth: u32,
}

/// Reads the value of a member of the outermost object.
pub(in crate::order) struct MemberValue<'c, 'de>(pub(in crate::order) &'c mut Scratch<'de>);

impl<'de> DeserializeSeed<'de> for MemberValue<'_, 'de> {
    type Value = Json<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Node { scratch: &mut *self.0, depth: 2 }.deserialize(deserializer)?;
        Ok(self.0.take())
    }
}

impl<'de> Node<'_, 'de> {
    fn push(self, value: Json<'de>) {
        self.scratch.values.push(value);
    }

    fn enter<E: Error>(&self) -> Result<usize, E> {
        if self.depth > NESTING_MAX {
            return Err(E::custom("nested more than 100 deep"));
        }
        Ok(self.scratch.values.len())
    }

    fn inner(&mut self) -> Node<'_, 'de> {
        Node { scratch: &mut *self.scratch, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Json::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.push(Json::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.push(Json::Int(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.push(i64::try_from(value).map_or(Json::UInt(value), Json::Int));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        let is_negative_zero = value == 0.0 && value.is_sign_negative();
        let number = if is_negative_zero { self.scratch.negative_zero() } else { Json::Float(value) };
        self.push(number);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.push(Json::Str(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.push(Json::Str(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let base = self.enter()?;
        while seq.next_element_seed(self.inner())?.is_some() {}
        self.scratch.close_array(base);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let base = self.enter()?;
        while map.next_key_seed(Key(&mut *self.scratch))?.is_some() {
            map.next_value_seed(self.inner())?;
        }
        self.scratch.close_object(base);
        Ok(())
    }
}

/// Reads an object's key onto the stack, borrowing where it has no escapes.
struct Key<'c, 'de>(&'c mut Scratch<'de>);

impl<'de> DeserializeSeed<'de> for Key<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.keys.push(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.keys.push(Cow::Borrowed(text));
        Ok(())
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
