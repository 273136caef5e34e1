//! What the pure rooms must not name (I1), and which room alone may name which library.
//!
//! The standard of proof is the name in the shipped code; a clock or a random source comes in as an argument.

use crate::source::Source;

/// Rooms and files without I/O, clock, environment and randomness of their own.
const PURE: [&str; 7] = [
    "src/record.rs",
    "src/order/",
    "src/douyin/",
    "src/retry",
    "src/sync/overlay",
    "src/sync/circuit",
    "src/sync/sharing",
];

/// What they do not name.
const IMPURE: [&str; 23] = [
    "tokio",
    "tokio_util",
    "rdkafka",
    "reqwest",
    "hyper",
    "axum",
    "sled",
    "tracing",
    "metrics",
    "governor",
    "SystemTime",
    "Instant::now",
    "SystemClock",
    "std::env",
    "env::var",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "fastrand::Rng::new",
    "fastrand::seed",
    "getrandom",
    "thread_rng",
];

/// A library, and the only part of `src/` that may name it.
const HOMES: [(&str, &[&str]); 10] = [
    ("sled::", &["src/store/"]),
    ("rdkafka::", &["src/kafka/"]),
    ("reqwest::", &["src/http/"]),
    ("ring::", &["src/http/"]),
    ("governor::", &["src/sync/pace.rs"]),
    ("backoff::", &["src/retry.rs", "src/retry/"]),
    ("metrics::", &["src/telemetry/"]),
    ("metrics_exporter_prometheus::", &["src/telemetry/"]),
    ("tracing_subscriber::", &["src/telemetry/", "src/config/log.rs"]),
    ("anyhow", &["src/cli/", "src/main.rs"]),
];

/// `fastrand`'s own functions draw from a global source; only its type may be named.
const GLOBAL_RANDOM: &str = "fastrand::";

pub(crate) fn faults(sources: &[Source]) -> Vec<String> {
    sources.iter().filter(|s| s.path.starts_with("src/")).flat_map(of_file).collect()
}

fn of_file(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    if PURE.iter().any(|pure| source.path.starts_with(pure)) {
        for word in IMPURE {
            let places = source.places(word);
            faults.extend(places.iter().map(|(n, _)| format!("{}:{n}: a pure room names {word}", source.path)));
        }
        for (line, behind) in source.places(GLOBAL_RANDOM) {
            if !behind.starts_with("Rng") {
                faults.push(format!("{}:{line}: a pure room names the global random source", source.path));
            }
        }
    }
    for (library, homes) in HOMES {
        if homes.iter().any(|home| source.path.starts_with(home)) {
            continue;
        }
        for (line, _) in source.places(library) {
            if !preceded_by_path(source, line, library) {
                let library = library.trim_end_matches("::");
                faults.push(format!("{}:{line}: {library} is named outside {}", source.path, homes.join(" and ")));
            }
        }
    }
    faults
}

/// Whether every mention on the line is a module of ours of the same name (`telemetry::metrics::…`).
fn preceded_by_path(source: &Source, line: usize, library: &str) -> bool {
    let text = source.code.lines().nth(line - 1).unwrap_or("");
    text.match_indices(library).all(|(at, _)| text[..at].ends_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: usize) {
        let found = faults(&[Source::new(path, text)]);
        assert_eq!(found.len(), expected, "{path}: {text}: {found:?}");
    }

    #[test]
    fn planted_impurities_are_found() {
        check("src/order/fold.rs", "let now = Instant::now();", 1);
        check("src/order/fold.rs", "use std::time::SystemTime;", 1);
        check("src/douyin/detail/x.rs", "tracing::warn!(\"x\");", 1);
        check("src/record.rs", "std::env::var(\"HOME\")", 2);
        check("src/sync/overlay.rs", "use tokio::sync::mpsc;", 1);
        check("src/sync/circuit.rs", "fastrand::u64(..)", 1);
        check("src/sync/circuit.rs", "fn f(rng: &mut fastrand::Rng)", 0);
        check("src/sync/circuit.rs", "fastrand::Rng::new()", 1);
        check("src/sync/deliver.rs", "use std::time::Instant; Instant::now()", 0);
        check("src/order/fold.rs", "// SystemTime is an argument\nlet a = \"tokio\";", 0);
    }

    #[test]
    fn libraries_stay_at_home() {
        check("src/sync/lane.rs", "use sled::Db;", 1);
        check("src/store/tree.rs", "use sled::Db;", 0);
        check("src/app/mod.rs", "rdkafka::util::get_rdkafka_version()", 1);
        check("src/sandbox/x.rs", "reqwest::Client::new()", 1);
        check("src/sync/lane.rs", "backoff::ExponentialBackoff", 1);
        check("src/retry.rs", "backoff::ExponentialBackoff", 0);
        check("src/http/x.rs", "metrics::counter!(\"x\")", 1);
        check("src/app/x.rs", "crate::telemetry::metrics::install()", 0);
        check("src/sync/x.rs", "fn f() -> anyhow::Result<()>", 1);
    }
}
