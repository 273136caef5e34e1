//! A JSON value that borrows from its text, read in one pass, so that every check can name the field at fault.
//!
//! It does not interpret: whether a field may be there, and as what, stands in `documented`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// One value of a body.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool,
    Integer(i64),
    /// A number that is no integer, or one beyond 64 bits.
    OtherNumber,
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// The members in the order of the text; a repeated key stays visible.
pub(super) type Object<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// Reads one whole JSON value; anything else, trailing bytes included, is an error.
pub(super) fn parse(text: &str) -> Option<Value<'_>> {
    serde_json::from_str(text).ok()
}

/// Reads a JSON object.
pub(super) fn parse_object(text: &str) -> Option<Object<'_>> {
    match parse(text) {
        Some(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// The member of that name.
pub(super) fn member<'v, 'a>(object: &'v Object<'a>, name: &str) -> Option<&'v Value<'a>> {
    object.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

impl Value<'_> {
    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool | Self::Integer(_) | Self::OtherNumber | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The integer, if it is one.
    pub(super) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Null | Self::Bool | Self::OtherNumber | Self::Text(_) | Self::List(_) | Self::Object(_) => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Value::OtherNumber, Value::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = Vec::with_capacity(8);
        while let Some((Key(key), value)) = members.next_entry()? {
            object.push((key, value));
        }
        Ok(Value::Object(object))
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor).map(Key)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrows_what_needs_no_unescaping() {
        let object = parse_object(r#"{"a":"plain","b":"\u0041","n":1,"f":1.0,"big":99999999999999999999}"#).unwrap();
        assert!(matches!(member(&object, "a"), Some(Value::Text(Cow::Borrowed("plain")))));
        assert!(matches!(member(&object, "b"), Some(Value::Text(Cow::Owned(text))) if text == "A"));
        assert_eq!(member(&object, "n"), Some(&Value::Integer(1)));
        assert_eq!(member(&object, "f"), Some(&Value::OtherNumber));
        assert_eq!(member(&object, "big"), Some(&Value::OtherNumber));
    }

    #[test]
    fn refuses_what_is_no_object() {
        for text in ["", "[]", "1", "{", "{} {}", "\"{}\"", "{\"a\":01}"] {
            assert_eq!(parse_object(text), None, "{text}");
        }
    }
}
