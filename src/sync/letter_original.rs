//! What a dead letter carries of the record that it was: the way back from `letter.rs`.

use bytes::Bytes;

use crate::record::{Header, Record, RecordOffset, TopicPartition};

/// The first of our headers; those before it are the original's.
const FIRST: &str = "__connect.errors.topic";

/// What a letter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterContent {
    /// The original record; `None` where it was left out or was gone already.
    pub original: Option<Record>,
    /// What was sent of it, where that is told.
    pub request: Option<Bytes>,
}

/// Reads a record of the dead-letter topic as the letter of this record; `None` where it is another's.
pub fn letter_of(letter: &Record, source: &TopicPartition, offset: RecordOffset) -> Option<LetterContent> {
    // An event that was a letter itself may carry such headers: ours are the last ones.
    let ours = letter.headers.iter().rposition(|header| header.name == FIRST)?;
    let (theirs, ours) = letter.headers.split_at(ours);
    let text = |name: &str| ours.iter().find(|header| header.name == name).and_then(value);
    let is_its = text(FIRST)? == source.topic.as_bytes()
        && number(text("__connect.errors.partition")?) == Some(i64::from(source.partition))
        && number(text("__connect.errors.offset")?) == Some(offset.get());
    let is_whole = letter.value.is_some() && text("order-sync.omitted").is_none();
    let original = is_whole.then(|| Record {
        offset,
        timestamp_ms: text("order-sync.original-timestamp").and_then(number),
        key: letter.key.clone(),
        value: letter.value.clone(),
        headers: theirs.to_vec(),
    });
    let request = text("order-sync.request").map(Bytes::copy_from_slice);
    is_its.then_some(LetterContent { original, request })
}

fn value(header: &Header) -> Option<&[u8]> {
    header.value.as_deref()
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::dead_letter::{DeadLetter, DeliveryRecord};
    use super::super::letter::Origin;
    use super::*;
    use crate::order::{DeadLetterReason, Stage};

    fn letter(record: Option<Record>, reason: DeadLetterReason) -> Record {
        let letter = DeadLetter {
            source: TopicPartition::new("orders", 3),
            offset: RecordOffset::new(41),
            record,
            reason,
            stage: Stage::Deliver,
            message: "m".to_owned(),
            order_id: None,
            app_id: None,
            update_time: Some(7),
            delivery: Some(DeliveryRecord {
                attempts: 1,
                attempt_log: "one".to_owned(),
                err_code: None,
                response: None,
                request: Bytes::from_static(b"{\"update_time\":7}"),
            }),
            times: 1,
            first_failed_ms: 1,
            last_failed_ms: 1,
        };
        let letter = letter.into_letter(&Origin { group: "g".to_owned(), version: "1".to_owned() });
        Record {
            offset: RecordOffset::new(9),
            timestamp_ms: Some(2),
            key: letter.key.map(Into::into),
            value: letter.value.map(Into::into),
            headers: letter.headers,
        }
    }

    fn original() -> Record {
        let header = |name: &str| Header { name: name.to_owned(), value: Some(b"x"[..].into()) };
        Record {
            offset: RecordOffset::new(41),
            timestamp_ms: Some(1_700_000_000_123),
            key: Some(b"k"[..].into()),
            value: Some(b"{}"[..].into()),
            // A letter that was written into the source as it was.
            headers: vec![header("trace"), header(FIRST), header("order-sync.request")],
        }
    }

    #[test]
    fn the_original_comes_back_as_it_was() {
        let source = TopicPartition::new("orders", 3);
        let at = RecordOffset::new(41);
        let content = letter_of(&letter(Some(original()), DeadLetterReason::RetriesExhausted), &source, at).unwrap();
        assert_eq!(content.original, Some(original()));
        assert_eq!(content.request.as_deref(), Some(&b"{\"update_time\":7}"[..]));
        for lost in [
            letter(None, DeadLetterReason::RetriesExhausted),
            letter(Some(original()), DeadLetterReason::RecordTooLarge),
        ] {
            assert_eq!(letter_of(&lost, &source, at).unwrap().original, None);
        }
        let of = letter(Some(original()), DeadLetterReason::RetriesExhausted);
        assert_eq!(letter_of(&of, &source, RecordOffset::new(40)), None);
        assert_eq!(letter_of(&of, &TopicPartition::new("orders", 4), at), None);
        assert_eq!(letter_of(&original(), &source, at), None, "no letter");
    }
}
