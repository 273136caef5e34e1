//! Files of `name=value` lines, as Java clients and librdkafka's own tools write them.
//!
//! Escapes and line continuations of Java's format are not read: passwords hold backslashes more often than either.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// Reads all lines; the error is the number of the first line, from 1, that is neither blank, nor a comment (`#`, `!`),
/// nor `name=value`. White space around name and value is cut.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, SecretString>, usize> {
    let mut found = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if !name.is_empty() => {
                found.insert(name.to_owned(), SecretString::from(value));
            }
            _ => return Err(index + 1),
        }
    }
    Ok(found)
}

/// Whether a dump leaves out this property's value: whatever may hold a password, a key or a token.
pub fn is_hidden(name: &str) -> bool {
    const SECRET: [&str; 8] = ["password", "secret", "key", "token", "jaas", "pem", "credential", "oauthbearer"];
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn lines_read_as_written() {
        let text = "# TLS\n\n security.protocol = SASL_SSL \r\nsasl.password=a=b\\c #d\n! no\nempty=\n";
        let found = parse(text).unwrap();
        let plain: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(plain, [("empty", ""), ("sasl.password", "a=b\\c #d"), ("security.protocol", "SASL_SSL")]);
        assert_eq!(parse("a=1\nwhat\n").unwrap_err(), 2);
        assert_eq!(parse("=1").unwrap_err(), 1);
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
