//! Holds the current token of one app, ready to be put in front of a request.
//!
//! When to fetch a new one is the engine's business; a token stays in use until the next one is there.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use crate::sync::ports::TokenGeneration;

/// One token of an app.
pub(super) struct Token {
    /// Counts the app's tokens from 1.
    pub(super) generation: TokenGeneration,
    text: SecretString,
    /// `{"access_token":"…"`, so that a request only needs copying.
    prefix: SecretString,
}

impl Token {
    fn new(generation: TokenGeneration, text: SecretString) -> Self {
        let quoted = serde_json::Value::from(text.expose_secret()).to_string();
        Self { generation, text, prefix: SecretString::from(format!("{{\"access_token\":{quoted}")) }
    }

    /// The request with the token in front of its members. `request` is a JSON object without white space around it.
    pub(super) fn splice(&self, request: &[u8]) -> Vec<u8> {
        let prefix = self.prefix.expose_secret().as_bytes();
        let members = request.get(1..).unwrap_or(b"}");
        let mut body = Vec::with_capacity(prefix.len() + 1 + members.len());
        body.extend_from_slice(prefix);
        if members != b"}" {
            body.push(b',');
        }
        body.extend_from_slice(members);
        body
    }

    /// The token itself, to be found in an answer that echoes it.
    pub(super) fn text(&self) -> &[u8] {
        self.text.expose_secret().as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// The place of an app's current token.
#[derive(Debug, Default)]
pub(super) struct TokenCell(Mutex<Option<Arc<Token>>>);

impl TokenCell {
    /// The current token, if one was ever fetched.
    pub(super) fn current(&self) -> Option<Arc<Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the current token is another one, or none.
    pub(super) fn differs(&self, text: &SecretString) -> bool {
        self.current().is_none_or(|token| token.text() != text.expose_secret().as_bytes())
    }

    /// Makes `text` the current token. Each fetch is a new generation, even where the platform gave the same text
    /// again (`stable_client_token` does).
    pub(super) fn replace(&self, text: SecretString) -> TokenGeneration {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = TokenGeneration(current.as_ref().map_or(0, |token| token.generation.0) + 1);
        *current = Some(Arc::new(Token::new(generation, text)));
        generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_splice(token: &str, request: &str, expect: &str) {
        let cell = TokenCell::default();
        cell.replace(token.into());
        let body = cell.current().unwrap().splice(request.as_bytes());
        assert_eq!(String::from_utf8(body.clone()).unwrap(), expect);
        let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(read["access_token"], token);
    }

    #[test]
    fn the_token_stands_in_front() {
        check_splice("0801ab", r#"{"a":"1","b":2}"#, r#"{"access_token":"0801ab","a":"1","b":2}"#);
        check_splice("0801ab", "{}", r#"{"access_token":"0801ab"}"#);
        check_splice("a\"b\\c\n", r#"{"a":1}"#, r#"{"access_token":"a\"b\\c\n","a":1}"#);
    }

    #[test]
    fn a_new_token_is_a_new_generation() {
        let cell = TokenCell::default();
        assert!(cell.current().is_none());
        assert_eq!(cell.replace("one".into()), TokenGeneration(1));
        assert_eq!(cell.replace("one".into()), TokenGeneration(2));
        assert_eq!(cell.current().unwrap().generation, TokenGeneration(2));
    }

    #[test]
    fn a_token_is_never_printed() {
        let cell = TokenCell::default();
        cell.replace("canary".into());
        assert!(!format!("{cell:?} {:?}", cell.current()).contains("canary"));
    }
}
