//! Which room may use which: the import table of ARCHITECTURE.md, read from the shipped code.

use crate::source::{Source, is_word};

/// A room and what it may `use crate::`.
const TABLE: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("order", &[]),
    ("retry", &[]),
    ("douyin", &["order"]),
    ("sync", &["record", "order", "douyin", "retry", "telemetry"]),
    ("kafka", &["record", "order", "sync", "config", "telemetry"]),
    ("store", &["record", "order", "sync", "config", "telemetry"]),
    ("http", &["record", "douyin", "order", "sync", "config", "telemetry"]),
    ("inspect", &["record", "order", "sync", "telemetry"]),
    ("sandbox", &["douyin", "order", "config"]),
    ("config", &["order", "retry"]),
    ("telemetry", &["record", "order"]),
    (
        "app",
        &["record", "order", "retry", "douyin", "sync", "kafka", "store", "http", "sandbox", "config", "telemetry"],
    ),
    (
        "cli",
        &[
            "record",
            "order",
            "retry",
            "douyin",
            "sync",
            "kafka",
            "store",
            "http",
            "sandbox",
            "config",
            "telemetry",
            "inspect",
            "app",
        ],
    ),
];

/// The table's rows as ARCHITECTURE.md has them.
pub(crate) fn rows() -> Vec<String> {
    let cell = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let row = |(room, allowed): &(&str, &[&str])| match allowed.len() {
        0 => format!("| `{room}` | nothing |"),
        _ => format!("| `{room}` | {} |", cell(allowed)),
    };
    TABLE.iter().map(row).collect()
}

/// Every import that the table does not allow, and every room that it does not know.
pub(crate) fn faults(sources: &[Source]) -> Vec<String> {
    sources.iter().filter(|s| s.path.starts_with("src/")).flat_map(of_file).collect()
}

fn of_file(source: &Source) -> Vec<String> {
    let room = source.room();
    if matches!(room, "lib" | "main") {
        return Vec::new();
    }
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: the room {room} is not in the import table", source.path)];
    };
    uses(source)
        .into_iter()
        .filter(|(_, used)| used != room && !allowed.contains(&used.as_str()))
        .map(|(line, used)| format!("{}:{line}: {room} may not use {used}", source.path))
        .collect()
}

/// The rooms that the file names, through `crate::` or through `super::` up to the root.
fn uses(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // `code` is flattened, because a list of imports may go over several lines.
    for (line, behind) in places_to_the_end(source, "crate::") {
        found.extend(heads(behind).into_iter().map(|room| (line, room)));
    }
    let depth = source.module().len();
    let to_root = "super::".repeat(depth);
    for (line, behind) in places_to_the_end(source, &to_root) {
        found.extend(heads(behind).into_iter().filter(|r| r != "super").map(|room| (line, room)));
    }
    found
}

/// As `places`, but with all of the code behind each place.
fn places_to_the_end<'s>(source: &'s Source, word: &str) -> Vec<(usize, &'s str)> {
    let code = source.code.as_str();
    let own = |at: usize| !code[..at].ends_with(is_word) && !code[..at].ends_with("::");
    code.match_indices(word)
        .filter(|(at, _)| own(*at))
        .map(|(at, _)| (code[..at].matches('\n').count() + 1, &code[at + word.len()..]))
        .collect()
}

/// The first names behind `crate::`: one, or those of a `{…}` list.
fn heads(behind: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| is_word(*c)).collect::<String>();
    let Some(list) = behind.strip_prefix('{') else { return vec![name(behind)] };
    let (mut depth, mut out, mut start) = (0_usize, Vec::new(), 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                out.push(name(&list[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                out.push(name(&list[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    out.retain(|n| !n.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(faults(&[Source::new(path, text)]), expected, "{text}");
    }

    #[test]
    fn planted_imports_are_found() {
        check("src/order/fold.rs", "use crate::order::Json;\nuse super::state;", &[]);
        check("src/order/fold.rs", "use crate::douyin::limits;", &["src/order/fold.rs:1: order may not use douyin"]);
        check("src/http/edge.rs", "\nuse crate::store::Sled;", &["src/http/edge.rs:2: http may not use store"]);
        check("src/kafka/x.rs", "fn f() { crate::http::g() }", &["src/kafka/x.rs:1: kafka may not use http"]);
        check("src/sync/mod.rs", "use super::kafka;", &["src/sync/mod.rs:1: sync may not use kafka"]);
        check("src/sync/lane/x.rs", "use super::super::super::app;", &["src/sync/lane/x.rs:1: sync may not use app"]);
        check("src/sync/lane/x.rs", "use super::super::ports;", &[]);
        check("src/sync/x.rs", "use super::super::store::A;", &["src/sync/x.rs:1: sync may not use store"]);
        check(
            "src/telemetry/x.rs",
            "use crate::{order::{AppId, OrderState},\n record,\n config::Log};",
            &["src/telemetry/x.rs:1: telemetry may not use config"],
        );
        check("src/retry.rs", "use crate::order::X;", &["src/retry.rs:1: retry may not use order"]);
        check("src/app/worker.rs", "use crate::cli::exit;", &["src/app/worker.rs:1: app may not use cli"]);
        check("src/util/x.rs", "", &["src/util/x.rs: the room util is not in the import table"]);
        check("src/sync/x.rs", "#[cfg(test)]\nmod tests { use crate::store::Memory; }", &[]);
        check("src/sync/x_tests.rs", "use crate::store::Memory;", &[]);
    }
}
