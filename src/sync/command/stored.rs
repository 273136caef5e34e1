//! A command as it lies in the commands topic: the record's key is its id, the value one JSON object.
//!
//! Members and formats that this release does not know are refused: a command that is understood in part is not one
//! that its operator has given.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::{Action, COMMAND_ID_BYTES_MAX, Command, LetterPlace, WHO_BYTES_MAX, WHY_BYTES_MAX, Word};
use crate::order::AppId;
use crate::record::{RecordOffset, TopicPartition};

/// The format that this release writes; it reads no other.
const FORMAT: u64 = 1;
/// The greatest length of an app's or an order's id in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A command in the commands topic: the value of a record whose key is the command's id. Written with acknowledgement by
/// all in-sync replicas to the partition of the source partition's number.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Command", title = "Operator command, version 1")]
pub(super) struct StoredCommand {
    /// The format's number.
    #[schemars(range(min = 1, max = 1))]
    format: u64,
    /// Names the command for ever; 1 to 512 bytes. A command given twice acts once.
    #[schemars(length(min = 1, max = 512))]
    id: Box<str>,
    /// What is to be done.
    command: Word,
    /// The source topic.
    topic: Box<str>,
    /// The source partition, and the partition of the commands topic.
    #[schemars(range(min = 0))]
    partition: i32,
    /// redrive, discard, fold: the offset of the original record in the source topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    offset: Option<i64>,
    /// resync, pause, resume, `accept_rejections`: the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    app_id: Option<AppId>,
    /// resync: the merchant's order number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    order_id: Option<Box<str>>,
    /// `accept_rejections`: the platform's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    code: Option<i64>,
    /// redrive: where the newest letter of the record lies in the dead-letter topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LetterPlace")]
    letter: Option<LetterPlace>,
    /// Who gave it; at most 256 bytes.
    who: Box<str>,
    /// Why; at most 2048 bytes, and may be empty.
    why: Box<str>,
    /// When it was given, by its giver's clock, milliseconds since the epoch.
    at_ms: i64,
}

impl Command {
    /// The record's value: one JSON object, `format` first. The key is [`Command::id`].
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut stored = StoredCommand {
            format: FORMAT,
            id: self.id.clone(),
            command: self.action.word(),
            topic: (&*self.source.topic).into(),
            partition: self.source.partition,
            offset: self.action.offset().map(RecordOffset::get),
            app_id: None,
            order_id: None,
            code: None,
            letter: None,
            who: self.who.clone(),
            why: self.why.clone(),
            at_ms: self.at_ms,
        };
        match &self.action {
            Action::Redrive { letter, .. } => stored.letter = *letter,
            Action::Discard { .. } | Action::Fold { .. } => {}
            Action::Resync { app_id, order_id } => {
                (stored.app_id, stored.order_id) = (Some(app_id.clone()), Some(order_id.clone()));
            }
            Action::Pause { app_id } | Action::Resume { app_id } => stored.app_id = Some(app_id.clone()),
            Action::AcceptRejections { app_id, code } => {
                (stored.app_id, stored.code) = (Some(app_id.clone()), Some(*code));
            }
        }
        serde_json::to_vec(&stored)
    }
}

/// What a record of the commands topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A command.
    Command(Command),
    /// Meant as a command for this partition, and not one that this release executes: it is refused by its id.
    Refused {
        /// Its id.
        id: Box<str>,
        /// The source partition that it names.
        source: TopicPartition,
        /// What it calls itself.
        command: Box<str>,
        /// What is wrong, in words.
        words: String,
    },
    /// Nobody's: it names no id, topic and partition.
    Unreadable(String),
}

/// Reads a record of the commands topic.
pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Read {
    let value = value.unwrap_or_default();
    match strict(key, value) {
        Ok(command) => Read::Command(command),
        Err(words) => refused(value, words),
    }
}

fn strict(key: Option<&[u8]>, value: &[u8]) -> Result<Command, String> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let words = |error: serde_json::Error| format!("unreadable command: {error}");
    let format = serde_json::from_slice::<Format>(value).map_err(words)?.format;
    if format != FORMAT {
        return Err(format!("unknown command format {format}"));
    }
    let stored: StoredCommand = serde_json::from_slice(value).map_err(words)?;
    if key != Some(stored.id.as_bytes()) {
        return Err("the record's key is not the command's id".to_owned());
    }
    let bounded = |name: &str, text: &str, max: usize| match text.len() {
        length if length > max => Err(format!("`{name}` has {length} bytes; at most {max}")),
        _ => Ok(()),
    };
    bounded("id", &stored.id, COMMAND_ID_BYTES_MAX)?;
    bounded("who", &stored.who, WHO_BYTES_MAX)?;
    bounded("why", &stored.why, WHY_BYTES_MAX)?;
    bounded("app_id", stored.app_id.as_ref().map_or("", AppId::as_str), NAME_BYTES_MAX)?;
    bounded("order_id", stored.order_id.as_deref().unwrap_or_default(), NAME_BYTES_MAX)?;
    if stored.id.is_empty() || stored.partition < 0 || stored.offset.is_some_and(|offset| offset < 0) {
        return Err("`id` is empty, or `partition` or `offset` is negative".to_owned());
    }
    stored.checked()
}

impl StoredCommand {
    /// The command, where it has the members that its word needs and no other.
    fn checked(self) -> Result<Command, String> {
        let Self { command, topic, partition, offset, app_id, order_id, code, letter, .. } = self;
        let offset = offset.map(RecordOffset::new);
        let action = match (command, offset, app_id, order_id, code, letter) {
            (Word::Redrive, Some(offset), None, None, None, letter) => Action::Redrive { offset, letter },
            (Word::Discard, Some(offset), None, None, None, None) => Action::Discard { offset },
            (Word::Fold, Some(offset), None, None, None, None) => Action::Fold { offset },
            (Word::Resync, None, Some(app_id), Some(order_id), None, None) => Action::Resync { app_id, order_id },
            (Word::Pause, None, Some(app_id), None, None, None) => Action::Pause { app_id },
            (Word::Resume, None, Some(app_id), None, None, None) => Action::Resume { app_id },
            (Word::AcceptRejections, None, Some(app_id), None, Some(code), None) => {
                Action::AcceptRejections { app_id, code }
            }
            _ => return Err("a member that this command needs is missing, or one is there that it has not".to_owned()),
        };
        let source = TopicPartition::new(&*topic, partition);
        Ok(Command { id: self.id, source, action, who: self.who, why: self.why, at_ms: self.at_ms })
    }
}

/// What was meant as a command leaves an outcome under its id, so that whoever waits for it is told.
fn refused(value: &[u8], words: String) -> Read {
    let Ok(value) = serde_json::from_slice::<Value>(value) else { return Read::Unreadable(words) };
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let partition = value.get("partition").and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
    let id = text("id").filter(|id| (1..=COMMAND_ID_BYTES_MAX).contains(&id.len()));
    let (Some(id), Some(topic), Some(partition)) = (id, text("topic"), partition) else {
        return Read::Unreadable(words);
    };
    // It becomes a label: only words that are known.
    let known = value.get("command").is_some_and(|word| Word::deserialize(word).is_ok());
    let command = text("command").filter(|_| known).unwrap_or("unknown");
    Read::Refused { id: id.into(), source: TopicPartition::new(topic, partition), command: command.into(), words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(action: Action) -> Command {
        Command {
            id: "c1".into(),
            source: TopicPartition::new("orders", 3),
            action,
            who: "alice".into(),
            why: "查".into(),
            at_ms: 7,
        }
    }

    #[test]
    fn the_stored_form_is_fixed_and_comes_back() {
        let (app_id, offset) = (AppId::new("tt1"), RecordOffset::new(42));
        let check = |action: Action, members: &str| {
            let name = action.as_str();
            let command = command(action);
            let expect = format!(
                r#"{{"format":1,"id":"c1","command":"{name}","topic":"orders","partition":3,{members},"who":"alice","why":"查","at_ms":7}}"#
            );
            assert_eq!(String::from_utf8(command.encode().unwrap()).unwrap(), expect);
            assert_eq!(read(Some(b"c1"), Some(expect.as_bytes())), Read::Command(command));
        };
        let letter = Some(LetterPlace { partition: 3, offset: 9 });
        check(Action::Redrive { offset, letter }, r#""offset":42,"letter":{"partition":3,"offset":9}"#);
        check(Action::Redrive { offset, letter: None }, r#""offset":42"#);
        check(Action::Discard { offset }, r#""offset":42"#);
        check(Action::Fold { offset }, r#""offset":42"#);
        let resync = Action::Resync { app_id: app_id.clone(), order_id: "A1".into() };
        check(resync, r#""app_id":"tt1","order_id":"A1""#);
        check(Action::Pause { app_id: app_id.clone() }, r#""app_id":"tt1""#);
        check(Action::Resume { app_id: app_id.clone() }, r#""app_id":"tt1""#);
        check(Action::AcceptRejections { app_id, code: -5 }, r#""app_id":"tt1","code":-5"#);
    }

    #[test]
    fn what_is_not_understood_as_a_whole_is_refused_by_its_id() {
        let head = r#""id":"c1","topic":"orders","partition":3"#;
        let tail = r#""who":"a","why":"","at_ms":1"#;
        let check = |members: &str, key: &str, expect: &str| {
            let text = format!("{{{members}}}");
            let Read::Refused { id, source, words, .. } = read(Some(key.as_bytes()), Some(text.as_bytes())) else {
                panic!("{text}")
            };
            assert_eq!((&*id, source), ("c1", TopicPartition::new("orders", 3)));
            assert!(words.contains(expect), "{text}: {words}");
        };
        check(&format!(r#""format":2,"command":"later",{head}"#), "c1", "unknown command format 2");
        check(&format!(r#""format":1,"command":"later",{head},{tail}"#), "c1", "unknown variant");
        check(&format!(r#""format":1,"command":"pause","app_id":"t","new":1,{head},{tail}"#), "c1", "unknown field");
        check(&format!(r#""format":1,"command":"pause",{head},{tail}"#), "c1", "is missing");
        check(&format!(r#""format":1,"command":"pause","app_id":"t","code":1,{head},{tail}"#), "c1", "is missing");
        check(&format!(r#""format":1,"command":"fold","offset":-1,{head},{tail}"#), "c1", "negative");
        check(&format!(r#""format":1,"command":"pause","app_id":"t",{head},{tail}"#), "c2", "key is not");
        let long = "x".repeat(WHO_BYTES_MAX + 1);
        let members = format!(r#""format":1,"command":"pause","app_id":"t",{head},"who":"{long}","why":"","at_ms":1"#);
        check(&members, "c1", "`who` has 257 bytes");
    }

    #[test]
    fn what_names_no_partition_is_nobodys() {
        for text in
            ["", "x", "[]", r#"{"format":1,"id":"c1","topic":"orders"}"#, r#"{"id":"","topic":"o","partition":1}"#]
        {
            assert!(matches!(read(None, Some(text.as_bytes())), Read::Unreadable(_)), "{text}");
        }
        assert!(matches!(read(Some(b"c1"), None), Read::Unreadable(_)));
    }
}
