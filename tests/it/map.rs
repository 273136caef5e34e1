//! `order-sync map`, as a producer's test would run it.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

const CONFIG: &str = "\
[[apps]]
app_id = \"tt1\"
client_key = \"ck\"
update_time_unit = \"milliseconds\"
";

const DOCUMENT: &str = r#"{"open_id":"u1","created_at":1694761300000,"total_price":1980,"page":{"path":"p"},"items":[{"title":"t","image_url":"i","price":1980}]}"#;

fn event(id: &str, status: &str, occurred_at: i64, rest: &str) -> String {
    format!(r#"{{"event_id":"{id}","order_id":"o1","status":"{status}","occurred_at":{occurred_at}{rest}}}"#)
}

fn map(directory: &Path) -> Command {
    let mut command = Command::cargo_bin("order-sync").unwrap();
    command.current_dir(directory).env_clear().arg("map");
    command
}

fn lines(output: &[u8]) -> Vec<Value> {
    output
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn room() -> tempfile::TempDir {
    let room = tempfile::tempdir().unwrap();
    std::fs::write(room.path().join("c.toml"), CONFIG).unwrap();
    room
}

#[test]
fn one_line_comes_out_per_event_and_a_dead_letter_gives_exit_3() {
    let room = room();
    let first = event("e1", "paid", 1_694_761_323_000, &format!(r#","order_type":"normal","order":{DOCUMENT}"#));
    let events = [
        first.clone(),
        String::new(),
        first,
        event("e2", "paid", 1_694_761_323_000, r#","order":{"note":1}"#),
        event("e3", "refunding", 1_694_761_322_999, ""),
        event("e4", "booked", 1_694_761_324_000, ""),
        event("e5", "redeemed", 1_694_761_323_000, ""),
        "{".to_owned(),
        "x".repeat(1_048_577),
    ];
    let mut bytes = events.join("\n").into_bytes();
    bytes.extend(b"\n\xff\n");
    let assert = map(room.path()).args(["--config", "c.toml"]).write_stdin(bytes).assert().code(3);
    let output = lines(&assert.get_output().stdout);
    let outcomes: Vec<&str> = output.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    let dead = "dead_letter";
    assert_eq!(outcomes, ["advanced", "duplicate", "unchanged", "stale", dead, "advanced", dead, dead, dead]);
    let reasons: Vec<&str> = output.iter().filter_map(|line| line.get("reason")?.as_str()).collect();
    assert_eq!(reasons, ["status_not_supported", "malformed_event", "record_too_large", "malformed_event"]);
    assert_eq!(
        output[0],
        json!({
            "order_id": "o1", "outcome": "advanced", "update_time": 1_694_761_323_000_i64,
            "request": {
                "app_name": "douyin", "open_id": "u1", "order_type": 0, "order_status": 1, "update_time": 1_694_761_323_000_i64,
                "order_detail": output[0]["request"]["order_detail"],
            },
        })
    );
    assert_eq!(output[1], json!({"order_id": "o1", "outcome": "duplicate", "update_time": null, "request": null}));
    assert_eq!(output[2]["update_time"], 1_694_761_323_000_i64);
    assert_eq!(output[5]["update_time"], 1_694_761_323_001_i64);
    assert_eq!((&output[4]["order_id"], &output[6]["order_id"]), (&json!("o1"), &Value::Null));
    assert_eq!(output[7]["message"], "key, value and headers are 1048577 bytes; at most 1048576");
}

#[test]
fn files_are_one_log_and_no_dead_letter_gives_exit_0() {
    let room = room();
    let first = event("e1", "paid", 1_694_761_323_000, &format!(r#","order_type":"normal","order":{DOCUMENT}"#));
    std::fs::write(room.path().join("a.jsonl"), first).unwrap();
    std::fs::write(room.path().join("b.jsonl"), event("e2", "redeemed", 1_694_761_323_000, "") + "\r\n").unwrap();
    // Without settings the stamp is in seconds.
    let assert = map(room.path()).args(["a.jsonl", "b.jsonl"]).assert().code(0);
    let output = lines(&assert.get_output().stdout);
    assert_eq!((&output[0]["update_time"], &output[1]["update_time"]), (&json!(1_694_761_323), &json!(1_694_761_324)));
    let note = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(note.starts_with("no settings file: every app_id is taken"), "{note}");
    let missing = map(room.path()).arg("missing.jsonl").assert().code(2);
    let error = String::from_utf8_lossy(&missing.get_output().stderr).into_owned();
    assert!(error.contains("cannot open missing.jsonl"), "{error}");
}

#[test]
fn text_is_for_people() {
    let room = room();
    let events = event("e1", "paid", 1_694_761_323_000, "") + "\n";
    let assert = map(room.path()).args(["--config", "c.toml", "--output", "text"]).write_stdin(events).assert().code(3);
    let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert_eq!(
        text,
        "line 1  order o1  dead_letter  incomplete_order: missing on the order's first event: order_type; \
         in the order document: open_id, created_at, total_price, page\n"
    );
}

#[test]
fn settings_from_outside_count_without_a_file() {
    let room = tempfile::tempdir().unwrap();
    let document = DOCUMENT.replace("\"title\":\"t\"", &format!("\"title\":\"{}\"", "t".repeat(300)));
    let event = event("e1", "paid", 1_694_761_323_000, &format!(r#","order_type":"normal","order":{document}"#));
    let outcome = |command: &mut Command, code| {
        let assert = command.write_stdin(event.clone()).assert().code(code);
        let line = lines(&assert.get_output().stdout).remove(0);
        (line["outcome"].as_str().unwrap().to_owned(), line["reason"].as_str().unwrap_or_default().to_owned())
    };
    let cut = ("advanced".to_owned(), String::new());
    let refused = ("dead_letter".to_owned(), "field_over_limit".to_owned());
    assert_eq!(outcome(&mut map(room.path()), 0), cut);
    assert_eq!(outcome(map(room.path()).args(["--set", "limits.text=strict"]), 3), refused);
    assert_eq!(outcome(map(room.path()).env("ORDER_SYNC__LIMITS__TEXT", "strict"), 3), refused);
    let both = ["--set", "limits.text=truncate"];
    assert_eq!(outcome(map(room.path()).env("ORDER_SYNC__LIMITS__TEXT", "strict").args(both), 0), cut);
    let unknown = ("dead_letter".to_owned(), "unknown_app".to_owned());
    let other = event.replace("\"order_id\"", "\"app_id\":\"tt2\",\"order_id\"");
    let mut one_app = map(room.path());
    one_app.args(["--set", "apps.tt1.client_key=ck"]).write_stdin(other);
    let line = lines(&one_app.assert().code(3).get_output().stdout).remove(0);
    assert_eq!((line["outcome"].as_str().unwrap(), line["reason"].as_str().unwrap()), (&*unknown.0, &*unknown.1));
    for (flag, hint) in [("limits.texxt=strict", "did you mean `limits.text`?"), ("a.b=1", "unknown section")] {
        let assert = map(room.path()).args(["--set", flag]).write_stdin(event.clone()).assert().code(2);
        let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(told.contains(hint), "{flag}: {told}");
    }
}

#[test]
fn explain_judges_by_settings_from_outside() {
    let room = tempfile::tempdir().unwrap();
    let explain = || {
        let mut command = Command::cargo_bin("order-sync").unwrap();
        command.current_dir(room.path()).env_clear();
        command.args(["explain", "--output", "json", "--body", r#"{"err_code":-777,"err_msg":"","body":""}"#]);
        command
    };
    let verdict = |command: &mut Command| {
        let assert = command.assert().code(0);
        lines(&assert.get_output().stdout)[0]["verdict"].as_str().unwrap().to_owned()
    };
    let rule = r#"[{code = -777, verdict = "suspend"}]"#;
    assert_ne!(verdict(&mut explain()), "suspend");
    assert_eq!(verdict(explain().args(["--set", &format!("douyin.error_codes={rule}")])), "suspend");
    assert_eq!(verdict(explain().env("ORDER_SYNC__DOUYIN__ERROR_CODES", rule)), "suspend");
    assert_eq!(
        verdict(explain().env("ORDER_SYNC__DOUYIN__ERROR_CODES", rule).env("ORDER_SYNC__APPS__tt1__SECRET", "s")),
        "suspend"
    );
    explain().args(["--set", "douyin.eror_codes=[]"]).assert().code(2);
}
