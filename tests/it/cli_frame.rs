//! The frame of the command line, as people and scripts meet it: help, exit codes, how faults are told.

use assert_cmd::Command;

/// The binary in an empty folder, without any setting of this machine.
pub fn order_sync(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    command.env_clear().current_dir(folder.path());
    command
}

fn help(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = order_sync(&folder).args(args).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    // Options end with a blank line that holds the indent of the text.
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Exit code, stdout, stderr.
fn run(folder: &tempfile::TempDir, args: &[&str]) -> (i32, String, String) {
    let output = order_sync(folder).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_help_teaches() {
    insta::assert_snapshot!("help", help(&["--help"]));
    for command in ["run", "check", "schema"] {
        insta::assert_snapshot!(format!("help_{command}"), help(&[command, "--help"]));
    }
}

#[test]
fn every_command_has_examples() {
    for command in [
        "run",
        "check",
        "map",
        "explain",
        "sandbox",
        "demo",
        "schema",
        "topics",
        "store",
        "dead-letters",
        "orders",
        "completions",
        "man",
    ] {
        let text = help(&[command, "--help"]);
        assert!(text.contains(&format!("  order-sync {command}")), "{command} shows no example:\n{text}");
    }
}

#[test]
fn shells_and_man_are_told_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, out, err) = run(&folder, &["completions", shell]);
        assert_eq!((code, err.as_str()), (0, ""), "{shell}");
        assert!(["dead-letters", "orders", "completions"].iter().all(|word| out.contains(word)), "{shell}: {out}");
    }
    let (code, page, _) = run(&folder, &["man"]);
    assert_eq!((code, page.contains(".TH order\\-sync 1") || page.contains(".TH order-sync 1")), (0, true), "{page}");
    let (code, written, err) = run(&folder, &["man", "--write", "pages"]);
    assert_eq!(code, 0, "{err}");
    for name in ["order-sync", "order-sync-run", "order-sync-dead-letters-show", "order-sync-orders-list"] {
        assert!(written.contains(&format!("{name}.1\n")), "{written}");
        let page = std::fs::read_to_string(folder.path().join("pages").join(format!("{name}.1"))).unwrap();
        assert!(page.replace("\\-", "-").contains(name), "{page}");
    }
}

#[test]
fn the_version_is_the_packages() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(&folder, &["--version"]);
    assert_eq!((code, out), (0, format!("order-sync {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_wrong_command_line_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["no-such-command"] as &[_],
        &[],
        &["run", "--no-such-option"],
        &["schema", "no-such-schema"],
        &["sandbox", "--faults", "zz"],
        &["sandbox", "--faults", "code:5=200%"],
        &["sandbox", "--threads", "0"],
        &["sandbox", "--listen", "0.0.0.0:0"],
    ] {
        let (code, out, err) = run(&folder, args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(!err.is_empty());
    }
}

#[test]
fn faulty_settings_end_with_two_and_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("order-sync.toml"), "[kafka]\nbrokr = \"x\"\n\n[log]\nformat = \"jsn\"\n")
        .unwrap();
    let (code, out, err) = run(&folder, &["check", "--offline"]);
    assert_eq!((code, out.as_str()), (2, ""));
    insta::assert_snapshot!("faulty_settings", err);
}

#[test]
fn the_settings_file_is_found_by_flag_then_variable_then_place() {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str| std::fs::write(folder.path().join(name), format!("in_{name} = 1").replace('.', "_")).unwrap();
    let told = |args: &[&str], variable: Option<&str>| {
        let mut command = order_sync(&folder);
        command.args(["check", "--offline"]).args(args);
        if let Some(variable) = variable {
            command.env("ORDER_SYNC_CONFIG", variable);
        }
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    assert!(told(&[], None).contains("no settings file: kafka.brokers: is missing"));
    for name in ["order-sync.toml", "variable.toml", "flag.toml"] {
        write(name);
    }
    assert!(told(&[], None).contains("order-sync.toml:1: in_order-sync_toml"));
    assert!(told(&[], Some("variable.toml")).contains("variable.toml:1: in_variable_toml"));
    assert!(told(&["--config", "flag.toml"], Some("variable.toml")).contains("flag.toml:1: in_flag_toml"));
    let missing = told(&["--config", "nowhere.toml"], None);
    assert!(missing.contains("cannot read the settings file nowhere.toml: "), "{missing}");
}

#[test]
fn print_shows_what_is_in_force_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[kafka]\nbrokers = \"k:9092\"\ngroup_id = \"g\"\ntopics = [\"t\"]\n[[apps]]\napp_id = \"tt1\"\n\
                    client_key = \"ck\"\n";
    std::fs::write(folder.path().join("order-sync.toml"), settings).unwrap();
    let output = order_sync(&folder)
        .args(["check", "--print", "--set", "delivery.max_in_flight=7"])
        .env("ORDER_SYNC__APPS__tt1__SECRET", "CANARY")
        .env("ORDER_SYNC__KAFKA__PROPERTIES__SASL_PASSWORD", "CANARY")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("max_in_flight = 7\n") && text.contains("secret = \"(hidden)\"\n"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_order-sync"))
        .arg("schema")
        .current_dir(folder.path())
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
