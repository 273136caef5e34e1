//! Reads the fields of an order document and collects what is wrong with them, all at once per class (§5).
//!
//! Paths are only spelled out for fields at fault; values never are.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::limits::{Limit, cut};
use crate::order::json::Json;
use crate::order::{DeadLetterReason, Fault};

/// A message about more fields than fit says how many it left out.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Keys inside `params` are the merchant's; a path shows no more of one.
const KEY_BYTES_MAX: usize = 64;
/// Up to here looking at every member is faster than a search.
const FEW_MEMBERS: usize = 24;

/// What happens to text that only a person reads when it is over its limit (`limits.text`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextPolicy {
    /// Cut at a character boundary, and counted.
    Truncate,
    /// A fault of its own.
    Strict,
}

/// Where a field stands in the document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'p> {
    Root,
    Member(&'p Self, &'p str),
    Element(&'p Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(cut(name, KEY_BYTES_MAX)),
            Self::Member(parent, name) => write!(f, "{parent}.{}", cut(name, KEY_BYTES_MAX)),
            Self::Element(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// One class of faults, spelled out within a bound.
#[derive(Debug, Default)]
struct Named {
    text: String,
    left_out: usize,
}

impl Named {
    fn add(&mut self, separator: &str, words: fmt::Arguments<'_>) {
        if self.text.len() >= MESSAGE_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(separator);
        }
        // Writing to a String cannot fail.
        self.text.write_fmt(words).unwrap_or_default();
    }

    fn fault(self, reason: DeadLetterReason, before: &str) -> Result<(), Fault> {
        if self.text.is_empty() {
            return Ok(());
        }
        let more = if self.left_out > 0 { format!(", and {} more", self.left_out) } else { String::new() };
        Err(Fault::new(reason, format!("{before}{}{more}", self.text)))
    }
}

/// What reading a document has found so far.
#[derive(Debug)]
pub(super) struct Findings {
    policy: TextPolicy,
    missing: Named,
    malformed: Named,
    over: Named,
    /// Platform names of the texts that were cut.
    cut: Vec<&'static str>,
    /// How many rules were over the documented length.
    pub(super) long_rules: u32,
}

impl Findings {
    pub(super) fn new(policy: TextPolicy) -> Self {
        Self {
            policy,
            missing: Named::default(),
            malformed: Named::default(),
            over: Named::default(),
            cut: Vec::new(),
            long_rules: 0,
        }
    }

    /// The first class that holds, in the contract's order; else the texts that were cut and the number of long rules.
    pub(super) fn judge(self) -> Result<(Vec<&'static str>, u32), Fault> {
        self.missing.fault(DeadLetterReason::IncompleteOrder, "missing in the order document: ")?;
        self.malformed.fault(DeadLetterReason::MalformedOrder, "wrong in the order document: ")?;
        self.over.fault(DeadLetterReason::FieldOverLimit, "over the platform's limit: ")?;
        Ok((self.cut, self.long_rules))
    }

    #[cold]
    pub(super) fn missing(&mut self, path: Path<'_>) {
        self.missing.add(", ", format_args!("{path}"));
    }

    #[cold]
    pub(super) fn malformed(&mut self, path: Path<'_>, rule: impl fmt::Display) {
        self.malformed.add("; ", format_args!("{path} {rule}"));
    }

    #[cold]
    pub(super) fn over(&mut self, path: Path<'_>, field: &str, length: usize, unit: &str, bound: impl fmt::Display) {
        let spelled = path.to_string();
        let sent_as = spelled.rsplit('.').next().is_none_or(|last| last != field);
        let sent_as = if sent_as { format!(" (sent as {field})") } else { String::new() };
        self.over.add("; ", format_args!("{spelled}{sent_as} has {length} {unit}, {bound} are allowed"));
    }

    /// Text that must fit.
    pub(super) fn within(&mut self, path: Path<'_>, text: &str, limit: Limit) {
        if !limit.fits(text.len()) {
            self.over(path, limit.field, text.len(), "bytes", limit.bound);
        }
    }

    /// Text that only a person reads.
    fn readable<'a>(&mut self, path: Path<'_>, text: &'a str, limit: Limit) -> &'a str {
        if limit.fits(text.len()) {
            return text;
        }
        match self.policy {
            TextPolicy::Truncate => {
                self.cut.push(limit.field);
                limit.cut(text)
            }
            TextPolicy::Strict => {
                self.over(path, limit.field, text.len(), "bytes", limit.bound);
                text
            }
        }
    }
}

/// An object of the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a, 'p> {
    value: &'a Json<'a>,
    pub(super) path: Path<'p>,
}

impl<'a> Object<'a, '_> {
    pub(super) fn root(document: &'a Json<'a>) -> Self {
        Self { value: document, path: Path::Root }
    }

    /// A field that must be there: neither absent nor an empty string.
    pub(super) fn required<'s>(&'s self, name: &'s str, found: &mut Findings) -> Option<Field<'a, 's>> {
        let field = self.optional(name).filter(|field| !matches!(field.value, Json::Str(text) if text.is_empty()));
        if field.is_none() {
            found.missing(Path::Member(&self.path, name));
        }
        field
    }

    /// A field that may be absent.
    pub(super) fn optional<'s>(&'s self, name: &'s str) -> Option<Field<'a, 's>> {
        let value = member(self.value, name)?;
        Some(Field { value, path: Path::Member(&self.path, name) })
    }

    /// A required string; empty where it is at fault.
    pub(super) fn text(&self, name: &str, found: &mut Findings) -> &'a str {
        self.required(name, found).map_or("", |field| field.text(found))
    }

    /// A required string within a limit.
    pub(super) fn text_within(&self, name: &str, limit: Limit, found: &mut Findings) -> &'a str {
        self.required(name, found).map_or("", |field| field.text_within(limit, found))
    }

    /// An optional string within a limit.
    pub(super) fn optional_within(&self, name: &str, limit: Limit, found: &mut Findings) -> Option<&'a str> {
        self.optional(name).map(|field| field.text_within(limit, found))
    }

    /// A required text that only a person reads.
    pub(super) fn readable(&self, name: &str, limit: Limit, found: &mut Findings) -> &'a str {
        self.required(name, found).map_or("", |field| field.readable(limit, found))
    }

    /// An optional text that only a person reads.
    pub(super) fn optional_readable(&self, name: &str, limit: Limit, found: &mut Findings) -> Option<&'a str> {
        self.optional(name).map(|field| field.readable(limit, found))
    }

    /// A required integer; 0 where it is at fault.
    pub(super) fn integer(&self, name: &str, least: i64, found: &mut Findings) -> i64 {
        self.required(name, found).map_or(0, |field| field.integer(least, found))
    }

    /// A required time, in milliseconds; 0 where it is at fault.
    pub(super) fn time(&self, name: &str, found: &mut Findings) -> i64 {
        self.required(name, found).map_or(0, |field| field.time(found))
    }
}

/// The member of this name, unless it is `null`. In the few fields that objects have, lengths tell most names apart;
/// only an object with many is searched.
fn member<'a>(object: &'a Json<'a>, name: &str) -> Option<&'a Json<'a>> {
    let members = object.as_object()?;
    if members.len() > FEW_MEMBERS {
        return object.present(name);
    }
    let named = members.iter().find(|(key, _)| key.len() == name.len() && key == name);
    named.map(|(_, value)| value).filter(|value| !value.is_null())
}

/// A value of the document that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a, 'p> {
    pub(super) value: &'a Json<'a>,
    pub(super) path: Path<'p>,
}

impl<'a, 'p> Field<'a, 'p> {
    pub(super) fn text(self, found: &mut Findings) -> &'a str {
        self.value.as_str().unwrap_or_else(|| {
            found.malformed(self.path, "must be a string");
            ""
        })
    }

    pub(super) fn text_within(self, limit: Limit, found: &mut Findings) -> &'a str {
        let text = self.text(found);
        found.within(self.path, text, limit);
        text
    }

    fn readable(self, limit: Limit, found: &mut Findings) -> &'a str {
        let text = self.text(found);
        found.readable(self.path, text, limit)
    }

    pub(super) fn integer(self, least: i64, found: &mut Findings) -> i64 {
        self.value.as_integer().filter(|value| *value >= least).unwrap_or_else(|| {
            found.malformed(self.path, format_args!("must be an integer of at least {least}"));
            0
        })
    }

    pub(super) fn time(self, found: &mut Findings) -> i64 {
        crate::order::time::from_json(self.value).map_or_else(
            || {
                found.malformed(self.path, crate::order::time::TIME_RULE);
                0
            },
            |time| time.0,
        )
    }

    pub(super) fn object(self, found: &mut Findings) -> Option<Object<'a, 'p>> {
        if self.value.as_object().is_none() {
            found.malformed(self.path, "must be an object");
            return None;
        }
        Some(Object { value: self.value, path: self.path })
    }

    pub(super) fn elements(self, found: &mut Findings) -> &'a [Json<'a>] {
        self.value.as_array().unwrap_or_else(|| {
            found.malformed(self.path, "must be an array");
            &[]
        })
    }

    /// The element at `index` of this array.
    pub(super) fn element<'s>(&'s self, value: &'a Json<'a>, index: usize) -> Field<'a, 's> {
        Field { value, path: Path::Element(&self.path, index) }
    }
}
