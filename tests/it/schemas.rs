//! The committed JSON Schemas are those that the types give.

use std::path::Path;

use assert_cmd::Command;

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let output =
        Command::new(env!("CARGO_BIN_EXE_order-sync")).args(["schema", "--check"]).arg(directory).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}run `make schemas` and commit the result");
}

#[test]
fn a_changed_or_missing_schema_is_found_and_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let run = |option: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        command.args(["schema", option]).arg(directory.path()).output().unwrap()
    };
    assert!(run("--write").status.success());
    assert!(run("--check").status.success());
    let event = directory.path().join("event.schema.json");
    std::fs::write(&event, "{}").unwrap();
    let output = run("--check");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("event.schema.json") && words.contains("make schemas"), "{words}");
    assert!(!words.contains("state.schema.json"), "{words}");
}
