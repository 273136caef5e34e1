//! Writes JSON straight into one buffer, at any depth of JSON text inside JSON strings.
//!
//! A byte that lies inside `d` strings is escaped `d` times as it is written, so no intermediate text is ever built.
//! It trusts its caller to open, close and name in a sensible order.

/// One JSON text in the making.
#[derive(Debug)]
pub(super) struct JsonText {
    out: Vec<u8>,
    /// Inside how many strings we are writing.
    depth: u32,
    /// Whether a comma is due before the next member or element.
    comma: bool,
}

impl JsonText {
    /// An empty text with room for `bytes`.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), depth: 0, comma: false }
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// A value that is an object.
    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.bracketed(b'{', b'}', members);
    }

    /// A value that is an array; each element begins with [`Self::element`].
    pub(super) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.bracketed(b'[', b']', elements);
    }

    /// A value that is a string holding JSON text.
    pub(super) fn nested(&mut self, text: impl FnOnce(&mut Self)) {
        self.quote();
        self.depth += 1;
        self.comma = false;
        text(self);
        self.depth -= 1;
        self.quote();
        self.comma = true;
    }

    /// The name of the next member; a plain ASCII word.
    pub(super) fn key(&mut self, name: &str) {
        self.element();
        self.quote();
        self.out.extend_from_slice(name.as_bytes());
        self.quote();
        self.out.push(b':');
    }

    /// The name of the next member, any text.
    pub(super) fn key_text(&mut self, name: &str) {
        self.element();
        self.string(name);
        self.out.push(b':');
    }

    /// What stands before an element of an array.
    pub(super) fn element(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = false;
    }

    /// A value that is a string.
    pub(super) fn string(&mut self, text: &str) {
        self.quote();
        escape(&mut self.out, text, self.depth + 1);
        self.quote();
        self.comma = true;
    }

    /// A value that is an integer.
    pub(super) fn integer(&mut self, value: i64) {
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.comma = true;
    }

    /// A member that is a string.
    pub(super) fn string_member(&mut self, name: &str, text: &str) {
        self.key(name);
        self.string(text);
    }

    /// A member that is a string, left out where there is none.
    pub(super) fn optional_member(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.string_member(name, text);
        }
    }

    /// A member that is an integer.
    pub(super) fn integer_member(&mut self, name: &str, value: i64) {
        self.key(name);
        self.integer(value);
    }

    fn bracketed(&mut self, open: u8, close: u8, inside: impl FnOnce(&mut Self)) {
        self.out.push(open);
        self.comma = false;
        inside(self);
        self.out.push(close);
        self.comma = true;
    }

    /// Most quotes stand in one string or none.
    fn quote(&mut self) {
        match self.depth {
            0 => self.out.push(b'"'),
            1 => self.out.extend_from_slice(b"\\\""),
            depth => escaped_byte(&mut self.out, b'"', depth),
        }
    }
}

/// Appends `text` as it stands inside `depth` strings, `depth` at least 1. Only what JSON requires is escaped.
fn escape(out: &mut Vec<u8>, text: &str, depth: u32) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { return };
        escaped_byte(out, *byte, depth);
        rest = after;
    }
}

/// How many bytes from the start on need no escape. Eight at a time: most text has none that does.
fn plain_length(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let plain = words.iter().take_while(|word| !holds_special(u64::from_le_bytes(**word))).count() * 8;
    let tail = bytes.get(plain..).unwrap_or_default();
    plain + tail.iter().take_while(|byte| !is_special(**byte)).count()
}

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether one of the eight bytes is special. A subtraction borrows into a byte's high bit where the byte was less
/// than what was taken from it, and that bit was clear before.
const fn holds_special(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const fn has_less(word: u64, than: u64) -> u64 {
        word.wrapping_sub(ONES * than) & !word
    }
    let quote = has_less(word ^ (ONES * b'"' as u64), 1);
    let backslash = has_less(word ^ (ONES * b'\\' as u64), 1);
    (has_less(word, 0x20) | quote | backslash) & HIGH != 0
}

/// One byte inside `depth` strings. Every string doubles the backslashes before it; a quote gets one more each time.
fn escaped_byte(out: &mut Vec<u8>, byte: u8, depth: u32) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let doubled = 1_usize << depth;
    let (backslashes, rest): (usize, &[u8]) = match byte {
        b'"' => (doubled - 1, b"\""),
        b'\\' => (doubled, b""),
        0x08 => (doubled / 2, b"b"),
        b'\t' => (doubled / 2, b"t"),
        b'\n' => (doubled / 2, b"n"),
        0x0c => (doubled / 2, b"f"),
        b'\r' => (doubled / 2, b"r"),
        0x00..0x10 => (doubled / 2, b"u000"),
        _ => (doubled / 2, b"u001"),
    };
    out.resize(out.len() + backslashes, b'\\');
    out.extend_from_slice(rest);
    if rest.len() > 1 {
        out.extend(HEX.get(usize::from(byte & 0x0f)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the writer must equal: one escape after the other.
    fn nest(text: &str, levels: u32) -> String {
        (0..levels).fold(text.to_owned(), |text, _| serde_json::to_string(&text).unwrap())
    }

    fn written(text: &str, levels: u32) -> String {
        fn level(out: &mut JsonText, text: &str, levels: u32) {
            if levels == 1 { out.string(text) } else { out.nested(|out| level(out, text, levels - 1)) }
        }
        let mut out = JsonText::with_capacity(0);
        level(&mut out, text, levels);
        String::from_utf8(out.into_bytes()).unwrap()
    }

    #[test]
    fn every_control_character_at_every_depth() {
        let all: String = (0..=0x80_u8).map(char::from).chain("é麻😀".chars()).collect();
        for levels in 1..=4 {
            assert_eq!(written(&all, levels), nest(&all, levels));
        }
    }

    #[test]
    fn members_and_elements_are_separated() {
        let mut out = JsonText::with_capacity(0);
        out.object(|out| {
            out.integer_member("a", -1);
            out.key("b");
            out.array(|_| {});
            out.key("c");
            out.array(|out| {
                for text in ["x", "\""] {
                    out.element();
                    out.string(text);
                }
            });
            out.optional_member("d", None);
            out.key("e");
            out.nested(|out| out.object(|out| out.string_member("f", "g\\")));
            out.key_text("h\"");
            out.object(|_| {});
        });
        assert_eq!(
            String::from_utf8(out.into_bytes()).unwrap(),
            r#"{"a":-1,"b":[],"c":["x","\""],"e":"{\"f\":\"g\\\\\"}","h\"":{}}"#
        );
    }

    proptest! {
        #[test]
        fn nesting_is_escaping_again(text in "[\\x00-\\x7fé麻😀]{0,40}|[a-z\"\\\\]{0,40}", levels in 1u32..=4) {
            prop_assert_eq!(written(&text, levels), nest(&text, levels));
        }
    }
}
