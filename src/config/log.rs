//! `[log]`: what is logged, and how.

use super::key::{Absent, Key, Kind, Section, Shape};
use super::nearest::{ALIKE, nearest};
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
            doc: "error, warn, info, debug, trace or off, or directives by module: \"info,order_sync::kafka=debug\".",
        },
    ],
};

/// The words for how much is logged.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Reads `[log]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Log {
    // A blank before a directive would become part of its module's name.
    let level = reader.text("level").split(',').map(str::trim).collect::<Vec<_>>().join(",");
    if reader.given("level") && !reader.faulty("level") {
        for what in faults(&level) {
            reader.fault("level", what);
        }
    }
    let format = match reader.text("format").as_str() {
        "pretty" => LogFormat::Pretty,
        "json" => LogFormat::Json,
        _ => LogFormat::Auto,
    };
    Log { format, level }
}

/// What is wrong with directives. `EnvFilter` takes a word that it does not know for a module whose every line is
/// wanted, and then drops the lines of all others: a misspelt level would silence the worker.
fn faults(level: &str) -> Vec<String> {
    let directives: Vec<&str> = level.split(',').filter(|directive| !directive.is_empty()).collect();
    let mut faults: Vec<String> = directives.iter().filter_map(|directive| fault(directive)).collect();
    let unreadable = || tracing_subscriber::EnvFilter::builder().parse(level).is_err();
    if directives.is_empty() || (faults.is_empty() && unreadable()) {
        let what = "is no log level; write error, warn, info, debug, trace or off, or \"info,order_sync::kafka=debug\"";
        faults.push(what.to_owned());
    }
    faults
}

fn fault(directive: &str) -> Option<String> {
    // Behind a span's `[name{field=value}]`, whose fields have equals signs of their own.
    let start = directive.rfind(']').map_or(0, |at| at + 1);
    let (module, word) = match directive[start..].rsplit_once('=') {
        Some((_, word)) => (&directive[..directive.len() - word.len() - 1], word.trim()),
        None => ("", directive),
    };
    if LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    Some(match (nearest(LEVELS, &lower, ALIKE), module) {
        (Some(level), _) => format!("\"{word}\" is no log level; did you mean \"{level}\"?"),
        (None, "") => format!(
            "\"{word}\" is no log level; write error, warn, info, debug, trace or off, or, where a module is meant, its \
             level too: \"{word}=debug\""
        ),
        (None, module) => {
            format!("\"{word}\" is no log level; write \"{module}=\" with error, warn, info, debug, trace or off")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_level_or_a_module_with_its_level_is_taken() {
        for good in [
            "info",
            "OFF",
            "info,order_sync=debug",
            "order_sync::kafka=trace,",
            "warn,[span{a=1}]=debug",
            "order_sync[span]=off",
        ] {
            assert_eq!(faults(good), [""; 0], "{good}");
        }
        for (bad, part) in [
            ("inof", "did you mean \"info\"?"),
            ("Debgu", "did you mean \"debug\"?"),
            ("order_sync=inof", "did you mean \"info\"?"),
            ("loud", "its level too: \"loud=debug\""),
            ("info,order_sync", "\"order_sync=debug\""),
            ("order_sync=", "write \"order_sync=\" with error,"),
            ("order_sync=loud", "write \"order_sync=\" with error,"),
            ("[span{a=debug}]", "is no log level"),
            (",", "is no log level"),
            ("order_sync[=debug", "is no log level"),
        ] {
            let told = faults(bad);
            assert!(told.len() == 1 && told[0].contains(part), "{bad}: {told:?}");
        }
    }
}
