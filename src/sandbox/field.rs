//! What the documentation says of one field, as data, and the check of an object against such rows.
//!
//! It names the field at fault and never its value: a refusal ends in the pusher's dead letter.

use std::fmt;

use super::json::{Object, Value};
use super::nested;

/// One row of the documentation.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// What a field must hold. Lengths are bytes of UTF-8, the largest that is allowed.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Text that is not empty.
    Text(usize),
    /// Text that may be empty.
    TextOrEmpty(usize),
    /// An integer from this number on.
    IntegerFrom(i64),
    /// Exactly this integer.
    Integer(i64),
    /// This integer, or its digits as text (D5 of the reference).
    IntegerOrText(i64, &'static str),
    /// One of these integers.
    OneOf(&'static [i64]),
    /// Any integer.
    AnyInteger,
    /// 13 digits: milliseconds since the epoch.
    Milliseconds,
    /// `yyyy-MM-dd HH:mm:ss`
    LocalTime,
    /// A page of the mini-program: relative, no scheme, no leading `/`.
    PagePath(usize),
    /// JSON text `{"path":…,"params":…}`.
    EntrySchema(usize),
    /// A list of texts, as JSON text or as a real array (D4): most entries, most bytes per entry.
    TextList { entries: usize, bytes: usize },
    /// A non-empty array of objects of these rows.
    Objects(&'static [Field]),
}

/// What is wrong with a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Missing,
    Unknown,
    Repeated,
    Type(&'static str),
    Empty,
    TooLong { limit: usize, length: usize },
    Range(&'static str),
    Form(&'static str),
}

/// A fault and where it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) path: String,
    pub(super) problem: Problem,
}

impl Wrong {
    pub(super) fn new(path: impl Into<String>, problem: Problem) -> Self {
        Self { path: path.into(), problem }
    }

    fn under(mut self, parent: &str) -> Self {
        self.path = if self.path.starts_with('[') || self.path.is_empty() {
            format!("{parent}{}", self.path)
        } else {
            format!("{parent}.{}", self.path)
        };
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, problem } = self;
        match problem {
            Problem::Missing => write!(f, "{path} is missing"),
            Problem::Unknown => write!(f, "{path} is not a documented field here"),
            Problem::Repeated => write!(f, "{path} stands twice"),
            Problem::Empty => write!(f, "{path} is empty"),
            Problem::TooLong { limit, length } => write!(f, "{path} is {length} long, limit {limit}"),
            Problem::Type(expected) | Problem::Range(expected) => write!(f, "{path} must be {expected}"),
            Problem::Form(expected) => write!(f, "{path} must have the form {expected}"),
        }
    }
}

/// Holds an object against its rows: every member documented, none twice, every required one there, each as it must be.
pub(super) fn check_object(object: &Object<'_>, fields: &'static [Field]) -> Result<(), Wrong> {
    let mut seen = 0_u64;
    let mut next = 0;
    for (key, value) in object {
        // A well-made push has its members in the documentation's order, so the next row is usually the right one.
        let Some(at) = (0..fields.len()).map(|step| (next + step) % fields.len()).find(|&at| fields[at].name == key)
        else {
            return Err(Wrong::new(key.as_ref(), Problem::Unknown));
        };
        if seen & (1 << at) != 0 {
            return Err(Wrong::new(fields[at].name, Problem::Repeated));
        }
        seen |= 1 << at;
        next = at + 1;
        check_value(value, fields[at].kind).map_err(|wrong| wrong.under(fields[at].name))?;
    }
    let missing = fields.iter().enumerate().find(|(at, field)| field.required && seen & (1 << at) == 0);
    missing.map_or(Ok(()), |(_, field)| Err(Wrong::new(field.name, Problem::Missing)))
}

fn check_value(value: &Value<'_>, kind: Kind) -> Result<(), Wrong> {
    let here = |problem| Err(Wrong::new("", problem));
    match kind {
        Kind::Text(limit) => match text(value)? {
            "" => here(Problem::Empty),
            text => within(text, limit),
        },
        Kind::TextOrEmpty(limit) => within(text(value)?, limit),
        Kind::IntegerFrom(least) if integer(value)? < least => here(Problem::Range("within its range")),
        Kind::Integer(only) if integer(value)? != only => here(Problem::Range("the documented constant")),
        Kind::OneOf(numbers) if !numbers.contains(&integer(value)?) => here(Problem::Range("a documented code")),
        Kind::Milliseconds if !is_milliseconds(integer(value)?) => here(Problem::Form("13 digits, milliseconds")),
        Kind::IntegerFrom(_) | Kind::Integer(_) | Kind::OneOf(_) | Kind::Milliseconds => Ok(()),
        Kind::AnyInteger => integer(value).map(drop),
        Kind::IntegerOrText(number, digits) => {
            let right = value.as_integer() == Some(number) || value.as_text() == Some(digits);
            if right { Ok(()) } else { here(Problem::Range("the documented constant")) }
        }
        Kind::LocalTime => {
            if nested::is_local_time(text(value)?) {
                Ok(())
            } else {
                here(Problem::Form("yyyy-MM-dd HH:mm:ss"))
            }
        }
        Kind::PagePath(limit) => nested::check_page_path(text(value)?, limit),
        Kind::EntrySchema(limit) => nested::check_entry_schema(text(value)?, limit),
        Kind::TextList { entries, bytes } => nested::check_text_list(value, entries, bytes),
        Kind::Objects(fields) => check_objects(value, fields),
    }
}

fn check_objects(value: &Value<'_>, fields: &'static [Field]) -> Result<(), Wrong> {
    let Value::List(elements) = value else { return Err(Wrong::new("", Problem::Type("an array"))) };
    if elements.is_empty() {
        return Err(Wrong::new("", Problem::Empty));
    }
    for (at, element) in elements.iter().enumerate() {
        let Value::Object(object) = element else {
            return Err(Wrong::new(format!("[{at}]"), Problem::Type("an object")));
        };
        check_object(object, fields).map_err(|wrong| wrong.under(&format!("[{at}]")))?;
    }
    Ok(())
}

fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, Wrong> {
    value.as_text().ok_or_else(|| Wrong::new("", Problem::Type("a string")))
}

fn integer(value: &Value<'_>) -> Result<i64, Wrong> {
    value.as_integer().ok_or_else(|| Wrong::new("", Problem::Type("an integer")))
}

/// Checks a length in bytes.
pub(super) fn within(text: &str, limit: usize) -> Result<(), Wrong> {
    let length = text.len();
    if length <= limit { Ok(()) } else { Err(Wrong::new("", Problem::TooLong { limit, length })) }
}

/// Whether a time has the 13 digits of milliseconds.
pub(super) fn is_milliseconds(number: i64) -> bool {
    (1_000_000_000_000..=9_999_999_999_999).contains(&number)
}

/// Whether a time has the 10 digits of seconds.
pub(super) fn is_seconds(number: i64) -> bool {
    (1_000_000_000..=9_999_999_999).contains(&number)
}
