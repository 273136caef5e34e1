//! A page of the mini-program: as `detail_url` (§5.1), and as `entry_schema` or `goods_entry_schema` (§5.2).

use std::borrow::Cow;

use super::fields::{Field, Findings, Path};
use super::json_text::JsonText;
use super::limits::Limit;
use crate::order::json::Json;

/// A page as the document names it, checked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Page<'a> {
    /// Without leading slashes.
    path: &'a str,
    /// In ascending byte order of the keys; strings, integers, booleans.
    params: &'a [(Cow<'a, str>, Json<'a>)],
}

impl<'a> Page<'a> {
    /// Reads `{path, params?}`.
    fn read(field: Field<'a, '_>, found: &mut Findings) -> Self {
        let Some(object) = field.object(found) else { return Self::default() };
        let path = object.required("path", found).map_or("", |field| {
            let path = field.text(found).trim_start_matches('/');
            if path.is_empty() && field.value.as_str().is_some() {
                found.malformed(field.path, "must be more than slashes");
            }
            if path.contains(['?', '#']) {
                found.malformed(field.path, "must not contain ? or #: parameters belong in params");
            }
            path
        });
        let params = object.optional("params").map_or(&[][..], |field| {
            let Some(object) = field.object(found) else { return &[] };
            let params = field.value.as_object().unwrap_or_default();
            for (key, _) in params.iter().filter(|(_, value)| !value.is_null() && Value::of(value).is_none()) {
                found.malformed(Path::Member(&object.path, key), "must be a string, an integer or a boolean");
            }
            params
        });
        Self { path, params }
    }

    /// `path?k=v&…`, checked against its limit.
    pub(super) fn detail_url(field: Field<'a, '_>, limit: Limit, found: &mut Findings) -> Cow<'a, str> {
        let url = Self::read(field, found).as_url();
        found.within(field.path, &url, limit);
        url
    }

    /// `{"path":…,"params":"{…}"}`, checked against its limit.
    pub(super) fn entry_schema(field: Field<'a, '_>, limit: Limit, found: &mut Findings) -> String {
        let schema = Self::read(field, found).as_schema();
        found.within(field.path, &schema, limit);
        schema
    }

    fn params(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.params.iter().filter_map(|(key, value)| Some((&**key, Value::of(value)?)))
    }

    fn as_url(&self) -> Cow<'a, str> {
        let mut params = self.params().peekable();
        if params.peek().is_none() {
            return Cow::Borrowed(self.path);
        }
        let mut url = String::with_capacity(self.path.len() + 64);
        url.push_str(self.path);
        let mut before = '?';
        for (key, value) in params {
            url.push(before);
            percent_encode(&mut url, key);
            url.push('=');
            value.with_text(|text| percent_encode(&mut url, text));
            before = '&';
        }
        Cow::Owned(url)
    }

    fn as_schema(&self) -> String {
        let mut out = JsonText::with_capacity(self.path.len() + 128);
        out.object(|out| {
            out.string_member("path", self.path);
            out.key("params");
            out.nested(|out| {
                out.object(|out| {
                    for (key, value) in self.params() {
                        out.key_text(key);
                        value.with_text(|text| out.string(text));
                    }
                });
            });
        });
        String::from_utf8(out.into_bytes()).unwrap_or_default()
    }
}

/// The value of a parameter.
enum Value<'a> {
    Text(&'a str),
    Integer(i64),
}

impl<'a> Value<'a> {
    fn of(value: &'a Json<'a>) -> Option<Self> {
        match value {
            Json::Str(text) => Some(Self::Text(text)),
            Json::Bool(true) => Some(Self::Text("true")),
            Json::Bool(false) => Some(Self::Text("false")),
            Json::Int(_) => value.as_integer().map(Self::Integer),
            Json::Null | Json::UInt(_) | Json::Float(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }

    fn with_text(&self, take: impl FnOnce(&str)) {
        match self {
            Self::Text(text) => take(text),
            Self::Integer(value) => take(itoa::Buffer::new().format(*value)),
        }
    }
}

/// Byte by byte, upper-case hex; RFC 3986's unreserved characters stay.
fn percent_encode(url: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            url.extend(['%', digit(byte >> 4), digit(byte & 0x0f)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::{Object, TextPolicy};
    use super::super::limits::{DETAIL_URL, ENTRY_SCHEMA};
    use super::*;

    fn both(page: &str) -> Result<(String, String), String> {
        let text = format!(r#"{{"page":{page}}}"#);
        let document = Json::parse(&text).unwrap();
        let mut found = Findings::new(TextPolicy::Truncate);
        let root = Object::root(&document);
        let field = root.optional("page").unwrap();
        let url = Page::detail_url(field, DETAIL_URL, &mut found).into_owned();
        let schema = Page::entry_schema(field, ENTRY_SCHEMA, &mut Findings::new(TextPolicy::Truncate));
        found.judge().map(|_| (url, schema)).map_err(|fault| fault.message)
    }

    #[test]
    fn pages_as_url_and_schema() {
        let check = |page: &str, url: &str, schema: &str| {
            assert_eq!(both(page).unwrap(), (url.to_owned(), schema.to_owned()), "{page}");
        };
        check(r#"{"path":"a/b"}"#, "a/b", r#"{"path":"a/b","params":"{}"}"#);
        check(r#"{"path":"///a/b/","params":{}}"#, "a/b/", r#"{"path":"a/b/","params":"{}"}"#);
        check(
            r#"{"path":"p","params":{"z":"1","a":-2,"B":true,"é":"麻 花","c":false}}"#,
            "p?B=true&a=-2&c=false&z=1&%C3%A9=%E9%BA%BB%20%E8%8A%B1",
            r#"{"path":"p","params":"{\"B\":\"true\",\"a\":\"-2\",\"c\":\"false\",\"z\":\"1\",\"é\":\"麻 花\"}"}"#,
        );
        check(
            r#"{"path":"p/\"q\\","params":{"k\"":"a\"b\\c\n\u0001/","-._~":""}}"#,
            r#"p/"q\?-._~=&k%22=a%22b%5Cc%0A%01%2F"#,
            r#"{"path":"p/\"q\\","params":"{\"-._~\":\"\",\"k\\\"\":\"a\\\"b\\\\c\\n\\u0001/\"}"}"#,
        );
    }

    #[test]
    fn faulty_pages_are_named() {
        let check = |page: &str, expect: &str| {
            let message = both(page).unwrap_err();
            assert!(message.contains(expect), "{page}: {message}");
        };
        check(r#"{"path":"/"}"#, "wrong in the order document: page.path must be more than slashes");
        check(r#"{"path":"a?b=1"}"#, "page.path must not contain ? or #");
        check(r#"{"path":"a#b"}"#, "page.path must not contain ? or #");
        check(r#"{"path":7}"#, "page.path must be a string");
        check(r#"{"path":""}"#, "missing in the order document: page.path");
        check("{}", "missing in the order document: page.path");
        check(r#""p""#, "page must be an object");
        check(r#"{"path":"p","params":[]}"#, "page.params must be an object");
        check(r#"{"path":"p","params":""}"#, "page.params must be an object");
        for value in ["1.0", "[]", "{}", "9007199254740992", "18446744073709551615"] {
            check(&format!(r#"{{"path":"p","params":{{"ok":1,"k":{value}}}}}"#), "page.params.k must be a string, an");
        }
        check(
            &format!(r#"{{"path":"{}"}}"#, "p".repeat(1025)),
            "page (sent as detail_url) has 1025 bytes, at most 1024",
        );
    }

    fn decode(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(if byte == b'%' {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            } else {
                byte
            });
        }
        String::from_utf8(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn percent_encoding_decodes_to_the_same(text in "\\PC{0,30}|[\\x00-\\x7f]{0,30}") {
            let mut url = String::new();
            percent_encode(&mut url, &text);
            prop_assert!(url.bytes().all(|b| b == b'%' || b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
            prop_assert_eq!(url.to_uppercase().matches('%').count(), url.matches('%').count());
            prop_assert_eq!(decode(&url), text);
        }
    }
}
