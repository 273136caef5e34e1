//! Reads the text of the outcome table, strictly: an unknown key or word is an error.

use std::time::Duration;

use toml_edit::{DocumentMut, Item, Table, Value};

use super::table::{Endpoint, Finding, Rule, Trigger};
use super::verdict::{Break, Verdict};

/// config/error-codes.toml
pub(super) const BUILT_IN: &str = include_str!("../../config/error-codes.toml");

const KEYS: [&str; 11] =
    ["name", "at", "codes", "contains", "broken", "http", "found", "verdict", "wait_s", "meaning", "source"];

/// All rules of a table's text, in order.
pub(super) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
    let tables = document.get("rule").and_then(Item::as_array_of_tables).ok_or("there is no [[rule]]")?;
    let mut rules: Vec<Rule> = Vec::with_capacity(tables.len());
    for table in tables {
        let rule = rule(table).map_err(|fault| format!("rule `{}`: {fault}", text_of(table, "name").unwrap_or("?")))?;
        if rules.iter().any(|other| other.name == rule.name) {
            return Err(format!("rule `{}` stands twice", rule.name));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn rule(table: &Table) -> Result<Rule, String> {
    if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(key)) {
        return Err(format!("unknown key `{key}`"));
    }
    let verdict = required(table, "verdict")?;
    Ok(Rule {
        name: required(table, "name")?.into(),
        at: endpoints(table)?,
        on: trigger(table)?,
        verdict: Verdict::from_word(verdict).ok_or_else(|| format!("unknown verdict `{verdict}`"))?,
        wait: wait(table)?,
        meaning: required(table, "meaning")?.to_owned(),
        source: required(table, "source")?.to_owned(),
    })
}

fn endpoints(table: &Table) -> Result<Vec<Endpoint>, String> {
    if !table.contains_key("at") {
        return Ok(vec![Endpoint::Push]);
    }
    let word = |word: &str| match word {
        "push" => Ok(Endpoint::Push),
        "access_token" => Ok(Endpoint::AccessToken),
        "client_token" => Ok(Endpoint::ClientToken),
        other => Err(format!("unknown endpoint `{other}`")),
    };
    texts(table, "at")?.iter().map(|text| word(text)).collect()
}

fn trigger(table: &Table) -> Result<Trigger, String> {
    let given: Vec<_> =
        ["codes", "broken", "http", "found"].into_iter().filter(|key| table.contains_key(key)).collect();
    match given.as_slice() {
        ["codes"] => Ok(Trigger::Code {
            codes: integers(table, "codes")?,
            contains: match table.get("contains") {
                Some(_) => texts(table, "contains")?.iter().map(|text| text.to_ascii_lowercase()).collect(),
                None => Vec::new(),
            },
        }),
        ["broken"] => broken(required(table, "broken")?).map(Trigger::Broken),
        ["found"] => finding(required(table, "found")?).map(Trigger::Found),
        ["http"] => {
            let bounds: Result<Vec<u16>, _> = integers(table, "http")?.into_iter().map(u16::try_from).collect();
            match bounds.as_deref() {
                Ok([first, last]) if first <= last => Ok(Trigger::Http(*first..=*last)),
                Ok(_) | Err(_) => Err("`http` is a first and a last status".to_owned()),
            }
        }
        other => Err(format!("one of codes, broken, http, found is needed, not {}", other.len())),
    }
}

fn broken(word: &str) -> Result<Break, String> {
    Break::from_word(word).ok_or_else(|| format!("unknown break `{word}`"))
}

fn finding(word: &str) -> Result<Finding, String> {
    Ok(match word {
        "success" => Finding::Success,
        "opaque_body" => Finding::OpaqueBody,
        "inner_body_cut_off" => Finding::InnerBodyCutOff,
        "inner_code_unreadable" => Finding::InnerCodeUnreadable,
        "unknown_inner_code" => Finding::UnknownInnerCode,
        "unknown_code" => Finding::UnknownCode,
        "no_json_object" => Finding::NoJsonObject,
        "no_code" => Finding::NoCode,
        "success_refuted" => Finding::SuccessRefuted,
        "no_token" => Finding::NoToken,
        other => return Err(format!("unknown finding `{other}`")),
    })
}

fn wait(table: &Table) -> Result<Option<Duration>, String> {
    let Some(item) = table.get("wait_s") else { return Ok(None) };
    let seconds = item.as_integer().and_then(|s| u64::try_from(s).ok()).ok_or("`wait_s` is a number of seconds")?;
    Ok(Some(Duration::from_secs(seconds)))
}

fn text_of<'t>(table: &'t Table, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Item::as_str)
}

fn required<'t>(table: &'t Table, key: &str) -> Result<&'t str, String> {
    text_of(table, key).filter(|text| !text.is_empty()).ok_or_else(|| format!("`{key}` is missing or no text"))
}

fn texts<'t>(table: &'t Table, key: &str) -> Result<Vec<&'t str>, String> {
    list(table, key, Value::as_str)
}

fn integers(table: &Table, key: &str) -> Result<Vec<i64>, String> {
    list(table, key, Value::as_integer)
}

fn list<'t, T>(table: &'t Table, key: &str, read: impl Fn(&'t Value) -> Option<T>) -> Result<Vec<T>, String> {
    let values = table.get(key).and_then(Item::as_array).ok_or_else(|| format!("`{key}` is not a list"))?;
    let read: Option<Vec<T>> = values.iter().map(read).collect();
    read.filter(|list| !list.is_empty()).ok_or_else(|| format!("`{key}` is empty or holds something else"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let check = |text: &str, expect: &str| {
            let e = parse(text).unwrap_err();
            assert!(e.contains(expect), "{e}");
        };
        let rule = |extra: &str| {
            format!("[[rule]]\nname = \"a\"\nverdict = \"retry\"\nmeaning = \"m\"\nsource = \"s\"\n{extra}\n")
        };
        check("", "no [[rule]]");
        check(&rule(""), "one of codes");
        check(&rule("codes = [1]\nfound = \"success\""), "one of codes");
        check(&rule("found = \"luck\""), "unknown finding `luck`");
        check(&rule("broken = \"heart\""), "unknown break `heart`");
        check(&rule("http = [500]"), "first and a last");
        check(&rule("codes = [1]\nat = [\"home\"]"), "unknown endpoint `home`");
        check(&rule("codes = []"), "`codes` is empty");
        check(&rule("codes = [1]\ncolour = 1"), "unknown key `colour`");
        check(&format!("{0}{0}", rule("codes = [1]")), "stands twice");
        assert_eq!(parse(&rule("codes = [1]")).unwrap().len(), 1);
    }
}
