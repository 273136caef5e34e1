//! One Rust file as the rules see it: without comments, without the text of strings, without what only tests compile.
//!
//! It knows no grammar beyond that; the rules look for words.

/// One Rust file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// From the root of the tree, with `/`.
    pub(crate) path: String,
    /// As it is on disk.
    pub(crate) text: String,
    /// What ships: comments and the contents of literals are blank, `#[cfg(test)]` items too. Lines keep their numbers.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if is_test_file(path) { String::new() } else { without_tests(&blank(text)) };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// The room: the first part of the path below `src/`, without `.rs`.
    pub(crate) fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or("");
        let first = below.split('/').next().unwrap_or("");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The module that the file is, from the crate's root: `["order", "json", "parse"]`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let below = self.path.strip_prefix("src/").and_then(|p| p.strip_suffix(".rs")).unwrap_or("");
        let mut parts: Vec<&str> = below.split('/').collect();
        if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
            parts.pop();
        }
        parts
    }

    /// Every place where `word` stands in the shipped code as a word of its own, as (line number, the text behind it).
    pub(crate) fn places(&self, word: &str) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        for (number, line) in self.code.lines().enumerate() {
            for (at, _) in line.match_indices(word) {
                let before = line[..at].chars().next_back();
                let (behind, ends_open) = (&line[at + word.len()..], word.ends_with(is_word));
                let joined = ends_open && behind.starts_with(is_word);
                if !before.is_some_and(is_word) && !joined {
                    found.push((number + 1, behind));
                }
            }
        }
        found
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Files that are compiled for tests only, by their name.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("_tests.rs") || path.ends_with("/tests.rs") || path.contains("/tests/") || !path.starts_with("src/")
}

/// `text` with comments and the contents of string and character literals turned into spaces.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|&b| if b == b'\n' { b } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8(out).expect("only whole literals are blanked")
}

/// Where the comment or literal that begins at `at` ends; `at` itself where none begins.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let word_before = at > 0 && is_word(char::from(bytes[at - 1]));
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + find(rest, b"*/", 2) + 2,
        [b'"', ..] => at + quoted(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !word_before => raw_end(bytes, at),
        [b'b', b'r', b'"' | b'#', ..] if !word_before => raw_end(bytes, at + 1),
        // A lifetime has no closing quote right behind its first character.
        [b'\'', b'\\', ..] => at + quoted(rest, b'\''),
        [b'\'', first, ..] => {
            let width = match first {
                0..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xff => 4,
            };
            if rest.get(1 + width) == Some(&b'\'') { at + width + 2 } else { at }
        }
        _ => at,
    }
}

/// Length of the quoted text at the beginning of `rest`, both quotes included.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Where the raw string whose `r` stands at `at` ends; `at` where it is a raw identifier.
fn raw_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|&&b| b == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return at;
    }
    let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    at + find(&bytes[at..], &closing, hashes + 2) + closing.len()
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> usize {
    (from..haystack.len()).find(|&i| haystack[i..].starts_with(needle)).unwrap_or(haystack.len() - needle.len())
}

/// `code` (already blanked) with every item under `#[cfg(test)]` turned into spaces.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = item_end(&out, start);
        let blanked: String = out[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        out.replace_range(start..end, &blanked);
    }
    out
}

/// Where the item whose attributes begin at `start` ends: behind its `;`, or behind the brace that closes it.
fn item_end(code: &str, start: usize) -> usize {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, c) in code[start..].char_indices() {
        match c {
            '[' | '(' => brackets += 1,
            ']' | ')' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces <= 1 => return start + at + 1,
            '}' => braces -= 1,
            ';' | ',' if braces == 0 && brackets == 0 => return start + at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, gone: &[&str], kept: &[&str]) {
        let code = Source::new("src/x.rs", text).code;
        assert_eq!(code.lines().count(), text.lines().count(), "{code}");
        for word in gone {
            assert!(!code.contains(word), "{word} is still in {code:?}");
        }
        for word in kept {
            assert!(code.contains(word), "{word} is gone from {code:?}");
        }
    }

    #[test]
    fn what_does_not_ship_is_blank() {
        check("a(); // gone\nb();", &["gone"], &["a()", "b()"]);
        check("a(); /* gone\ngone */ b();", &["gone"], &["a()", "b()"]);
        check(r#"let s = "gone \" gone"; kept"#, &["gone"], &["kept"]);
        check("let s = r#\"gone \" gone\"#; kept", &["gone"], &["kept"]);
        check("let s = br\"gone\\\"; kept", &["gone"], &["kept"]);
        check(
            "fn f<'a>(x: &'a str, c: char) { c == '\"' || c == '\\'' || c == '中' } kept",
            &["中"],
            &["kept", "'a str"],
        );
        check("#[cfg(test)]\nmod tests {\n  fn gone() { {} }\n}\nkept", &["gone"], &["kept"]);
        check("#[cfg(test)]\n#[path = \"x\"]\nmod gone;\nkept", &["gone"], &["kept"]);
        check("struct S {\n#[cfg(test)]\ngone: [u8; 3],\nkept: u8 }", &["gone"], &["kept"]);
    }

    #[test]
    fn words_are_whole_words() {
        let source = Source::new("src/x.rs", "sled::open(); unsled::x; let tracing_id = 1;\n tracing::info");
        assert_eq!(source.places("sled::").len(), 1);
        assert_eq!(source.places("tracing").into_iter().map(|p| p.0).collect::<Vec<_>>(), [2]);
    }
}
