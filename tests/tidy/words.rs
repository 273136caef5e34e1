//! Sizes, file layout, names and texts that the house does not want.

use std::collections::BTreeSet;

use crate::source::{Source, is_word};

/// A file with its tests.
const MAX_LINES: usize = 350;

/// Words that name nothing: what a thing is called should say what it does.
const EMPTY_NAMES: [&str; 8] = ["manager", "helper", "helpers", "util", "utils", "data", "info", "process2"];

/// Files over the limit.
pub(crate) fn too_long(sources: &[Source]) -> Vec<String> {
    let lines = |s: &Source| s.text.lines().count();
    let over = sources.iter().filter(|s| lines(s) > MAX_LINES);
    over.map(|s| format!("{}: {} lines, {MAX_LINES} are the limit", s.path, lines(s))).collect()
}

/// A folder's own file is its `mod.rs`, which only says what is in the folder.
pub(crate) fn layout(sources: &[Source]) -> Vec<String> {
    let paths: BTreeSet<&str> = sources.iter().map(|s| s.path.as_str()).collect();
    let mut faults = Vec::new();
    for source in sources.iter().filter(|s| s.path.starts_with("src/")) {
        if let Some(folder) = source.path.strip_suffix(".rs")
            && paths.iter().any(|p| p.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
        {
            faults.push(format!("{}: stands beside its folder; move it to {folder}/mod.rs", source.path));
        }
        if source.path.ends_with("/mod.rs") {
            for word in ["fn", "impl", "macro_rules"] {
                let places = source.places(word);
                faults.extend(
                    places.iter().map(|(n, _)| format!("{}:{n}: {word} in a mod.rs; give it a file", source.path)),
                );
            }
        }
    }
    faults
}

/// Files that no `mod` line names are never compiled, and their tests never run.
pub(crate) fn orphans(sources: &[Source]) -> Vec<String> {
    let find = |path: &str| sources.iter().find(|s| s.path == path);
    let mut faults = Vec::new();
    for source in sources {
        let Some((folder, file)) = source.path.rsplit_once('/') else { continue };
        let (in_src, in_it) = (source.path.starts_with("src/"), source.path.starts_with("tests/it/"));
        if !(in_src || in_it) || matches!(source.path.as_str(), "src/lib.rs" | "src/main.rs" | "tests/it/main.rs") {
            continue;
        }
        let (parents, name) = match file {
            "mod.rs" => {
                let (above, name) = folder.rsplit_once('/').unwrap_or(("", folder));
                (above, name)
            }
            _ => (folder, file.trim_end_matches(".rs")),
        };
        let declared = |s: &Source| {
            let text = s.text.as_str();
            text.contains(&format!("mod {name};")) || text.contains(&format!("#[path = \"{file}\"]"))
        };
        let heads = ["mod.rs", "lib.rs", "main.rs"].map(|head| format!("{parents}/{head}"));
        let declared_above = heads.iter().filter_map(|head| find(head)).any(declared);
        let beside = sources.iter().filter(|s| s.path.rsplit_once('/').is_some_and(|(f, _)| f == parents));
        if !declared_above && !beside.into_iter().any(|s| s.path != source.path && declared(s)) {
            faults.push(format!("{}: no `mod {name};` names it, so it is not compiled", source.path));
        }
    }
    faults
}

/// Files and types named after nothing.
pub(crate) fn names(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        for part in source.path.trim_end_matches(".rs").split('/') {
            for word in part.split(['_', '-', '.']).filter(|w| EMPTY_NAMES.contains(w)) {
                faults.push(format!("{}: a file named {word:?}", source.path));
            }
        }
        for kind in ["struct", "enum", "trait", "type"] {
            for (line, behind) in source.places(kind) {
                // An indented `type` belongs to a trait, which named it.
                if kind == "type" && source.code.lines().nth(line - 1).is_some_and(|l| l.starts_with(' ')) {
                    continue;
                }
                let name: String = behind.trim_start().chars().take_while(|c| is_word(*c)).collect();
                for word in camel_words(&name).iter().filter(|w| EMPTY_NAMES.contains(&w.as_str())) {
                    faults.push(format!("{}:{line}: a type named {word:?}: {name}", source.path));
                }
            }
        }
    }
    faults
}

fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_lowercase().collect()),
        }
    }
    words
}

/// Text in any file of the tree: paths of somebody's machine, hosts of package registries, promises without an issue.
pub(crate) fn texts(path: &str, text: &str) -> Vec<String> {
    // Written in two parts, so that this file passes its own rule.
    let banned = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("crates", ".io"),
        concat!("repo1.", "maven"),
        concat!("repo.", "maven"),
        concat!("docker", ".io"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let found = banned.iter().filter(|word| line.contains(**word));
        faults.extend(found.map(|word| format!("{path}:{}: holds {word:?}", number + 1)));
        if let Some((_, behind)) = line.split_once(concat!("TO", "DO")) {
            let numbered = behind.split_once('#').is_some_and(|(_, n)| n.starts_with(|c: char| c.is_ascii_digit()));
            if !numbered {
                faults.push(format!("{path}:{}: a TO{} without an issue's number", number + 1, "DO"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path, text)
    }

    #[test]
    fn planted_sizes_and_layouts_are_found() {
        assert_eq!(too_long(&[source("src/a.rs", &"x\n".repeat(350))]), [] as [&str; 0]);
        assert_eq!(too_long(&[source("tests/it/a.rs", &"x\n".repeat(351))]).len(), 1);
        assert_eq!(layout(&[source("src/store.rs", ""), source("src/store/tree.rs", "")]).len(), 1);
        assert_eq!(layout(&[source("src/store/mod.rs", "mod tree;\nfn f() {}")]).len(), 1);
        assert_eq!(layout(&[source("src/store/mod.rs", "mod tree;\npub use tree::T;")]).len(), 0);
    }

    #[test]
    fn planted_orphans_are_found() {
        let tree = [
            source("src/lib.rs", "pub mod order;"),
            source("src/order/mod.rs", "mod fold;\n#[cfg(test)]\nmod fold_tests;"),
            source("src/order/fold.rs", ""),
            source("src/order/fold_tests.rs", ""),
            source("tests/it/main.rs", "mod demo;"),
            source("tests/it/demo.rs", ""),
        ];
        assert_eq!(orphans(&tree), [] as [&str; 0]);
        for orphan in ["src/order/lost.rs", "src/lost/mod.rs", "tests/it/lost.rs"] {
            let tree = [tree.as_slice(), &[source(orphan, "")]].concat();
            assert_eq!(orphans(&tree).len(), 1, "{orphan}");
        }
    }

    #[test]
    fn planted_names_are_found() {
        assert_eq!(names(&[source("src/kafka/client_manager.rs", "")]).len(), 1);
        assert_eq!(
            names(&[source("src/kafka/x.rs", "pub struct PushInfo;\nenum OrderData {}\ntype Infos = ();")]).len(),
            2
        );
        assert_eq!(names(&[source("src/kafka/metadata.rs", "struct Database; struct Metadata;")]).len(), 0);
        let body = source("src/x.rs", "impl Body for B {\n    type Data = Bytes;\n}\ntype Data = u8;");
        assert_eq!(names(&[body]).len(), 1);
    }

    #[test]
    fn planted_texts_are_found() {
        let check = |text: &str, expected: usize| assert_eq!(texts("a.md", text).len(), expected, "{text}");
        check(concat!("cd /wo", "rk/main"), 1);
        check(concat!("see crates", ".io"), 1);
        check(concat!("// TO", "DO: later"), 1);
        check(concat!("// TO", "DO(#12): later"), 0);
        check("a workbench at home", 0);
    }
}
