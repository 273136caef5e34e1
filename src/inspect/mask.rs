//! What of a record may be shown: personal data is masked unless it was asked for, secrets always are.
//!
//! It goes by the names of JSON members, however they are written; a value that was masked once is masked wherever else it
//! stands in what belongs to the same letter or order.

use serde_json::Value;

use crate::telemetry::redact::scrub;

/// Whether personal data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personal {
    /// `open_id` and its like are cut to their last characters.
    Masked,
    /// As it stands there.
    Shown,
}

/// Names of members whose value tells who a customer is: lower case, without separators.
const PERSONAL: [&str; 3] = ["openid", "unionid", "anonymousopenid"];
/// Names of members whose value is a secret.
const SECRET: [&str; 8] =
    ["accesstoken", "refreshtoken", "clienttoken", "clientsecret", "appsecret", "secret", "password", "authorization"];
/// A value of at least so many characters keeps its last four, so that two customers can be told apart.
const TELLS_MIN: usize = 16;
/// A shorter value is not looked for elsewhere: it would be found in the middle of other words.
const LEARNT_MIN: usize = 6;

/// The mask of one letter or order.
#[derive(Clone, Debug)]
pub struct Mask {
    personal: Personal,
    learnt: Vec<String>,
}

impl Mask {
    /// Nothing learnt yet.
    pub fn new(personal: Personal) -> Self {
        Self { personal, learnt: Vec::new() }
    }

    /// The JSON, masked; `None` for what is none. JSON within strings is masked, too.
    pub fn json(&mut self, bytes: &[u8]) -> Option<Value> {
        let mut value = serde_json::from_slice(bytes).ok()?;
        self.mask(&mut value);
        Some(value)
    }

    /// A text with everything masked that has been learnt, and what stands behind a name that would be masked.
    pub fn text(&self, text: &str) -> String {
        let text = self.learnt.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), &masked(value)));
        match self.personal {
            Personal::Masked => scrub(&text).into_owned(),
            Personal::Shown => text,
        }
    }

    /// Foreign bytes as a text, masked: JSON on one line where it is JSON, else as it stands.
    pub fn bytes(&mut self, bytes: &[u8]) -> String {
        match self.json(bytes) {
            Some(value) => self.text(&value.to_string()),
            None => self.text(&String::from_utf8_lossy(bytes)),
        }
    }

    fn mask(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if self.is_masked(name) {
                        self.cover(member);
                    } else {
                        self.mask(member);
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.mask(element)),
            Value::String(text) if text.starts_with(['{', '[']) => {
                if let Some(inner) = self.json(text.as_bytes()) {
                    *text = inner.to_string();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn is_masked(&self, name: &str) -> bool {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        let is_personal = self.personal == Personal::Masked && PERSONAL.contains(&name.as_str());
        is_personal || SECRET.contains(&name.as_str())
    }

    fn cover(&mut self, member: &mut Value) {
        match member {
            Value::String(text) => {
                if text.len() >= LEARNT_MIN && !self.learnt.contains(text) {
                    self.learnt.push(text.clone());
                }
                *text = masked(text);
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => *member = Value::from("***"),
        }
    }
}

fn masked(value: &str) -> String {
    let chars = value.chars().count();
    let tail: String = value.chars().skip(if chars < TELLS_MIN { chars } else { chars - 4 }).collect();
    format!("***{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_ID: &str = "_000canaryOPENID42";

    #[test]
    fn an_open_id_is_masked_by_any_name_and_at_any_depth_and_then_everywhere() {
        for name in ["open_id", "openId", "OPENID", "open-id"] {
            let text = format!(r#"{{"order":{{"{name}":"{OPEN_ID}"}},"detail":"{{\"open_id\":\"{OPEN_ID}\"}}"}}"#);
            let mut mask = Mask::new(Personal::Masked);
            let told = mask.json(text.as_bytes()).unwrap().to_string();
            assert!(!told.contains(OPEN_ID) && told.contains("***ID42"), "{told}");
            assert_eq!(mask.text(&format!("user {OPEN_ID}!")), "user ***ID42!");
        }
    }

    #[test]
    fn what_is_no_json_is_masked_by_its_names() {
        let mut mask = Mask::new(Personal::Masked);
        let told = mask.bytes(format!(r#"{{"open_id":"{OPEN_ID}","#).as_bytes());
        assert!(!told.contains(OPEN_ID), "{told}");
    }

    #[test]
    fn asked_for_it_is_shown_and_secrets_are_not() {
        let mut mask = Mask::new(Personal::Shown);
        let text = format!(r#"{{"open_id":"{OPEN_ID}","access_token":"act.canary","a":[{{"client_secret":7}}]}}"#);
        let told = mask.json(text.as_bytes()).unwrap().to_string();
        assert_eq!(told, format!(r#"{{"a":[{{"client_secret":"***"}}],"access_token":"***","open_id":"{OPEN_ID}"}}"#));
    }
}
