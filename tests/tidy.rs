//! The house rules that no compiler checks, read from the sources: who may use whom, what is pure, sizes, names, and
//! documents that say what the code says. ARCHITECTURE.md and CONTRIBUTING.md explain them.
//!
//! Each rule has a test with a planted violation beside it, in `tests/tidy/`.

#![expect(clippy::expect_used, reason = "a checker that cannot read the tree has nothing better to do than stop")]

#[path = "tidy/alerts.rs"]
mod alerts;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/plants.rs"]
mod plants;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// What `git` does not keep, and what others wrote.
const SKIPPED: [&str; 6] = [".git", "target", "var", ".cache", "Cargo.lock", "LICENSE"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the tree that is text, as (path from the root, text).
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree") {
            let path = entry.expect("an entry of the tree").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let below = path.strip_prefix(root()).expect("below the root");
                found.push((below.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    found.sort();
    found
}

fn rust_files() -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter(|(path, _)| Path::new(path).extension().is_some_and(|e| e == "rs"))
}

fn sources() -> Vec<Source> {
    let sources: Vec<Source> = rust_files().map(|(path, text)| Source::new(&path, &text)).collect();
    assert!(sources.len() > 20, "the tree was not found");
    sources
}

fn assert_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}\n  {}", faults.join("\n  "));
}

/// A document of the root; `None` while it is not written.
fn document(name: &str) -> Option<String> {
    fs::read_to_string(root().join(name)).ok()
}

#[test]
fn rooms_use_only_what_the_import_table_allows() {
    assert_none("import table (ARCHITECTURE.md)", &imports::faults(&sources()));
}

#[test]
fn pure_rooms_are_pure_and_libraries_stay_at_home() {
    assert_none("purity (ARCHITECTURE.md)", &purity::faults(&sources()));
}

#[test]
fn files_are_short() {
    assert_none("split by what a reader looks for", &words::too_long(&sources()));
}

#[test]
fn folders_have_a_mod_rs_that_only_names() {
    assert_none("layout (CONTRIBUTING.md)", &words::layout(&sources()));
}

#[test]
fn every_file_is_compiled() {
    assert_none("orphans", &words::orphans(&sources()));
}

#[test]
fn names_say_something() {
    assert_none("names (CONTRIBUTING.md)", &words::names(&sources()));
}

#[test]
fn no_text_names_a_machine_or_a_registry_or_forgets_its_issue() {
    let faults: Vec<String> = files().iter().flat_map(|(path, text)| words::texts(path, text)).collect();
    assert_none("texts (CONTRIBUTING.md)", &faults);
}

#[test]
fn the_readmes_are_twins() {
    if let (Some(english), Some(chinese)) = (document("README.md"), document("README.zh-CN.md")) {
        assert_none("README.md and README.zh-CN.md", &documents::twins(&english, &chinese));
    }
}

#[test]
fn every_reason_code_is_explained() {
    let Some((_, fault)) = files().into_iter().find(|(path, _)| path == "src/order/fault.rs") else {
        panic!("src/order/fault.rs, where the reason codes are, has moved: tell tests/tidy.rs");
    };
    let codes = documents::reason_codes(&fault);
    assert!(codes.len() >= 15, "{codes:?}");
    for name in ["README.md", "README.zh-CN.md"] {
        if let Some(text) = document(name) {
            assert_none(name, &documents::unsaid(&text, codes.iter().map(String::as_str)));
        }
    }
}

#[test]
fn every_alert_and_reason_code_has_its_place_in_both_runbooks() {
    let read = |name: &str| document(name).expect("the runbooks and what they stand on");
    let rules = alerts::read(&read("deploy/prometheus/order-sync.rules.yaml")).expect("rules that Prometheus can read");
    let rows = alerts::metric_rows(&read("docs/metrics.md"));
    assert!(rules.len() >= 15 && rows.len() >= 25, "{} rules, {} metrics", rules.len(), rows.len());
    let faults: Vec<String> = rules.iter().flat_map(|alert| alerts::faults(alert, &rows)).collect();
    assert_none("deploy/prometheus/order-sync.rules.yaml", &faults);

    let codes = documents::reason_codes(&read("src/order/fault.rs")).into_iter().map(|code| format!("`{code}`"));
    let wanted: BTreeSet<String> = rules.iter().map(|alert| alert.name.clone()).chain(codes).collect();
    let (english, chinese) = (read("docs/runbook.md"), read("docs/runbook.zh-CN.md"));
    assert_none("docs/runbook.md", &alerts::runbook_faults(&english, &wanted));
    assert_none("docs/runbook.zh-CN.md", &alerts::runbook_faults(&chinese, &wanted));
    assert_none("docs/runbook.md and docs/runbook.zh-CN.md", &documents::twins(&english, &chinese));
}

#[test]
fn architecture_md_names_what_is_there() {
    let text = document("ARCHITECTURE.md").expect("ARCHITECTURE.md");
    assert_none("the map in ARCHITECTURE.md", &documents::dead_paths(&text, root()));
    let rows = imports::rows();
    let missing: Vec<String> = rows.iter().filter(|row| !text.contains(row.as_str())).cloned().collect();
    assert_none("rows of the import table that ARCHITECTURE.md does not have", &missing);
    let code: String = rust_files().map(|(_, text)| text).collect();
    assert_none("the invariants in ARCHITECTURE.md", &documents::unproven(&text, &code));
}

#[test]
fn every_planted_bug_is_told_and_guards_a_promise() {
    let read = |name: &str| document(name).expect("what is planted, and what is said of it");
    let code: String = rust_files().map(|(_, text)| text).collect();
    let faults = plants::faults(&plants::Plants {
        patch: &read("tests/simulate/planted/engine.patch"),
        list: &read("tests/simulate/planted/plants.txt"),
        fakes: &read("tests/simulate/plant.rs"),
        document: &read("docs/testing.md"),
        architecture: &read("ARCHITECTURE.md"),
        code: &code,
    });
    assert_none("bugs that are planted, and docs/testing.md", &faults);
}

#[test]
fn every_planted_bug_has_its_place() {
    let patch = document("tests/simulate/planted/engine.patch").expect("what is planted");
    let faults = plants::misfits(&patch, document);
    assert_none("places of tests/simulate/planted/engine.patch; put them right, and run `make planted`", &faults);
}

#[test]
fn every_setting_is_in_the_default_file() {
    let Some(text) = document("config/default.toml") else { return };
    let undocumented = documents::undocumented_keys(&text);
    assert_none("config/default.toml: a key without a comment above it", &undocumented);
}

#[test]
fn every_setting_that_a_document_names_is_there() {
    let schema = document("schemas/settings.schema.json").expect("the schema of the settings");
    let settings = documents::settings(&serde_json::from_str(&schema).expect("a schema in JSON"));
    assert!(settings.len() >= 9 && settings.contains_key("apps"), "{settings:?}");
    let is_manual = |path: &str| path.starts_with("docs/") || path.starts_with("README");
    let faults = files().into_iter().filter(|(path, _)| is_manual(path)).flat_map(|(path, text)| {
        let unknown = documents::unknown_settings(&text, &settings);
        unknown.into_iter().map(move |fault| format!("{path}: {fault}"))
    });
    assert_none("settings (config/default.toml has them all)", &faults.collect::<Vec<_>>());
}
