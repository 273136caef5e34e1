//! Where a setting came from, what is wrong with it, and how all of that is told at once.
//!
//! No message here ever holds the value of a secret.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Where a setting was read: a file and a line, a variable, a flag, or the built-in defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which layer.
    pub layer: Layer,
    /// The file's name, the variable's name, `--set`.
    pub name: Arc<str>,
    /// The line in the file, from 1.
    pub line: Option<usize>,
}

/// The layers, each over the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// config/default.toml, compiled in.
    Default,
    /// The settings file.
    File,
    /// A file that a setting names.
    Named,
    /// `ORDER_SYNC__…`
    Environment,
    /// `--set`
    Flag,
}

impl Origin {
    /// Names a whole source.
    pub fn new(layer: Layer, name: impl Into<Arc<str>>) -> Self {
        Self { layer, name: name.into(), line: None }
    }

    /// A line of the same source.
    #[must_use]
    pub fn at(&self, line: Option<usize>) -> Self {
        Self { line, ..self.clone() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// One thing that is wrong, or that deserves a warning: `path:line: section.key: what; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub origin: Origin,
    /// The key's path, for example `delivery.max_in_flight`; empty where the file as a whole is at fault.
    pub key: String,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// Everything that is wrong with the settings, at least one fault, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the settings have a fault:")?,
            count => write!(f, "the settings have {count} faults:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// What reading has found so far, good enough to go on reading.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    /// Sections that somebody has written and nobody can read: it is unknown what is missing in them.
    pub(super) unread: BTreeSet<&'static str>,
}

impl Findings {
    pub(super) fn fault(&mut self, origin: &Origin, key: impl Into<String>, what: impl Into<String>) {
        self.faults.push(Fault { origin: origin.clone(), key: key.into(), what: what.into() });
    }

    pub(super) fn warn(&mut self, origin: &Origin, key: impl Into<String>, what: impl Into<String>) {
        self.warnings.push(Fault { origin: origin.clone(), key: key.into(), what: what.into() });
    }

    /// Sorts both lists by place: the file from top to bottom, then a file that it names, variables,
    /// flags.
    pub(super) fn sort(&mut self) {
        for list in [&mut self.faults, &mut self.warnings] {
            list.sort_by_key(|fault| (fault.origin.layer, fault.origin.line));
        }
    }
}
