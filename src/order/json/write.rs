//! Tree to compact text: no white space, keys in ascending byte order, non-ASCII as it is.

use super::tree::Json;

/// Takes text piece by piece; a string or a byte buffer.
pub trait TextOut {
    /// Appends `text`.
    fn put(&mut self, text: &str);
}

impl TextOut for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl TextOut for Vec<u8> {
    fn put(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

impl Json<'_> {
    /// Appends the compact text.
    pub fn write<T: TextOut>(&self, out: &mut T) {
        match self {
            Self::Null => out.put("null"),
            Self::Bool(true) => out.put("true"),
            Self::Bool(false) => out.put("false"),
            Self::Int(value) => out.put(itoa::Buffer::new().format(*value)),
            Self::UInt(value) => out.put(itoa::Buffer::new().format(*value)),
            // The shortest text that reads back as the same number; it always has a fraction or an exponent.
            Self::Float(value) => out.put(&format!("{value:?}")),
            Self::Str(text) => write_string(text, out),
            Self::Array(items) => {
                out.put("[");
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.put(",");
                    }
                    item.write(out);
                }
                out.put("]");
            }
            Self::Object(members) => {
                out.put("{");
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.put(",");
                    }
                    write_string(key, out);
                    out.put(":");
                    value.write(out);
                }
                out.put("}");
            }
        }
    }
}

/// Appends `text` as a JSON string with its quotes. Only what JSON requires is escaped: `"`, `\`, and control
/// characters as `\b \f \n \r \t`, else `\u00xx` in lower-case hex (§5.2).
pub fn write_string<T: TextOut>(text: &str, out: &mut T) {
    out.put("\"");
    // Without an early end the compiler makes this a few vector instructions, and most strings need no escape.
    if text.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
        write_escaped(text, out);
    } else {
        out.put(text);
    }
    out.put("\"");
}

#[expect(clippy::needless_bitwise_bool, reason = "lazy operators would keep the search from being vector instructions")]
const fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn write_escaped<T: TextOut>(text: &str, out: &mut T) {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !needs_escape(byte) {
            continue;
        }
        out.put(text.get(plain_from..at).unwrap_or_default());
        plain_from = at + 1;
        match byte {
            b'"' => out.put("\\\""),
            b'\\' => out.put("\\\\"),
            0x08 => out.put("\\b"),
            0x0c => out.put("\\f"),
            b'\n' => out.put("\\n"),
            b'\r' => out.put("\\r"),
            b'\t' => out.put("\\t"),
            _ => out.put(&format!("\\u{byte:04x}")),
        }
    }
    out.put(text.get(plain_from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_compact_and_escapes_only_what_json_requires() {
        let check = |text: &str, expect: &str| {
            let mut out = String::new();
            Json::parse(text).unwrap().write(&mut out);
            assert_eq!(out, expect);
            let mut bytes = Vec::new();
            Json::parse(&out).unwrap().write(&mut bytes);
            assert_eq!(bytes, out.as_bytes(), "the text reads back as itself");
        };
        check(
            r#" { "b" : [ 1 , -0, 1.50, 1e2, true, null ] , "a" : {} , "c":[] } "#,
            r#"{"a":{},"b":[1,0,1.5,100.0,true,null],"c":[]}"#,
        );
        check(r#""\u0000\u001F\b\f\n\r\t\"\\\/\u007f\u4f60""#, "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\u{7f}你\"");
        check(
            "[1e300,5e-324,18446744073709551615,18446744073709551616,-0.0]",
            "[1e300,5e-324,18446744073709551615,1.8446744073709552e19,-0.0]",
        );
        check(
            "[-9223372036854775808,0.1,123456789.125,1e16,1e15]",
            "[-9223372036854775808,0.1,123456789.125,1e16,1000000000000000.0]",
        );
    }
}
