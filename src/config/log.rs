//! `[log]`: what is logged, and how.

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// `format`: `auto` (pretty on a terminal, JSON otherwise), `pretty`, `json`.
    pub format: LogFormat,
    /// `level`: an `EnvFilter` directive (`info`).
    pub level: String,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

pub(super) const SECTION: Section = Section {
    path: "log",
    shape: Shape::Table,
    doc: "What is logged (on stderr), and how.",
    keys: &[
        Key {
            name: "format",
            kind: Kind::Word(&["auto", "pretty", "json"]),
            absent: Absent::Default("\"auto\""),
            doc: "`auto` is pretty on a terminal and JSON, one object per line, everywhere else.",
        },
        Key {
            name: "level",
            kind: Kind::Text,
            absent: Absent::Default("\"info\""),
            doc: "error, warn, info, debug or trace, or directives by module: \"info,order_sync::kafka=debug\".",
        },
    ],
};

/// Reads `[log]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Log {
    let level = reader.text("level");
    if !level.is_empty() && tracing_subscriber::EnvFilter::builder().parse(&level).is_err() {
        let what = "is no log level; write error, warn, info, debug or trace, or \"info,order_sync::kafka=debug\"";
        reader.fault("level", what);
    }
    let format = match reader.text("format").as_str() {
        "pretty" => LogFormat::Pretty,
        "json" => LogFormat::Json,
        _ => LogFormat::Auto,
    };
    Log { format, level }
}
