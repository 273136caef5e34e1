//! librdkafka's properties as the settings give them: a table, or a file of `name=value` lines, as Java clients and
//! librdkafka's own tools write them. Each remembers where it stands.
//!
//! Escapes and line continuations of Java's format are not read: passwords hold backslashes more often than either.

use std::collections::BTreeMap;

use secrecy::SecretString;
use toml_edit::{Item, TableLike};

use super::origin::{Findings, Origin};

/// One property and where it stands.
#[derive(Clone)]
pub(super) struct Property {
    pub(super) value: SecretString,
    pub(super) origin: Origin,
}

/// Properties by name.
pub(super) type Properties = BTreeMap<String, Property>;

/// Where a byte of the text under reading stands.
pub(super) type Locate<'a> = &'a dyn Fn(Option<usize>) -> Origin;

/// Reads a file's lines. A line that is neither blank, nor a comment (`#`, `!`), nor `name=value` is told. White space
/// around name and value is cut.
pub(super) fn parse(text: &str, file: &Origin, findings: &mut Findings) -> Properties {
    let mut found = Properties::new();
    for (index, line) in text.lines().enumerate() {
        let (line, origin) = (line.trim(), file.at(Some(index + 1)));
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if !name.is_empty() => {
                found.insert(name.to_owned(), Property { value: value.into(), origin });
            }
            _ => findings.fault(&origin, "", "this line has no name=value; comments begin with #"),
        }
    }
    found
}

/// Reads a table; what is at fault is told, the rest is read. Dotted keys make nested tables of what is one name to
/// Kafka: `security.protocol = "SSL"`.
pub(super) fn read(table: &dyn TableLike, path: &str, locate: Locate<'_>, findings: &mut Findings) -> Properties {
    let mut reading = Reading { path, locate, findings, found: Properties::new() };
    reading.table("", table);
    reading.found
}

struct Reading<'a> {
    path: &'a str,
    locate: Locate<'a>,
    findings: &'a mut Findings,
    found: Properties,
}

impl Reading<'_> {
    fn table(&mut self, prefix: &str, table: &dyn TableLike) {
        for (key, item) in table.iter() {
            let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
            if let Some(table) = item.as_table_like() {
                self.table(&name, table);
                continue;
            }
            let span = table.get_key_value(key).and_then(|(key, item)| key.span().or_else(|| item.span()));
            let origin = (self.locate)(span.map(|span| span.start));
            if let Some(text) = text(item) {
                self.found.insert(name, Property { value: text.into(), origin });
            } else {
                let path = format!("{}.{name}", self.path);
                self.findings.fault(&origin, path, "must be text, a number, true or false");
            }
        }
    }
}

fn text(item: &Item) -> Option<String> {
    let text = item.as_str().map(str::to_owned);
    text.or_else(|| item.as_integer().map(|number| number.to_string()))
        .or_else(|| item.as_bool().map(|switch| switch.to_string()))
        .or_else(|| item.as_float().map(|number| number.to_string()))
}

/// Whether a dump leaves out this property's value: whatever may hold a password, a key or a token.
pub fn is_hidden(name: &str) -> bool {
    const SECRET: [&str; 8] = ["password", "secret", "key", "token", "jaas", "pem", "credential", "oauthbearer"];
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::super::Layer;
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn lines_read_as_written() {
        let text = "# TLS\n\n security.protocol = SASL_SSL \r\nsasl.password=a=b\\c #d\n! no\nempty=\nwhat\n=1\n";
        let mut findings = Findings::default();
        let found = parse(text, &Origin::new(Layer::Named, "file"), &mut findings);
        let plain: Vec<_> = found
            .iter()
            .map(|(name, property)| (name.as_str(), property.value.expose_secret(), property.origin.line))
            .collect();
        let expected = [
            ("empty", "", Some(6)),
            ("sasl.password", "a=b\\c #d", Some(4)),
            ("security.protocol", "SASL_SSL", Some(3)),
        ];
        assert_eq!(plain, expected);
        let lines: Vec<_> = findings.faults.iter().map(|fault| fault.origin.to_string()).collect();
        assert_eq!(lines, ["file:7", "file:8"]);
    }

    #[test]
    fn passwords_stay_hidden() {
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "SASL.JAAS.config", "sasl.oauthbearer.config"]
        {
            assert!(is_hidden(name), "{name}");
        }
        assert!(!is_hidden("sasl.username") && !is_hidden("session.timeout.ms"));
    }
}
