//! How a section's settings are taken out of its row: typed, with the default where the key is absent, and a fault where
//! it must not be.
//!
//! After a fault the getters give a harmless stand-in, so that reading goes on and finds everything else; no `Config`
//! ever holds one, because faults refuse the whole.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use super::Need;
use super::key::{Absent, Key, Section};
use super::origin::{Findings, Origin};
use super::properties::Properties;
use super::rows::Row;
use super::value::{self, Value};

/// What reading a section may use.
pub(super) struct Context<'a> {
    pub(super) findings: Findings,
    /// The file, or the defaults where there is none: what is missing altogether is told there.
    pub(super) place: Origin,
    pub(super) need: Need,
    /// The ids of the apps that the settings file has.
    pub(super) apps_in_file: BTreeSet<String>,
    pub(super) read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    pub(super) judge_properties: super::JudgeProperties<'a>,
    pub(super) judge_kafka: super::JudgeKafka<'a>,
}

/// One row of one section.
pub(super) struct Reader<'a, 'b> {
    pub(super) section: &'static Section,
    pub(super) row: Row,
    pub(super) context: &'a mut Context<'b>,
}

impl Reader<'_, '_> {
    /// Whether somebody has written this key; a default has not been written.
    pub(super) fn given(&self, name: &str) -> bool {
        self.row.cells.get(name).is_some_and(|cell| cell.origin.layer != super::Layer::Default)
    }

    /// Whether a key's value has been told as a fault, so that no other check need speak of it.
    pub(super) fn faulty(&self, name: &str) -> bool {
        self.row.cells.get(name).is_some_and(|cell| matches!(cell.value, Value::Faulty))
    }

    /// Where a key stands, or the row where it does not.
    pub(super) fn origin(&self, name: &str) -> Origin {
        self.row.cells.get(name).map_or_else(|| self.row.origin.clone(), |cell| cell.origin.clone())
    }

    /// Where a key stands, and its path; an app goes by its id where no line tells which one is meant.
    fn place(&self, name: &str) -> (Origin, String) {
        let origin = self.origin(name);
        let path = match self.row.cells.get("app_id").map(|cell| &cell.value) {
            Some(Value::Text(id)) if origin.line.is_none() => format!("{}.{id}.{name}", self.section.path),
            Some(_) | None => self.section.path_of(name),
        };
        (origin, path)
    }

    /// Tells a fault of a key.
    pub(super) fn fault(&mut self, name: &str, what: impl Into<String>) {
        let (origin, path) = self.place(name);
        self.context.findings.fault(&origin, path, what);
    }

    /// Tells a warning of a key.
    pub(super) fn warn(&mut self, name: &str, what: impl Into<String>) {
        let (origin, path) = self.place(name);
        self.context.findings.warn(&origin, path, what);
    }

    /// Warns of a secret in a flag.
    pub(super) fn warn_of_secret_flag(&mut self, name: &str) {
        if self.origin(name).layer == super::Layer::Flag {
            let what = "a secret on the command line is seen by every user of the machine; use a file or a variable";
            self.warn(name, what);
        }
    }

    /// The value, or the default; a fault and `None` where the key must be given.
    fn value(&mut self, name: &str) -> Option<Value> {
        if let Some(cell) = self.row.cells.get(name) {
            return Some(cell.value.clone());
        }
        let key = self.section.key(name)?;
        let missing = match key.absent {
            Absent::Default(text) => return default(key, text),
            Absent::Nothing(_) => return None,
            Absent::FaultToRun(_) if !matches!(self.context.need, Need::Run | Need::Inspect) => return None,
            Absent::Fault(example) | Absent::FaultToRun(example) => example,
        };
        self.missing(name, &format!("for example: {name} = {missing}"));
        None
    }

    /// Tells that a key is missing, and what to do; not of a section that could not be read, where it may well stand.
    pub(super) fn missing(&mut self, name: &str, what: &str) {
        if !self.context.findings.unread.contains(self.section.path) {
            self.fault(name, format!("is missing; {what}"));
        }
    }

    pub(super) fn maybe_text(&mut self, name: &str) -> Option<String> {
        if let Some(Value::Text(text)) = self.value(name) { Some(text) } else { None }
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        self.maybe_text(name).unwrap_or_default()
    }

    pub(super) fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.maybe_text(name).map(PathBuf::from)
    }

    pub(super) fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.maybe_text(name).map(SecretString::from)
    }

    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        if let Some(Value::Texts(texts)) = self.value(name) { texts } else { Vec::new() }
    }

    pub(super) fn switch(&mut self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Switch(true)))
    }

    pub(super) fn number(&mut self, name: &str) -> Option<u64> {
        if let Some(Value::Number(number)) = self.value(name) { Some(number) } else { None }
    }

    /// A number that the key's bounds keep within the machine's word.
    pub(super) fn count(&mut self, name: &str) -> usize {
        self.number(name).and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX)
    }

    pub(super) fn code(&mut self, name: &str) -> i64 {
        if let Some(Value::Code(code)) = self.value(name) { code } else { 0 }
    }

    pub(super) fn span(&mut self, name: &str) -> Duration {
        if let Some(Value::Span(span)) = self.value(name) { span } else { Duration::ZERO }
    }

    /// `None` for "never".
    pub(super) fn span_or_never(&mut self, name: &str) -> Option<Duration> {
        if let Some(Value::Span(span)) = self.value(name) { Some(span) } else { None }
    }

    pub(super) fn properties(&mut self, name: &str) -> Properties {
        if let Some(Value::Properties(properties)) = self.value(name) { properties } else { Properties::new() }
    }

    /// The text of a file that a key names; a fault where it cannot be read.
    pub(super) fn file(&mut self, name: &str, path: &Path) -> Option<String> {
        match (self.context.read_file)(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.fault(
                    name,
                    format!("cannot read {}: {error}; check the path and its permissions", path.display()),
                );
                None
            }
        }
    }
}

/// The default of a key, from its TOML text; a test reads every default of the table.
pub(super) fn default(key: &Key, text: &str) -> Option<Value> {
    let item = toml_edit::Item::Value(text.parse().ok()?);
    let mut findings = Findings::default();
    let place = Origin::new(super::Layer::Default, "config/default.toml");
    let value = value::read(key.kind, &item, key.name, &|_| place.clone(), &mut findings);
    findings.faults.is_empty().then_some(value)
}
