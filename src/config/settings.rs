//! All settings together, validated.

use std::time::Duration;

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;
use super::{Admin, App, Circuit, Delivery, Douyin, Kafka, Limits, Log, Store};

/// All settings, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[kafka]`
    pub kafka: Kafka,
    /// `[store]`
    pub store: Store,
    /// `[[apps]]`, at least one, no id twice.
    pub apps: Vec<App>,
    /// `[douyin]`
    pub douyin: Douyin,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[circuit]`
    pub circuit: Circuit,
    /// `[limits]`
    pub limits: Limits,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// `shutdown_timeout`: how long draining may take (10 s).
    pub shutdown_timeout: Duration,
}

pub(super) const SECTION: Section = Section {
    path: "",
    shape: Shape::Table,
    doc: "Keys that belong to no table; in the file they stand above the first `[table]`.",
    keys: &[Key {
        name: "shutdown_timeout",
        kind: Kind::Span(Duration::ZERO, Duration::from_secs(600)),
        absent: Absent::Default("\"10s\""),
        doc: "How long SIGTERM or SIGINT may take: running attempts end, the last commit is made (a fifth of this time is \
              kept for it, at most 2 s), then the process ends. What still waits for Kafka or for the disk then gets \
              5 s more, and is left behind. Keep it that much below the grace period of whatever stops the process \
              (Kubernetes: 30 s).",
    }],
};

/// Reads the keys above all tables.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Duration {
    reader.span("shutdown_timeout")
}
