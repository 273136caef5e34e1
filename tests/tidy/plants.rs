//! The bugs that are planted, and docs/testing.md, which says what each of them guards and who finds it.

use std::collections::{BTreeMap, BTreeSet};

/// The places that have to agree.
#[derive(Clone, Copy)]
pub(crate) struct Plants<'t> {
    /// The patch of the engine, where a bug is `planted("name")`.
    pub(crate) patch: &'t str,
    /// Their list, with who finds each.
    pub(crate) list: &'t str,
    /// The enum of those that the fakes of the simulation play.
    pub(crate) fakes: &'t str,
    /// docs/testing.md.
    pub(crate) document: &'t str,
    /// ARCHITECTURE.md, for the invariants.
    pub(crate) architecture: &'t str,
    /// All of the code, for the names of tests.
    pub(crate) code: &'t str,
}

/// What is in one place and not in another, in words.
pub(crate) fn faults(plants: &Plants<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let (patched, listed) = (in_patch(plants.patch), in_list(plants.list));
    let names: BTreeSet<String> = listed.keys().cloned().collect();
    faults.extend(patched.symmetric_difference(&names).map(|name| format!("{name}: in one of patch and list only")));
    for (name, test) in listed.iter().filter(|(_, test)| !test.is_empty()) {
        let function = test.rsplit("::").next().unwrap_or(test);
        if !plants.code.contains(&format!("fn {function}(")) {
            faults.push(format!("{name}: there is no test {test}"));
        }
    }
    let fakes = variants(plants.fakes);
    let known: BTreeSet<String> = names.union(&fakes).cloned().collect();
    let (found, guarded) = (rows(plants.document, FOUND), rows(plants.document, GUARDED));
    let told: BTreeSet<String> = found.iter().filter_map(|row| quoted(&row[0]).pop()).collect();
    faults.extend(known.symmetric_difference(&told).map(|name| format!("{name}: planted or told, and not both")));
    for row in &found {
        let Some(name) = quoted(&row[0]).pop() else { continue };
        let by = row.last().cloned().unwrap_or_default();
        let test = listed.get(&name).map(String::as_str).unwrap_or_default();
        let function = test.rsplit("::").next().unwrap_or(test);
        let is_told = if test.is_empty() { by.parse::<u64>().is_ok() } else { by == format!("`{function}`") };
        if !is_told {
            faults.push(format!("{name}: found by {by:?}, says docs/testing.md, and the list says {test:?}"));
        }
    }
    let guards: BTreeSet<String> = guarded.iter().flat_map(|row| quoted(&row[1])).collect();
    faults.extend(known.difference(&guards).map(|name| format!("{name}: guards nothing, by docs/testing.md")));
    for name in guards.difference(&known) {
        if !plants.code.contains(&format!("fn {name}(")) {
            faults.push(format!("{name}: guards something, and is neither a bug that is planted nor a test"));
        }
    }
    for row in guarded.iter().filter(|row| quoted(&row[1]).is_empty()) {
        faults.push(format!("nothing is planted against: {}", row[0]));
    }
    let invariants = plants.architecture.lines().filter_map(|line| line.strip_prefix("- **I")?.split_once("**"));
    for (number, _) in invariants {
        if !guarded.iter().any(|row| row[0].starts_with(&format!("**I{number}**"))) {
            faults.push(format!("I{number}: docs/testing.md has no bug that is planted against it"));
        }
    }
    faults
}

/// Places of the patch that the sources do not have line by line: `patch` would guess where they belong, or refuse.
pub(crate) fn misfits(patch: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for file in patch.split("\n+++ b/").skip(1) {
        let (name, hunks) = file.split_once('\n').unwrap_or((file, ""));
        let text = read(name).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for hunk in hunks.split("@@ -").skip(1) {
            let (place, body) = hunk.split_once('\n').unwrap_or((hunk, ""));
            let body = body.lines().take_while(|line| !line.starts_with("diff --git "));
            let old: Vec<&str> = body.filter(|line| !line.starts_with('+')).filter_map(|line| line.get(1..)).collect();
            if old.is_empty() || !lines.windows(old.len()).any(|window| window == old) {
                let place = place.split_whitespace().next().unwrap_or_default();
                faults.push(format!("{name}: what the patch has for line {place} is not there"));
            }
        }
    }
    faults
}

/// The heads of the tables that say who finds a bug, and what it is planted against.
const FOUND: &[&str] = &["| planted in the fakes |", "| patched into the engine |"];
const GUARDED: &[&str] = &["| promise |"];

fn in_patch(patch: &str) -> BTreeSet<String> {
    let lines = patch.lines().filter(|line| line.starts_with('+'));
    let names = lines.flat_map(|line| line.split("planted(\"").skip(1).filter_map(|rest| rest.split_once('"')));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// The names, each with its test; none where the simulation finds it.
fn in_list(list: &str) -> BTreeMap<String, String> {
    let lines = list.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let parts = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    parts.map(|p| (p[0].to_owned(), p.get(2).copied().unwrap_or_default().to_owned())).collect()
}

fn variants(code: &str) -> BTreeSet<String> {
    let list = code.split_once("pub(crate) const ALL").map_or("", |(_, rest)| rest);
    let names = list.split("Self::").skip(1).filter_map(|rest| rest.split_once(','));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// The rows of the tables with these heads, cell by cell.
fn rows(document: &str, heads: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut is_in = false;
    for line in document.lines() {
        is_in = (is_in && line.starts_with('|')) || heads.iter().any(|head| line.starts_with(head));
        if is_in && !line.starts_with("|---") && !heads.iter().any(|head| line.starts_with(head)) {
            found.push(line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect());
        }
    }
    found
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_misfits_are_found() {
        let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-b\n+planted\n c\n@@ -9,1 +9,2 @@\n z\n+y\n\
                     diff --git a/w b/w\n--- a/w\n+++ b/w\n@@ -1,1 +1,2 @@\n w\n+v\n";
        let faults = |x: &str| {
            let read = |path: &str| Some(if path == "x" { x.to_owned() } else { "w\n".to_owned() });
            misfits(patch, read).len()
        };
        assert_eq!(faults("a\nb\nc\nd\nz\n"), 0);
        assert_eq!((faults("a\nb\nd\nc\nz\n"), faults("a\nB\nc\n"), faults("")), (1, 2, 2));
        assert_eq!(misfits(patch, |_| None).len(), 3);
    }

    #[test]
    fn planted_differences_are_found() {
        let document = "| promise | bugs |\n|---|---|\n| **I1** a | `a`, `Fake` |\n| b | `b`, `a_test` |\n\n\
                        | planted in the fakes | worlds |\n|---|---|\n| f (`Fake`) | 7 |\n\n\
                        | patched into the engine | found by |\n|---|---|\n| a (`a`) | 1 |\n| b (`b`) | `a_test` |\n";
        let sound = Plants {
            patch: "+ planted(\"a\") || planted(\"b\")\n- planted(\"c\")",
            list: "# x\na simulation\nb  lib x::a_test\n",
            fakes: "pub(crate) const ALL: [Self; 1] = [\n Self::Fake,\n];",
            document,
            architecture: "- **I1** a",
            code: "fn a_test()",
        };
        assert_eq!(faults(&sound), [] as [&str; 0]);
        assert_eq!(faults(&Plants { patch: "+ planted(\"a\")", ..sound }).len(), 1);
        assert_eq!(faults(&Plants { list: "a simulation\n", ..sound }).len(), 4);
        assert_eq!(faults(&Plants { list: "a simulation\nb lib x::lost_test\n", ..sound }).len(), 2);
        assert_eq!(faults(&Plants { fakes: "", ..sound }).len(), 2);
        assert_eq!(faults(&Plants { architecture: "- **I2** b", ..sound }).len(), 1);
        let check = |from: &str, to: &str, expect: usize| {
            let document = document.replace(from, to);
            assert_eq!(faults(&Plants { document: &document, ..sound }).len(), expect, "{from} {to}");
        };
        check("| 1 |", "| soon |", 1);
        check("| b (`b`) | `a_test` |\n", "", 1);
        check("`a`, `Fake`", "`Fake`", 1);
        check("`a_test` |\n\n", "`lost` |\n\n", 1);
        check("`b`, `a_test`", "", 2);
    }
}
