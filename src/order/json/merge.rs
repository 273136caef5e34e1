//! RFC 7396: a merge patch applied to a tree. Linear, because objects are sorted.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::tree::{Json, Member, key_order};

/// Applies `patch` to `target` as RFC 7396 says: objects merge member by member, `null` removes, all else replaces.
pub fn merge<'a>(target: Json<'a>, patch: &'a Json<'_>) -> Json<'a> {
    let Json::Object(changes) = patch else { return patch.borrowed() };
    match target {
        Json::Object(members) => merge_members(members, changes),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::UInt(_) | Json::Float(_) | Json::Str(_) | Json::Array(_) => {
            merge_members(Box::default(), changes)
        }
    }
}

fn merge_members<'a>(mut members: Box<[Member<'a>]>, changes: &'a [Member<'_>]) -> Json<'a> {
    if replaces_only(&members, changes) {
        let mut rest = members.iter_mut();
        for (key, change) in changes {
            if let Some((_, value)) = rest.find(|(name, _)| name == key) {
                *value = merge(std::mem::replace(value, Json::Null), change);
            }
        }
        return Json::Object(members);
    }
    let mut merged = Vec::with_capacity(members.len() + changes.len());
    let mut old = members.into_vec().into_iter();
    for (key, change) in changes {
        let mut replaced = Json::Null;
        while let Some((name, _)) = old.as_slice().first() {
            match key_order(name, key) {
                Ordering::Less => merged.extend(old.next()),
                Ordering::Equal => {
                    replaced = old.next().map_or(Json::Null, |(_, value)| value);
                    break;
                }
                Ordering::Greater => break,
            }
        }
        if !change.is_null() {
            merged.push((Cow::Borrowed(key.as_ref()), merge(replaced, change)));
        }
    }
    merged.extend(old);
    Json::Object(merged.into_boxed_slice())
}

/// Whether every change is of a member that is there, and none takes one away: most events of an order that is known
/// leave the list of its members as it is.
fn replaces_only(members: &[Member<'_>], changes: &[Member<'_>]) -> bool {
    let mut rest = members.iter();
    changes.iter().all(|(key, change)| !change.is_null() && rest.any(|(name, _)| name == key))
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
