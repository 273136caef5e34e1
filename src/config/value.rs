//! One setting as read: a TOML value checked against its key's type and range. It knows no section and no meaning.

use std::time::Duration;

use toml_edit::Item;

use super::duration;
use super::key::Kind;
use super::nearest::{ALIKE, nearest};
use super::origin::Findings;
use super::properties::{self, Locate, Properties};

/// The word for a time that does not come.
pub(super) const NEVER: &str = "never";

/// A value of the right type and within its range. Deliberately without `Debug`: it may hold a secret.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Switch(bool),
    Number(u64),
    Code(i64),
    Span(Duration),
    Never,
    Texts(Vec<String>),
    Properties(Properties),
    /// Given, but not fit for its key; the fault has been told.
    Faulty,
}

/// Reads one TOML item; what is wrong is told at its place, with what to do, and leaves [`Value::Faulty`].
pub(super) fn read(kind: Kind, item: &Item, path: &str, locate: Locate<'_>, findings: &mut Findings) -> Value {
    if let (Kind::Properties, Some(table)) = (kind, item.as_table_like()) {
        return Value::Properties(properties::read(table, path, locate, findings));
    }
    check(kind, item).unwrap_or_else(|what| {
        findings.fault(&locate(None), path, what);
        Value::Faulty
    })
}

fn check(kind: Kind, item: &Item) -> Result<Value, String> {
    let Some(value) = item.as_value() else {
        return Err(format!("must be {}, not a table", expected(kind)));
    };
    match kind {
        Kind::Text => text(kind, value).map(Value::Text),
        Kind::Secret => text(kind, value).map(|text| Value::Text(text.trim().to_owned())),
        Kind::Switch => value.as_bool().map(Value::Switch).ok_or_else(|| wrong(kind, value)),
        Kind::Word(words) => word(kind, value, words).map(Value::Text),
        Kind::Words(words) => array(kind, value, |item| word(Kind::Word(words), item, words)).map(Value::Texts),
        Kind::Texts => array(kind, value, |item| text(kind, item)).map(Value::Texts),
        Kind::CommaTexts => match value.as_str() {
            Some(list) => Ok(Value::Texts(commas(list))),
            None => array(kind, value, |item| text(kind, item)).map(Value::Texts),
        },
        Kind::Number(min, max) => {
            let number = value.as_integer().ok_or_else(|| wrong(kind, value))?;
            within(number, min, max, |number| number.to_string()).map(Value::Number)
        }
        Kind::Bytes(min, max) => {
            let number = value.as_integer().or_else(|| bytes(value.as_str()?)).ok_or_else(|| wrong(kind, value))?;
            within(number, min, max, size).map(Value::Number)
        }
        Kind::Code => value.as_integer().map(Value::Code).ok_or_else(|| wrong(kind, value)),
        Kind::Span(min, max) => span(value, min, max).map(Value::Span),
        Kind::SpanOrNever(..) if value.as_str() == Some(NEVER) => Ok(Value::Never),
        Kind::SpanOrNever(min, max) => {
            span(value, min, max).map(Value::Span).map_err(|what| format!("{what}; or write \"{NEVER}\""))
        }
        Kind::Start => {
            let plain = value.as_datetime().map(ToString::to_string).or_else(|| Some(value.as_integer()?.to_string()));
            plain.map_or_else(|| text(kind, value), Ok).map(Value::Text)
        }
        Kind::Properties => Err(wrong(kind, value)),
    }
}

/// Turns a variable's or a flag's text into the TOML value that the key wants: numbers and switches as they are, lists
/// as TOML or with commas, everything else as text.
pub(super) fn from_text(kind: Kind, given: &str) -> Item {
    let parsed = || given.trim().parse::<toml_edit::Value>().ok();
    let value = match kind {
        Kind::Switch | Kind::Number(..) | Kind::Bytes(..) | Kind::Code | Kind::Properties => parsed(),
        Kind::Words(_) | Kind::Texts | Kind::CommaTexts if given.trim_start().starts_with('[') => parsed(),
        Kind::Words(_) | Kind::Texts | Kind::CommaTexts => {
            Some(toml_edit::Value::Array(commas(given).into_iter().collect()))
        }
        Kind::Text | Kind::Secret | Kind::Word(_) | Kind::Span(..) | Kind::SpanOrNever(..) | Kind::Start => None,
    };
    Item::Value(value.unwrap_or_else(|| given.into()))
}

/// What a key takes, for people.
pub(super) fn expected(kind: Kind) -> String {
    let one_of = |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    match kind {
        Kind::Text | Kind::Secret => "text in quotes".to_owned(),
        Kind::Switch => "true or false".to_owned(),
        Kind::Word(words) => format!("one of {}", one_of(words)),
        Kind::Words(words) => format!("a list of {}", one_of(words)),
        Kind::Texts => "a list of texts, for example [\"a\", \"b\"]".to_owned(),
        Kind::CommaTexts => "a list of texts, or one text with commas".to_owned(),
        Kind::Number(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Bytes(min, max) => format!("bytes from {} to {}, as a number or as \"64MiB\"", size(min), size(max)),
        Kind::Code => "a whole number".to_owned(),
        Kind::Span(min, max) => {
            format!("a duration from \"{}\" to \"{}\"", duration::format_duration(min), duration::format_duration(max))
        }
        Kind::SpanOrNever(min, max) => format!("{}, or \"{NEVER}\"", expected(Kind::Span(min, max))),
        Kind::Start => "\"earliest\", \"latest\" or a time".to_owned(),
        Kind::Properties => "a table of names and values".to_owned(),
    }
}

fn wrong(kind: Kind, value: &toml_edit::Value) -> String {
    format!("must be {}, not {}", expected(kind), article(value))
}

fn article(value: &toml_edit::Value) -> &'static str {
    match value {
        toml_edit::Value::String(_) => "text",
        toml_edit::Value::Integer(_) => "a number",
        toml_edit::Value::Float(_) => "a fraction",
        toml_edit::Value::Boolean(_) => "true or false",
        toml_edit::Value::Datetime(_) => "a date",
        toml_edit::Value::Array(_) => "a list",
        toml_edit::Value::InlineTable(_) => "a table",
    }
}

fn text(kind: Kind, value: &toml_edit::Value) -> Result<String, String> {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => Err("is empty; give it a value or leave the key out".to_owned()),
        Some(text) => Ok(text.to_owned()),
        None => Err(wrong(kind, value)),
    }
}

fn word(kind: Kind, value: &toml_edit::Value, words: &[&str]) -> Result<String, String> {
    let given = value.as_str().ok_or_else(|| wrong(kind, value))?;
    if words.contains(&given) {
        return Ok(given.to_owned());
    }
    // A value far from every word is not shown: somebody may have put a token into `douyin.token`.
    Err(match nearest(words.iter().copied(), given, ALIKE) {
        Some(near) => format!("\"{given}\" is not {}; did you mean \"{near}\"?", expected(kind)),
        None => format!("must be {}", expected(kind)),
    })
}

fn array(
    kind: Kind,
    value: &toml_edit::Value,
    item: impl Fn(&toml_edit::Value) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    value.as_array().ok_or_else(|| wrong(kind, value))?.iter().map(item).collect()
}

fn commas(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn within(number: i64, min: u64, max: u64, words: fn(u64) -> String) -> Result<u64, String> {
    let fits = u64::try_from(number).ok().filter(|number| (min..=max).contains(number));
    fits.ok_or_else(|| format!("{number} is outside {} to {}", words(min), words(max)))
}

fn span(value: &toml_edit::Value, min: Duration, max: Duration) -> Result<Duration, String> {
    let Some(given) = value.as_str() else {
        return Err(match value.as_integer() {
            Some(bare) => format!("{bare} has no unit; {}", duration::RULE),
            None => format!("must be a duration, not {}; {}", article(value), duration::RULE),
        });
    };
    let span = duration::parse(given).ok_or_else(|| format!("\"{given}\" is no duration; {}", duration::RULE))?;
    if (min..=max).contains(&span) {
        return Ok(span);
    }
    let (min, max) = (duration::format_duration(min), duration::format_duration(max));
    Err(format!("\"{given}\" is outside \"{min}\" to \"{max}\""))
}

const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

fn bytes(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start() {
        "" => 1,
        unit => SIZES.iter().find_map(|(name, factor)| (*name == unit).then_some(*factor))?,
    };
    i64::try_from(number.parse::<u64>().ok()?.checked_mul(factor)?).ok()
}

/// A number of bytes in the largest unit that divides it.
pub(super) fn size(bytes: u64) -> String {
    let whole = SIZES.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}
