//! What the parser takes and refuses, as tables, and hostile shapes at full size.

use super::*;

fn tree(text: &str) -> Json<'_> {
    Json::parse(text).unwrap()
}

#[test]
fn numbers_keep_what_the_contract_asks() {
    let check = |text: &str, expect: Json<'static>| assert_eq!(tree(text), expect, "{text}");
    check("0", Json::Int(0));
    check("-0", Json::Int(0));
    check("-1", Json::Int(-1));
    check("9223372036854775807", Json::Int(i64::MAX));
    check("9223372036854775808", Json::UInt(1 << 63));
    check("1.0", Json::Float(1.0));
    check("1e2", Json::Float(100.0));
    check("18446744073709551616", Json::Float(18_446_744_073_709_551_616.0));
}

#[test]
fn negative_zeros_are_told_apart_in_the_order_of_the_text() {
    let text = r#"["-0", -0, "\"-0", -0.0, -5, -0, {"-0":-0e5, "a":-0}, -1e-999, -0]"#;
    let Json::Array(items) = tree(text) else { panic!("an array") };
    let is_integer: Vec<bool> = items.iter().map(|item| *item == Json::Int(0)).collect();
    assert_eq!(is_integer, [false, true, false, false, false, true, false, false, true]);
    assert_eq!(items[6].get("a"), Some(&Json::Int(0)));
    assert!(matches!(items[6].get("-0"), Some(Json::Float(_))));
}

#[test]
fn objects_are_sorted_and_the_last_of_equal_keys_wins() {
    assert_eq!(tree(r#"{"b":1,"a":2,"b":3,"\u0061":4}"#), tree(r#"{"a":4,"b":3}"#));
    let Json::Object(members) = tree(r#"{"é":1,"z":2,"Z":3}"#) else { panic!("an object") };
    assert_eq!(members.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["Z", "z", "é"]);
}

#[test]
fn strings_borrow_unless_escaped() {
    assert!(matches!(tree(r#""plain""#), Json::Str(Cow::Borrowed("plain"))));
    assert_eq!(tree(r#""\u4f60\ud83d\ude00\n""#), Json::Str("你😀\n".into()));
}

#[test]
fn what_is_no_json_is_refused_without_its_values() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"secret\":1,}",
        "{secret:1}",
        "'secret'",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "NaN",
        "1 2",
        "\u{feff}{}",
        "\"secret",
        "\"\u{1}\"",
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#"{"\ud800":1}"#,
        r#"{"a":{"b":["\udfff"]}}"#,
        "1e400",
        "nul",
        "\"\\x\"",
    ] {
        let error = Json::parse(text).expect_err(text).to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_hundred_levels_are_taken_and_one_more_is_not() {
    let nested = |depth: usize, open: &str, close: &str| format!("{}0{}", open.repeat(depth), close.repeat(depth));
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"[\":", "}]")] {
        let levels = if open.len() > 5 { 2 } else { 1 };
        assert!(Json::parse(&nested(100 / levels, open, close)).is_ok(), "{open}");
        let error = Json::parse(&nested(100 / levels + 1, open, close)).unwrap_err();
        assert!(error.to_string().starts_with("nested more than 100 deep"), "{error}");
    }
    // Breadth is not depth, and brackets in strings are text.
    assert!(Json::parse(&format!("[{}[]]", "[],".repeat(1000))).is_ok());
    assert!(Json::parse(&format!("\"{}\"", "[".repeat(1000))).is_ok());
}

#[test]
fn hostile_records_of_a_mebibyte_are_linear() {
    let descending = (0..100_000).rev().map(|n| format!("\"{n:06}\":-0,")).collect::<Vec<_>>().concat();
    let cases = [
        format!("{{{descending}\"a\":-0}}"),
        format!("{{{}\"a\":1}}", "\"a\":-0,".repeat(150_000)),
        "[".repeat(1 << 20),
        "{\"a\":".repeat(200_000),
        format!("[{}1]", "-0.0,".repeat(200_000)),
        format!("-0.{}", "0".repeat(1 << 20)),
        format!("[{}]", "9".repeat(308)),
        "9".repeat(1 << 20),
        format!("\"{}", "\\\\".repeat(1 << 19)),
        format!("[{}-0]", "\"\\\"-0\",".repeat(130_000)),
    ];
    let start = std::time::Instant::now();
    for text in &cases {
        drop(Json::parse(text));
    }
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
