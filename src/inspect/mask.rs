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

/// How the platform's ids of customers begin, and how long they are at least.
const ID_BEGINS: &str = "_000";
const ID_MIN: usize = 12;

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
        // A value may stand in a text before the member that tells what it is.
        self.learn(&value, None);
        self.mask(&mut value);
        Some(value)
    }

    /// Learns what is masked in these bytes, so that it is masked in what is shown before them, too.
    pub fn look(&mut self, bytes: &[u8]) {
        if let Ok(value) = serde_json::from_slice(bytes) {
            self.learn(&value, None);
        }
    }

    /// The value of a record's header, masked as a whole where its name says what it is.
    pub fn header(&mut self, name: &str, bytes: &[u8]) -> String {
        if self.is_masked(name) {
            let text = String::from_utf8_lossy(bytes);
            self.keep(&text);
            return masked(&text);
        }
        self.bytes(bytes)
    }

    /// A text with everything masked that has been learnt, and what stands behind a name that would be masked.
    pub fn text(&self, text: &str) -> String {
        let text = self.learnt.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), &masked(value)));
        match self.personal {
            Personal::Masked => cover_ids(scrub(&text).into_owned()),
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

    /// Remembers a value that is masked, so that it is masked wherever else it stands.
    fn keep(&mut self, text: &str) {
        if text.len() >= LEARNT_MIN && !self.learnt.iter().any(|known| known == text) {
            self.learnt.push(text.to_owned());
        }
    }

    fn learn(&mut self, value: &Value, name: Option<&str>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.learn(member, Some(name));
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.learn(element, name)),
            Value::String(text) if name.is_some_and(|name| self.is_masked(name)) => self.keep(text),
            Value::String(text) if text.starts_with(['{', '[']) => {
                self.look(text.as_bytes());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn mask(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if self.is_masked(name) {
                        Self::cover(member);
                    } else {
                        self.mask(member);
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.mask(element)),
            Value::String(text) => {
                let inner = if text.starts_with(['{', '[']) { self.json(text.as_bytes()) } else { None };
                *text = inner.map_or_else(|| self.text(text), |inner| inner.to_string());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn is_masked(&self, name: &str) -> bool {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        let is_personal = self.personal == Personal::Masked && PERSONAL.contains(&name.as_str());
        is_personal || SECRET.contains(&name.as_str())
    }

    fn cover(member: &mut Value) {
        match member {
            Value::String(text) => *text = masked(text),
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => *member = Value::from("***"),
        }
    }
}

/// Masks what looks like an `open_id`, whoever says it: the platform names other customers' in its answers, too. Its own
/// begin so (douyin-api §2).
fn cover_ids(text: String) -> String {
    if !text.contains(ID_BEGINS) {
        return text;
    }
    let (mut covered, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some(at) = rest.find(ID_BEGINS) {
        let (before, found) = rest.split_at(at);
        let length = found.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(found.len());
        let (id, behind) = found.split_at(length);
        covered.push_str(before);
        if length >= ID_MIN {
            covered.push_str(&masked(id));
        } else {
            covered.push_str(id);
        }
        rest = behind;
    }
    covered + rest
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
    fn it_is_masked_also_before_the_member_that_names_it_in_other_forms_and_in_headers() {
        let id = "plainCustomer42";
        let text =
            format!(r#"{{"extra":"buyer {id}","items":[{{"title":"{id}"}}],"open_id":"{id}","z":"p?openid=other77"}}"#);
        let mut mask = Mask::new(Personal::Masked);
        let told = mask.json(text.as_bytes()).unwrap().to_string();
        assert!(!told.contains(id) && !told.contains("other77"), "{told}");
        assert_eq!(mask.header("open_id", b"_000headerheader"), "***ader");
        assert_eq!(mask.header("Authorization", b"Bearer abc"), "***");
        assert_eq!(mask.header("trace", format!("of {id}").as_bytes()), "of ***");
        assert_eq!(mask.text("openid _000somebodyelse1 is wrong"), "openid ***lse1 is wrong");
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
