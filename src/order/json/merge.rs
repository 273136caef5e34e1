//! RFC 7396: a merge patch applied to a tree. Linear, because objects are sorted.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::tree::Json;

/// Applies `patch` to `target` as RFC 7396 says: objects merge member by member, `null` removes, all else replaces.
pub fn merge<'a>(target: Json<'a>, patch: &'a Json<'_>) -> Json<'a> {
    let Json::Object(changes) = patch else { return patch.borrowed() };
    match target {
        Json::Object(members) => Json::Object(merge_members(members, changes)),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::UInt(_) | Json::Float(_) | Json::Str(_) | Json::Array(_) => {
            Json::Object(merge_members(Vec::new(), changes))
        }
    }
}

type Members<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

fn merge_members<'a>(members: Members<'a>, changes: &'a [(Cow<'_, str>, Json<'_>)]) -> Members<'a> {
    let mut merged = Vec::with_capacity(members.len() + changes.len());
    let mut old = members.into_iter().peekable();
    for (key, change) in changes {
        while let Some(kept) = old.next_if(|(name, _)| name.as_ref().cmp(key.as_ref()) == Ordering::Less) {
            merged.push(kept);
        }
        let replaced = old.next_if(|(name, _)| name == key).map(|(_, value)| value);
        if !change.is_null() {
            merged.push((Cow::Borrowed(key.as_ref()), merge(replaced.unwrap_or(Json::Null), change)));
        }
    }
    merged.extend(old);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7396() {
        let check = |target: &str, patch: &str, expect: &str| {
            let patch = Json::parse(patch).unwrap();
            assert_eq!(merge(Json::parse(target).unwrap(), &patch), Json::parse(expect).unwrap(), "{target} {patch:?}");
        };
        check(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"a":null}"#, "{}");
        check(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#);
        check(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#);
        check(r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#);
        check(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#);
        check(r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#);
        check(r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#);
        check(r#"{"a":"foo"}"#, "null", "null");
        check(r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#);
        check(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#);
        check("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#);
        check("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
        // Arrays are replaced whole, nulls inside them included.
        check("{}", r#"{"a":[null,{"b":null}]}"#, r#"{"a":[null,{"b":null}]}"#);
    }
}
