//! A JSON tree that borrows from the record: what the fold merges and the mapping reads.
//!
//! `serde_json` does the parsing; this tree exists because the contract needs facts that its `Value` loses (an
//! integer against `1.0`, `-0`) and because a borrowed, sorted tree costs a fraction of the allocations.

use std::borrow::Cow;
use std::cmp::Ordering;

/// The greatest integer of the contract, 2^53 − 1; the least is its negative.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// One JSON value. Objects are sorted by key, so that merging and comparing are linear and the text is canonical.
///
/// Boxed slices and not vectors: with them a value is three words without a separate tag, and moving values around is
/// most of what parsing does.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction or exponent that fits; `-0` is 0.
    Int(i64),
    /// A number without fraction or exponent above `i64`, kept for the document's sake.
    UInt(u64),
    /// Any other number.
    Float(f64),
    /// A string.
    Str(Cow<'a, str>),
    /// An array.
    Array(Box<[Json<'a>]>),
    /// An object, sorted by key, no key twice (the last one wins).
    Object(Box<[Member<'a>]>),
}

/// A key and its value.
pub type Member<'a> = (Cow<'a, str>, Json<'a>);

/// Up to so many members are searched one by one.
const FEW_MEMBERS: usize = 16;

/// The byte order of two keys. Their first bytes decide nearly always, without a call.
pub(super) fn key_order(a: &str, b: &str) -> Ordering {
    a.as_bytes().first().cmp(&b.as_bytes().first()).then_with(|| a.cmp(b))
}

impl<'a> Json<'a> {
    /// The member `key` of an object, be it `null`; `None` where there is none, or where this is no object.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        let members = self.as_object()?;
        if members.len() <= FEW_MEMBERS {
            // Lengths differ more often than not: this seldom looks at the text.
            return members.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        }
        let at = members.binary_search_by(|(name, _)| key_order(name, key)).ok()?;
        members.get(at).map(|(_, value)| value)
    }

    /// The member `key` of an object, unless it is `null`: inside array elements `null` is the same as absence (§5).
    pub fn present(&self, key: &str) -> Option<&Json<'a>> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Whether this is `null`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// The value of an integer as the contract has it: no fraction, no exponent, within ±(2^53 − 1).
    pub const fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) if *value >= -INTEGER_MAX && *value <= INTEGER_MAX => Some(*value),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::UInt(_)
            | Self::Float(_)
            | Self::Str(_)
            | Self::Array(_)
            | Self::Object(_) => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The members of an object in ascending byte order of their keys.
    pub fn as_object(&self) -> Option<&[Member<'a>]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// The same tree over borrowed text: copies the lists, no string.
    pub fn borrowed(&self) -> Json<'_> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::Int(*value),
            Self::UInt(value) => Json::UInt(*value),
            Self::Float(value) => Json::Float(*value),
            Self::Str(text) => Json::Str(Cow::Borrowed(text)),
            Self::Array(items) => Json::Array(items.iter().map(Json::borrowed).collect()),
            Self::Object(members) => {
                Json::Object(members.iter().map(|(key, value)| (Cow::Borrowed(&**key), value.borrowed())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_null_is_told_from_absence() {
        let tree = Json::parse(r#"{"b":null,"a":{"x":1},"c":"t"}"#).unwrap();
        assert_eq!(tree.get("a").and_then(|a| a.get("x")), Some(&Json::Int(1)));
        assert_eq!(tree.get("b"), Some(&Json::Null));
        assert_eq!(tree.present("b"), None);
        assert_eq!(tree.get("d"), None);
        assert_eq!(Json::Int(1).get("a"), None);
        let many: Vec<String> = (0..100).map(|n| format!("\"{n}\":{n}")).collect();
        let many = format!("{{{},\"\":-1}}", many.join(","));
        let many = Json::parse(&many).unwrap();
        assert!((0..100).all(|n| many.get(&n.to_string()) == Some(&Json::Int(n))));
        assert_eq!((many.get(""), many.get("x")), (Some(&Json::Int(-1)), None));
        assert_eq!(tree.borrowed(), tree);
    }

    #[test]
    fn a_value_is_three_words() {
        assert_eq!(size_of::<Json<'_>>(), 3 * size_of::<usize>());
    }

    #[test]
    fn an_integer_lies_within_the_contract() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(Json::parse(text).unwrap().as_integer(), expect);
        check("0", Some(0));
        check("-0", Some(0));
        check("-0.0", None);
        check("1.0", None);
        check("1e3", None);
        check("9007199254740991", Some(INTEGER_MAX));
        check("-9007199254740991", Some(-INTEGER_MAX));
        check("9007199254740992", None);
        check("-9007199254740992", None);
        check("18446744073709551615", None);
        check("18446744073709551616", None);
        check("\"1\"", None);
    }
}
