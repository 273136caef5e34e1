//! Settings from outside the file: `ORDER_SYNC__SECTION__KEY` variables and `--set section.key=value` flags.
//!
//! Both come in as arguments; nothing here reads the process environment. An empty variable counts as not set.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml_edit::Item;

use super::document;
use super::key::{self, Key, Section, Shape};
use super::origin::{Findings, Layer, Origin};
use super::properties::{Properties, Property};
use super::rows::{Cell, Rows};
use super::value::{self, Value};

/// What every variable of ours begins with.
pub const PREFIX: &str = "ORDER_SYNC__";

/// One layer from outside: rows, and single keys of apps by their app ids.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) rows: Rows,
    pub(super) apps: Vec<(String, &'static str, Cell)>,
}

/// Reads all variables that begin with [`PREFIX`].
pub(super) fn from_environment(environment: &BTreeMap<OsString, OsString>, findings: &mut Findings) -> Outside {
    let mut outside = Outside::default();
    for (name, value) in environment {
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let origin = Origin::new(Layer::Environment, format!("{PREFIX}{rest}"));
        let Some(value) = value.to_str() else {
            findings.fault(&origin, "", "is not UTF-8");
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let segments: Vec<String> = rest
            .split("__")
            .enumerate()
            .map(|(at, word)| {
                // App ids keep their case; everything else is lower case in the file.
                if at == 1 && rest.starts_with("APPS__") { word.to_owned() } else { word.to_ascii_lowercase() }
            })
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            // Shells take no dots in names, and no property of librdkafka has an underscore.
            ["kafka", "properties", name] => outside.property(&name.replace('_', "."), value, &origin),
            segments => outside.take(segments, value, &origin, findings),
        }
    }
    outside
}

/// Reads all flags, later ones over earlier ones.
pub(super) fn from_flags(flags: &[String], findings: &mut Findings) -> Outside {
    let mut outside = Outside::default();
    let origin = Origin::new(Layer::Flag, "--set");
    for flag in flags {
        let Some((path, value)) = flag.split_once('=') else {
            findings.fault(&origin, "", "has no `=`; write --set section.key=value");
            continue;
        };
        let path = path.trim();
        if let Some(name) = path.strip_prefix("kafka.properties.") {
            outside.property(name, value, &origin);
            continue;
        }
        let segments: Vec<&str> = match path.rsplit_once('.') {
            Some((section, key)) => match section.split_once('.') {
                Some(("apps", id)) => vec!["apps", id, key],
                _ => vec![section, key],
            },
            None => vec![path],
        };
        outside.take(&segments, value, &origin, findings);
    }
    outside
}

impl Outside {
    fn take(&mut self, segments: &[&str], given: &str, origin: &Origin, findings: &mut Findings) {
        match segments {
            ["apps", id, name] => match super::app::SECTION.key(name) {
                Some(key) => {
                    let path = format!("apps.{id}.{name}");
                    self.apps.push(((*id).to_owned(), key.name, cell(key, &path, given, origin, findings)));
                }
                None => unknown(&super::app::SECTION, name, origin, findings),
            },
            [path @ .., name] => {
                let within = key::section(&path.join("."));
                let whole = key::section(&segments.join("."));
                match (within, whole) {
                    (_, Some(whole)) if whole.shape == Shape::Rows => self.whole(whole, given, origin, findings),
                    (Some(within), _) if within.shape == Shape::Table => {
                        self.one(within, name, given, origin, findings);
                    }
                    _ => {
                        let hint = key::suggest(&super::settings::SECTION, path.first().copied().unwrap_or(name));
                        findings.fault(origin, segments.join("."), format!("unknown section; {hint}"));
                    }
                }
            }
            [] => {}
        }
    }

    fn one(&mut self, section: &'static Section, name: &str, given: &str, origin: &Origin, findings: &mut Findings) {
        let Some(key) = section.key(name) else { return unknown(section, name, origin, findings) };
        let cell = cell(key, &section.path_of(name), given, origin, findings);
        self.rows.table(section.path, origin).put(key.name, cell);
    }

    /// A list of tables in one value, as TOML: `[{app_id = "tt1", …}]`.
    fn whole(&mut self, section: &'static Section, given: &str, origin: &Origin, findings: &mut Findings) {
        if let Ok(value) = given.trim().parse::<toml_edit::Value>() {
            self.rows.overlay(document::read_whole(section, &Item::Value(value), origin, findings));
        } else {
            findings.fault(origin, section.path, "is not TOML; write [{key = \"value\", …}]");
            findings.unread.insert(section.path);
        }
    }

    fn property(&mut self, name: &str, given: &str, origin: &Origin) {
        let property = Property { value: given.into(), origin: origin.clone() };
        let properties = Properties::from([(name.to_owned(), property)]);
        let cell = Cell { value: Value::Properties(properties), origin: origin.clone() };
        self.rows.table("kafka", origin).put("properties", cell);
    }
}

fn cell(key: &Key, path: &str, given: &str, origin: &Origin, findings: &mut Findings) -> Cell {
    let item = value::from_text(key.kind, given);
    let value = value::read(key.kind, &item, path, &|_| origin.clone(), findings);
    Cell { value, origin: origin.clone() }
}

fn unknown(section: &Section, name: &str, origin: &Origin, findings: &mut Findings) {
    findings.fault(origin, section.path_of(name), format!("unknown key; {}", key::suggest(section, name)));
}
