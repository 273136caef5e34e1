//! A dead letter as `dead-letters export` writes it and `import` reads it: one line of JSON, with raw bytes in base64.

use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::detail::LetterDetail;
use super::letter::{LetterId, LetterRow};
use crate::record::{Header, Record, RecordOffset};

/// The form of a line; another one has another number.
pub const EXPORT_FORMAT: u32 = 1;

/// A line that cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is not what `export` writes.
    #[error("it is no line of `dead-letters export`")]
    Json(#[from] serde_json::Error),
    /// A newer release wrote it.
    #[error(
        "its format is {0}, and this release reads format {EXPORT_FORMAT}: import it with the release that wrote it"
    )]
    Format(u32),
    /// Its headers are not a dead letter's, or another one's.
    #[error("its headers are not those of the dead letter {0}: it was changed after the export")]
    Headers(String),
    /// What it tells of the letter is not what the letter's headers say.
    #[error(
        "it was changed after the export: its {member} is {told}, and the letter's headers say {held}. Import it as it \
         was exported; what a letter says cannot be changed"
    )]
    Told {
        /// The member.
        member: &'static str,
        /// What the line tells, as JSON.
        told: String,
        /// What the headers say, as JSON.
        held: String,
    },
}

/// What stands of the original, and of the letter, beside what `list` tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportedLetter {
    /// The original.
    pub record: ExportedRecord,
    /// The letter.
    pub letter: ExportedPlace,
}

/// The original record.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportedRecord {
    /// Its key.
    pub key: Bytes,
    /// Its value, as far as the letter has it.
    pub value: Bytes,
    /// Its headers.
    pub headers: Vec<ExportedHeader>,
}

/// Where the letter lay, and what we said in it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportedPlace {
    /// The partition of the dead-letter topic.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
    /// The letter's timestamp, milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// Our headers.
    pub headers: Vec<ExportedHeader>,
}

/// One header.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportedHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Bytes,
}

/// Bytes that may be absent, in base64 (RFC 4648 §4, with padding).
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(#[serde(with = "raw")] pub Option<Box<[u8]>>);

/// The form in JSON.
mod raw {
    use base64::Engine as _;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::STANDARD;

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Box<[u8]>>, to: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => to.serialize_str(&STANDARD.encode(bytes)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Box<[u8]>>, D::Error> {
        let Some(text) = Option::<std::borrow::Cow<'d, str>>::deserialize(from)? else { return Ok(None) };
        // The words of the decoder name no byte of the text beyond the first wrong one.
        STANDARD.decode(&*text).map(|bytes| Some(bytes.into())).map_err(de::Error::custom)
    }
}

impl ExportedLetter {
    /// What is written of a letter.
    pub fn of(letter: &LetterDetail) -> Self {
        let bytes = |bytes: Option<&[u8]>| Bytes(bytes.map(Box::from));
        let headers = |headers: &[Header]| {
            let one =
                |header: &Header| ExportedHeader { name: header.name.clone(), value: bytes(header.value.as_deref()) };
            headers.iter().map(one).collect()
        };
        let record = &letter.record;
        Self {
            record: ExportedRecord {
                key: bytes(record.key.as_deref()),
                value: bytes(record.value.as_deref()),
                headers: headers(letter.original_headers()),
            },
            letter: ExportedPlace {
                partition: letter.row.place.0,
                offset: letter.row.place.1.get(),
                timestamp_ms: record.timestamp_ms,
                headers: headers(letter.own_headers()),
            },
        }
    }
}

/// Reads a line back: the letter as a record of its topic, with what `list` tells of it. Its headers must say what the
/// line says of itself.
pub fn read_exported(line: &[u8]) -> Result<(LetterRow, Record), ExportError> {
    /// What every format has, and what is told of the letter.
    #[derive(Deserialize)]
    struct Form {
        format: u32,
        id: String,
        #[serde(flatten)]
        told: serde_json::Map<String, serde_json::Value>,
    }
    let form: Form = serde_json::from_slice(line)?;
    if form.format != EXPORT_FORMAT {
        return Err(ExportError::Format(form.format));
    }
    let ExportedLetter { record, letter } = serde_json::from_slice(line)?;
    let headers = record.headers.into_iter().chain(letter.headers);
    let headers = headers.map(|header| Header { name: header.name, value: header.value.0 }).collect();
    let record = Record {
        offset: RecordOffset::new(letter.offset),
        timestamp_ms: letter.timestamp_ms,
        key: record.key.0,
        value: record.value.0,
        headers,
    };
    let seen = (letter.partition, record);
    let row = LetterRow::read(&seen).filter(|row| {
        form.id.parse::<LetterId>().is_ok_and(|id| id == row.id) && row.id.source.partition == letter.partition
    });
    let row = row.ok_or(ExportError::Headers(form.id))?;
    agree(&form.told, &row)?;
    Ok((row, seen.1))
}

/// A line tells in clear what its headers say in base64: who edits the one expects the other to follow, and is told that
/// it does not. A member that is not there contradicts nothing, and the status is the changelog's to tell.
fn agree(told: &serde_json::Map<String, serde_json::Value>, row: &LetterRow) -> Result<(), ExportError> {
    let held = [
        ("reason", row.reason.as_ref().into()),
        ("app_id", row.app_id.as_deref().into()),
        ("order_id", row.order_id.as_deref().into()),
        ("update_time", row.update_time.into()),
        ("err_code", row.err_code.into()),
        ("attempts", row.attempts.into()),
        ("times", row.times.into()),
        ("first_failed_at", row.first_failed_at.as_deref().into()),
        ("last_failed_at", row.last_failed_at.as_deref().into()),
    ];
    // What an earlier release has exported tells no app that the event alone names.
    let is_foreign = |member, told: &serde_json::Value| {
        member == "app_id" && row.foreign_app.as_deref().is_some_and(|app| told == app)
    };
    held.into_iter().try_for_each(|(member, held): (_, serde_json::Value)| match told.get(member) {
        Some(told) if is_foreign(member, told) => Ok(()),
        Some(told) if *told != held => {
            Err(ExportError::Told { member, told: told.to_string(), held: held.to_string() })
        }
        Some(_) | None => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(partition: i32) -> LetterDetail {
        let header = |name: &str, value: Option<&[u8]>| Header { name: name.into(), value: value.map(Into::into) };
        let headers = vec![
            header("trace", None),
            header("trace", Some(&[0xff, 0])),
            header("__connect.errors.topic", Some(b"orders")),
            header("__connect.errors.partition", Some(b"3")),
            header("__connect.errors.offset", Some(b"5")),
            header("order-sync.reason", Some(b"malformed_json")),
        ];
        let (offset, timestamp_ms) = (RecordOffset::new(9), Some(7));
        let record = Record { offset, timestamp_ms, key: None, value: Some(b"\xff{"[..].into()), headers };
        LetterDetail::read(&(partition, record)).unwrap()
    }

    /// An export of now tells the app that the event alone names; one of a release before told none.
    #[test]
    fn an_app_that_the_event_alone_names_is_told_or_not() {
        let mut record = letter(3).record;
        for header in record.headers.iter_mut().filter(|header| header.name == "order-sync.reason") {
            header.value = Some(b"unknown_app"[..].into());
        }
        record.value = Some(br#"{"app_id":"tt9"}"#[..].into());
        let letter = LetterDetail::read(&(3, record)).unwrap();
        for (told, is_taken) in [("tt9".into(), true), (serde_json::Value::Null, true), ("tt1".into(), false)] {
            let mut line: serde_json::Value = serde_json::from_slice(&line(&letter, "orders/3/5", 1)).unwrap();
            (line["app_id"], line["reason"]) = (told, "unknown_app".into());
            let read = read_exported(line.to_string().as_bytes());
            assert_eq!(read.is_ok(), is_taken, "{line}: {read:?}");
        }
    }

    fn line(letter: &LetterDetail, id: &str, format: u32) -> Vec<u8> {
        let mut line = serde_json::to_value(ExportedLetter::of(letter)).unwrap();
        line["format"] = format.into();
        line["id"] = id.into();
        line["reason"] = "malformed_json".into();
        line["order_id"] = serde_json::Value::Null;
        serde_json::to_vec(&line).unwrap()
    }

    #[test]
    fn what_was_exported_reads_back_byte_for_byte() {
        let letter = letter(3);
        let (row, record) = read_exported(&line(&letter, "orders/3/5", 1)).unwrap();
        assert_eq!((&row, &record), (&letter.row, &letter.record));
    }

    #[test]
    fn what_is_not_an_export_of_this_letter_is_refused() {
        let check = |line: &[u8], words: &str| {
            let error = read_exported(line).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check(&line(&letter(3), "orders/3/5", 2), "its format is 2");
        check(&line(&letter(3), "orders/3/6", 1), "not those of the dead letter orders/3/6");
        check(&line(&letter(4), "orders/3/5", 1), "not those of the dead letter orders/3/5");
        check(b"{}", "no line of `dead-letters export`");
        let broken = String::from_utf8(line(&letter(3), "orders/3/5", 1)).unwrap().replace("\"/3s=\"", "\"/3s\"");
        check(broken.as_bytes(), "no line of `dead-letters export`");
        let text = String::from_utf8(line(&letter(3), "orders/3/5", 1)).unwrap();
        let reason = text.replace("\"malformed_json\"", "\"incomplete_order\"");
        check(reason.as_bytes(), "its reason is \"incomplete_order\", and the letter's headers say \"malformed_json\"");
        let order = text.replace("\"order_id\":null", "\"order_id\":\"A1\"");
        check(order.as_bytes(), "its order_id is \"A1\", and the letter's headers say null");
        let times = text.replace("\"order_id\":null", "\"times\":7");
        check(times.as_bytes(), "its times is 7, and the letter's headers say 1");
    }
}
