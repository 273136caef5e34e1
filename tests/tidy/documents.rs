//! Documents that must say what the code says: the two READMEs, the map in ARCHITECTURE.md, the reason codes, settings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// The two languages say the same in the same places: headings of the same depths, equal code blocks.
pub(crate) fn twins(english: &str, chinese: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if depths(english) != depths(chinese) {
        faults.push(format!("headings differ in depth or number: {:?} and {:?}", depths(english), depths(chinese)));
    }
    let (ours, theirs) = (blocks(english), blocks(chinese));
    if ours.len() != theirs.len() {
        faults.push(format!("{} code blocks and {}", ours.len(), theirs.len()));
    }
    for (at, (one, other)) in ours.iter().zip(&theirs).enumerate() {
        if one != other {
            faults.push(format!("code block {} differs:\n{one}\n---\n{other}", at + 1));
        }
    }
    faults
}

/// Depths of the headings outside code blocks.
fn depths(text: &str) -> Vec<usize> {
    let mut in_block = false;
    let mut out = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block && line.starts_with('#') {
            out.push(line.chars().take_while(|c| *c == '#').count());
        }
    }
    out
}

/// The code blocks, without what follows a `#` comment sign: comments are translated.
fn blocks(text: &str) -> Vec<String> {
    let uncommented = |line: &str| line.split(" #").next().unwrap_or("").trim_end().to_owned();
    let parts = text.split("```").skip(1).step_by(2);
    parts
        .map(|block| {
            let lines = block.lines().skip(1).filter(|l| !l.trim_start().starts_with('#'));
            lines.map(uncommented).collect::<Vec<_>>().join("\n")
        })
        .collect()
}

/// Names in back quotes that look like paths of the tree and are not there. A line with "to come" may run ahead.
pub(crate) fn dead_paths(document: &str, root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for line in document.lines().filter(|l| !l.contains("to come")) {
        for name in line.split('`').skip(1).step_by(2).filter(|n| looks_like_path(n)) {
            if !root.join(name).exists() {
                faults.push(format!("`{name}` is not there"));
            }
        }
    }
    faults
}

fn looks_like_path(name: &str) -> bool {
    let roots = ["src/", "tests/", "docs/", "config/", "schemas/", "benches/", "deploy/", ".ci/"];
    roots.iter().any(|root| name.starts_with(root)) && !name.contains(['*', '<', ' ', '{', '…'])
}

/// Words that the document does not hold in back quotes.
pub(crate) fn unsaid<'w>(document: &str, words: impl IntoIterator<Item = &'w str>) -> Vec<String> {
    words
        .into_iter()
        .filter(|w| !document.contains(&format!("`{w}`")))
        .map(|w| format!("says nothing of `{w}`"))
        .collect()
}

/// The reason codes, in snake case, from the enum's source.
pub(crate) fn reason_codes(fault: &str) -> Vec<String> {
    let body = fault.split_once("pub enum DeadLetterReason {").map_or("", |(_, behind)| behind);
    let body = body.split_once("\n}").map_or(body, |(before, _)| before);
    let variants = body.lines().map(str::trim).filter(|l| l.starts_with(|c: char| c.is_ascii_uppercase()));
    variants.map(|variant| snake_case(variant.trim_end_matches(','))).collect()
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Keys of a TOML file with no comment on their line or on the line above.
pub(crate) fn undocumented_keys(toml: &str) -> Vec<String> {
    let lines: Vec<&str> = toml.lines().collect();
    let mut faults = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let bare = line.trim_start_matches("# ").trim_start_matches('#');
        let key = bare.split_once(" = ").map(|(key, _)| key.trim());
        let is_key = key.is_some_and(|k| !k.is_empty() && k.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        let above = at.checked_sub(1).and_then(|i| lines.get(i)).unwrap_or(&"");
        if is_key && !above.starts_with('#') && !line.trim_start_matches('#').contains('#') {
            faults.push(format!("line {}: {}", at + 1, line.trim()));
        }
    }
    faults
}

/// The keys of each table of the settings, from their schema.
pub(crate) fn settings(schema: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let keys = |table: &Value| Some(table.get("properties")?.as_object()?.keys().cloned().collect());
    let tables = schema["properties"].as_object().into_iter().flatten();
    // An array of tables has its keys below `items`.
    tables.filter_map(|(name, it)| Some((name.clone(), keys(it.get("items").unwrap_or(it))?))).collect()
}

/// Settings in back quotes (`table.key`) that the table does not have.
pub(crate) fn unknown_settings(document: &str, settings: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    let is_apart = |c: char| !c.is_ascii_alphanumeric() && !"_-./".contains(c);
    for (at, line) in document.lines().enumerate() {
        let words = line.split('`').skip(1).step_by(2).flat_map(|quoted| quoted.split(is_apart));
        for (word, (table, key)) in words.filter_map(|word| Some((word, word.split_once('.')?))) {
            let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_key && settings.get(table).is_some_and(|keys| !keys.contains(key)) {
                faults.push(format!("line {}: there is no setting `{word}`", at + 1));
            }
        }
    }
    faults
}

/// Names of tests (`name_of_test`) in the invariants' list that no source holds.
pub(crate) fn unproven(architecture: &str, code: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let invariants = architecture.lines().filter(|l| l.starts_with("- **I") || l.starts_with("| I"));
    for line in invariants {
        let named: Vec<&str> =
            line.split('`').skip(1).step_by(2).filter(|n| n.contains('_') && !n.contains('.')).collect();
        if named.is_empty() && !line.contains("not yet: ") {
            faults.push(format!("no test is named, nor is it said to come: {line}"));
        }
        for name in named {
            let function = name.rsplit("::").next().unwrap_or(name);
            if !code.contains(&format!("fn {function}(")) {
                faults.push(format!("there is no test `{name}`"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_drift_is_found() {
        let english = "# A\n```sh\n# run it\nmake demo # fast\n```\n## B\n";
        assert_eq!(twins(english, "# 甲\n```sh\n# 运行\nmake demo # 快\n```\n## 乙\n"), [] as [&str; 0]);
        assert_eq!(twins(english, "# 甲\n```sh\nmake demo\n```\n").len(), 1);
        assert_eq!(twins(english, "# 甲\n```sh\nmake test\n```\n## 乙\n").len(), 1);
        assert_eq!(twins(english, "# 甲\n## 乙\n").len(), 1);

        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(dead_paths("`src/lib.rs` and `src/lost.rs` and `order`", root), ["`src/lost.rs` is not there"]);
        assert_eq!(unsaid("`one` two", ["one", "two"]), ["says nothing of `two`"]);

        assert_eq!(undocumented_keys("# How long.\na = 1\nb_c = 2 # What for.\n\n[x]\nd = 3\n"), ["line 6: d = 3"]);
        let source = "pub enum DeadLetterReason {\n    /// A.\n    MissingKey,\n    /// B.\n    UnknownApp,\n}\nX,";
        assert_eq!(reason_codes(source), ["missing_key", "unknown_app"]);

        let schema = r#"{"properties": {"a": {"properties": {"b_c": {}, "properties": {}}}, "time": {"type": "string"},
            "apps": {"items": {"properties": {"id": {}}}}}}"#;
        let known = settings(&serde_json::from_str(schema).unwrap());
        let sound =
            "`a.b_c = 1`, `--set a.b_c=1`, a.d, `a.properties.d`, `apps.id`, `apps.tt1.d`, `x.d`, `time.d`, `a.d.e`";
        assert_eq!(unknown_settings(sound, &known), [] as [&str; 0]);
        assert_eq!(unknown_settings("\n`a.d` and `!a.b_c`", &known), ["line 2: there is no setting `a.d`"]);
        assert_eq!(unknown_settings("`a.id = 1`, `apps.b_c`", &known).len(), 2);

        let list =
            "- **I1** pure: `a_test`\n- **I2** not yet: issue 4\n- **I3** proven by nothing\n- **I4** `m::lost_test`\n";
        assert_eq!(unproven(list, "fn a_test() {}").len(), 2);
    }
}
