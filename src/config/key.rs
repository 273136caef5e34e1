//! The description of every key: name, type, default, and words for people. One table for the loader, the built-in
//! defaults, the reference in docs/configuration.md and the JSON Schema, so that none can forget a key (I15).

use std::time::Duration;

use super::nearest::{ALIKE, nearest};

/// A table of the settings file, or a list of tables.
pub(super) struct Section {
    /// `kafka`; empty for the keys above all tables; `douyin.error_codes`.
    pub(super) path: &'static str,
    /// One table, or many.
    pub(super) shape: Shape,
    /// What it is about.
    pub(super) doc: &'static str,
    /// Its keys, in the order in which people read them.
    pub(super) keys: &'static [Key],
}

/// Whether a section stands once or many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `[kafka]`
    Table,
    /// `[[apps]]`
    Rows,
}

/// One key.
pub(super) struct Key {
    /// Its name within the section.
    pub(super) name: &'static str,
    /// Type and range.
    pub(super) kind: Kind,
    /// What holds when it is absent.
    pub(super) absent: Absent,
    /// What it is, and when to change it.
    pub(super) doc: &'static str,
}

/// What holds when a key is absent. The texts are TOML values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// This value.
    Default(&'static str),
    /// Nothing: the key may be left out. The text is an example.
    Nothing(&'static str),
    /// It must be given. The text is an example.
    Fault(&'static str),
    /// It must be given to run or to read ([`super::Need::Run`], [`super::Need::Inspect`]), and may be missing for
    /// everything else. The text is an example.
    FaultToRun(&'static str),
}

impl Absent {
    /// The default or the example, a TOML value.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Default(text) | Self::Nothing(text) | Self::Fault(text) | Self::FaultToRun(text) => text,
        }
    }
}

/// Type and range of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text, not empty.
    Text,
    /// Text that no message, log or dump may show.
    Secret,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of texts, or one text with commas.
    CommaTexts,
    /// A whole number within bounds, both included.
    Number(u64, u64),
    /// Bytes, as a number or as `"64MiB"`, within bounds.
    Bytes(u64, u64),
    /// Any whole number.
    Code,
    /// A duration within bounds, both included.
    Span(Duration, Duration),
    /// The same, or `"never"`.
    SpanOrNever(Duration, Duration),
    /// A time, or `"earliest"`, `"latest"`.
    Start,
    /// A table of texts, numbers and switches, whose keys are another system's; values are secret.
    Properties,
}

impl Section {
    /// The key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The path of a name within this section.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// Every section, in the order of the file.
pub(super) const SECTIONS: &[&Section] = &[
    &super::settings::SECTION,
    &super::kafka::SECTION,
    &super::store::SECTION,
    &super::app::SECTION,
    &super::douyin::SECTION,
    &super::error_code::SECTION,
    &super::delivery::SECTION,
    &super::circuit::SECTION,
    &super::limits::SECTION,
    &super::admin::SECTION,
    &super::log::SECTION,
];

/// The section of this path.
pub(super) fn section(path: &str) -> Option<&'static Section> {
    SECTIONS.iter().copied().find(|section| section.path == path)
}

/// What somebody who wrote this unknown name may have meant: a key nearby, a section, or the same key elsewhere.
pub(super) fn suggest(within: &Section, name: &str) -> String {
    let elsewhere = SECTIONS.iter().filter(|section| section.key(name).is_some()).map(|section| section.path_of(name));
    if let Some(path) = elsewhere.into_iter().next() {
        return format!("`{path}` exists; did you mean that?");
    }
    let below = SECTIONS.iter().filter_map(|section| match section.path.rsplit_once('.') {
        Some((parent, last)) => (parent == within.path).then_some(last),
        None => within.path.is_empty().then_some(section.path),
    });
    let known: Vec<&str> =
        within.keys.iter().map(|key| key.name).chain(below.filter(|path| !path.is_empty())).collect();
    match nearest(known.iter().copied(), name, ALIKE) {
        Some(near) => format!("did you mean `{}`?", within.path_of(near)),
        None => format!("known here: {}; docs/configuration.md has them all", known.join(", ")),
    }
}
