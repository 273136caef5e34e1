//! A dead letter as a list tells it: its id, and what its headers say, without the original record.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::order::DeadLetterReason;
use crate::order::event::named_app;
use crate::record::{RecordOffset, TopicPartition};
use crate::sync::scan::Seen;

/// Names a dead letter: topic, partition and offset of the original record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId {
    /// The original's topic and partition.
    pub source: TopicPartition,
    /// The original's offset.
    pub offset: RecordOffset,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.offset)
    }
}

/// A text that names no dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is topic/partition/offset of the original record, for example order-events/3/1024")]
pub struct NoId;

impl FromStr for LetterId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let mut parts = text.rsplitn(3, '/');
        let offset = number(parts.next())?;
        let partition = i32::try_from(number(parts.next())?).map_err(|_| NoId)?;
        let topic = parts.next().filter(|topic| !topic.is_empty()).ok_or(NoId)?;
        Ok(Self { source: TopicPartition::new(topic, partition), offset: RecordOffset::new(offset) })
    }
}

fn number(text: Option<&str>) -> Result<i64, NoId> {
    text.and_then(|text| text.parse().ok()).filter(|number| *number >= 0).ok_or(NoId)
}

/// One row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// Its id.
    pub id: LetterId,
    /// The reason code; one that this release does not know stands as it is.
    pub reason: Box<str>,
    /// The app, where it is one of the worker's.
    pub app_id: Option<Box<str>>,
    /// The app that the event names, where that is why it was set aside: no header has it, as it is none of the worker's.
    pub foreign_app: Option<Box<str>>,
    /// The order, where it could be read.
    pub order_id: Option<Box<str>>,
    /// The delivery's stamp.
    pub update_time: Option<i64>,
    /// The platform's code that decided.
    pub err_code: Option<i64>,
    /// How many attempts were made; 0 where it never came to a delivery.
    pub attempts: u32,
    /// How often the record has been dead-lettered.
    pub times: u32,
    /// Time of the first failure, as the letter has it.
    pub first_failed_at: Option<Box<str>>,
    /// Time of the last failure, as the letter has it.
    pub last_failed_at: Option<Box<str>>,
    /// Where the letter lies in the dead-letter topic: partition and offset.
    pub place: (i32, RecordOffset),
    /// When the letter was written, by the clock of its worker; milliseconds since the epoch.
    pub written_ms: i64,
}

impl LetterRow {
    /// Reads the headers; `None` for a record that is no dead letter of ours. Of a name that repeats the last counts: ours
    /// stand behind the original's.
    pub fn read(seen: &dyn Seen) -> Option<Self> {
        let (mut topic, mut partition, mut offset) = (None, None, None);
        let mut row = Self {
            id: LetterId { source: TopicPartition::new("", 0), offset: RecordOffset::new(0) },
            reason: Box::default(),
            app_id: None,
            foreign_app: None,
            order_id: None,
            update_time: None,
            err_code: None,
            attempts: 0,
            times: 1,
            first_failed_at: None,
            last_failed_at: None,
            place: (seen.partition(), seen.offset()),
            written_ms: seen.timestamp_ms().unwrap_or_default(),
        };
        seen.headers(&mut |name, value| {
            let Some(text) = value.and_then(|value| std::str::from_utf8(value).ok()) else { return };
            match name {
                "__connect.errors.topic" => topic = Some(Arc::from(text)),
                "__connect.errors.partition" => partition = text.parse::<i32>().ok(),
                "__connect.errors.offset" => offset = text.parse::<i64>().ok(),
                "order-sync.reason" => row.reason = text.into(),
                "order-sync.app-id" => row.app_id = Some(text.into()),
                "order-sync.order-id" => row.order_id = Some(text.into()),
                "order-sync.update-time" => row.update_time = text.parse().ok(),
                "order-sync.err-code" => row.err_code = text.parse().ok(),
                "order-sync.attempts" => row.attempts = text.parse().unwrap_or(0),
                "order-sync.times" => row.times = text.parse().unwrap_or(1),
                "order-sync.first-failed-at" => row.first_failed_at = Some(text.into()),
                "order-sync.last-failed-at" => row.last_failed_at = Some(text.into()),
                _ => {}
            }
        });
        let source = TopicPartition { topic: topic?, partition: partition? };
        row.id = LetterId { source, offset: RecordOffset::new(offset?) };
        if row.app_id.is_none() && *row.reason == *DeadLetterReason::UnknownApp.as_str() {
            row.foreign_app = seen.value().and_then(named_app).map(Into::into);
        }
        (!row.reason.is_empty()).then_some(row)
    }

    /// The app as far as it can be read: the worker's, or the one that the event names.
    pub fn app(&self) -> Option<&str> {
        self.app_id.as_deref().or(self.foreign_app.as_deref())
    }

    /// Time of the last failure, milliseconds since the epoch; where it cannot be read, when the letter was written.
    pub fn last_failed_ms(&self) -> i64 {
        let time = self.last_failed_at.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        time.map_or(self.written_ms, jiff::Timestamp::as_millisecond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Header, Record};

    /// No header names an app that is none of the worker's; the event that the letter holds does.
    #[test]
    fn an_app_that_is_not_configured_is_read_from_the_event() {
        let check = |reason: &str, header: Option<&str>, value: &str, expect: Option<&str>| {
            let header = header.map(|app| ("order-sync.app-id", app));
            let place = [("__connect.errors.topic", "orders"), ("__connect.errors.partition", "3")];
            let rest = [("__connect.errors.offset", "5"), ("order-sync.reason", reason)];
            let headers = place.into_iter().chain(rest).chain(header);
            let record = Record {
                offset: RecordOffset::new(9),
                timestamp_ms: None,
                key: None,
                value: Some(value.as_bytes().into()),
                headers: headers
                    .map(|(name, value)| Header { name: name.into(), value: Some(value.as_bytes().into()) })
                    .collect(),
            };
            let row = LetterRow::read(&(3, record)).unwrap();
            assert_eq!((row.app(), row.app_id.as_deref()), (expect, header.map(|(_, app)| app)), "{value}");
        };
        let named = r#"{"order_id":"o1","app_id":"tt9"}"#;
        check("unknown_app", None, named, Some("tt9"));
        check("unknown_app", None, r#"{"order_id":"o1"}"#, None);
        check("unknown_app", None, r#"{"app_id":9}"#, None);
        check("unknown_app", None, &format!(r#"{{"app_id":"{}"}}"#, "x".repeat(65)), None);
        check("incomplete_order", Some("tt1"), named, Some("tt1"));
        check("malformed_event", None, named, None);
    }

    #[test]
    fn ids_read_back() {
        let check = |text: &str| assert_eq!(text.parse::<LetterId>().unwrap().to_string(), text);
        check("orders/3/1024");
        check("or/ders/0/0");
        for text in ["", "orders", "orders/3", "orders/x/1", "orders/-1/1", "/1/2", "orders/1/", "orders/99999999999/1"]
        {
            assert_eq!(text.parse::<LetterId>(), Err(NoId), "{text}");
        }
    }
}
