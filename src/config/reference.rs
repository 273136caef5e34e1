//! The texts that are made from the table of keys, and the tests that keep them so (I15): config/default.toml and the
//! key tables of docs/configuration.md. `ORDER_SYNC_BLESS=1 cargo test --lib config::reference` writes them anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::key::{Absent, Kind, SECTIONS, Section, Shape};
use super::value::expected;

const HEAD: &str = "\
# The settings of order-sync with their defaults. This file is compiled in: a file of your own needs only what differs.
# Over the file stand ORDER_SYNC__SECTION__KEY variables, over those --set section.key=value.
# Keys without a default are shown as comments. Durations are a whole number and a unit: \"200ms\", \"15m\".
# Made from the descriptions in src/config; see docs/configuration.md.
";

fn default_toml() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let rows = section.shape == Shape::Rows;
        text.push('\n');
        comment(&mut text, section.doc);
        match (section.path, section.shape) {
            ("", _) => {}
            (path, Shape::Table) => writeln!(text, "[{path}]").unwrap(),
            (path, Shape::Rows) => writeln!(text, "# [[{path}]]").unwrap(),
        }
        for key in section.keys {
            text.push('\n');
            comment(&mut text, &format!("{}{}", key.doc, facts(key.kind, key.absent)));
            let mark = if rows || !matches!(key.absent, Absent::Default(_)) { "# " } else { "" };
            writeln!(text, "{mark}{} = {}", key.name, key.absent.text()).unwrap();
        }
    }
    text
}

fn facts(kind: Kind, absent: Absent) -> String {
    let required = match absent {
        Absent::Default(_) => "",
        Absent::Nothing(_) => " Optional.",
        Absent::Fault(_) => " Required.",
        Absent::FaultToRun(_) => " Required, except for `map`.",
    };
    format!("{}{required}", takes(kind))
}

fn takes(kind: Kind) -> String {
    if matches!(kind, Kind::Text | Kind::Secret) { String::new() } else { format!(" Takes {}.", expected(kind)) }
}

fn comment(text: &mut String, words: &str) {
    let mut line = "#".to_owned();
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > 118 {
            writeln!(text, "{line}").unwrap();
            line = "#".to_owned();
        }
        write!(line, " {word}").unwrap();
    }
    writeln!(text, "{line}").unwrap();
}

fn markdown(section: &Section) -> String {
    let title = match (section.path, section.shape) {
        ("", _) => "Above all tables".to_owned(),
        (path, Shape::Table) => format!("`[{path}]`"),
        (path, Shape::Rows) => format!("`[[{path}]]`"),
    };
    let mut text = format!("### {title}\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n", section.doc);
    for key in section.keys {
        let default = match key.absent {
            Absent::Default(value) => format!("`{value}`"),
            Absent::Nothing(_) => "–".to_owned(),
            Absent::Fault(_) => "required".to_owned(),
            Absent::FaultToRun(_) => "required (not for `map`)".to_owned(),
        };
        let example = match key.absent {
            Absent::Default(_) => String::new(),
            Absent::Nothing(text) | Absent::Fault(text) | Absent::FaultToRun(text) => format!(" Example: `{text}`."),
        };
        writeln!(text, "| `{}` | {default} | {}{}{example} |", key.name, key.doc, takes(key.kind)).unwrap();
    }
    text
}

fn committed(name: &str) -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    (path, text)
}

#[expect(clippy::disallowed_methods, reason = "a switch of these tests, no setting of the program")]
fn check(name: &str, expect: &str) {
    let (path, text) = committed(name);
    if text == expect {
        return;
    }
    assert!(
        std::env::var_os("ORDER_SYNC_BLESS").is_some(),
        "{name} is not what the keys in src/config say; write it anew: ORDER_SYNC_BLESS=1 cargo test --lib config::reference"
    );
    std::fs::write(path, expect).unwrap();
}

#[test]
fn the_defaults_file_holds_every_key() {
    check("config/default.toml", &default_toml());
}

#[test]
fn the_reference_holds_every_key() {
    const BEGIN: &str = "<!-- keys: begin, made from src/config -->\n";
    const END: &str = "<!-- keys: end -->\n";
    let (_, text) = committed("docs/configuration.md");
    let (before, rest) = text.split_once(BEGIN).expect("docs/configuration.md has lost its begin mark");
    let (_, after) = rest.split_once(END).expect("docs/configuration.md has lost its end mark");
    let tables: Vec<String> = SECTIONS.iter().map(|section| markdown(section)).collect();
    check("docs/configuration.md", &format!("{before}{BEGIN}\n{}\n{END}{after}", tables.join("\n")));
}

#[test]
fn every_default_fits_its_own_key_and_no_words_are_missing() {
    for section in SECTIONS {
        assert!(section.doc.len() > 10, "[{}] is not documented", section.path);
        for key in section.keys {
            let path = section.path_of(key.name);
            assert!(key.doc.len() > 20, "{path} is not documented");
            assert!(super::reader::default(key, key.absent.text()).is_some(), "{path}: {}", key.absent.text());
        }
    }
}
