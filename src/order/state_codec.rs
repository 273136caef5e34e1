//! The stored form of a state: one JSON object that begins with its format number and ends with the document, as it is.
//!
//! Written by hand, because it is written for every event; read through serde. Members that an older release would
//! drop are a new format: unknown members and unknown formats are refused alike.

use serde::Deserialize;
use serde::de::Error;
use serde_json::value::RawValue;

use super::json::{TextOut, write_string};
use super::state::{DeadLetterMark, OrderState, StateError};
use super::value::{Digest, EventTime, OrderType, Sequence, Status, UpdateTime};

/// The only format that this release writes and reads.
const FORMAT: u64 = 1;

/// The stored form of an order's state, as in the store and in the changelog.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrderState")]
pub(super) struct StoredState<'a> {
    /// The format's number.
    #[schemars(range(min = 1, max = 1))]
    format: u64,
    /// The order's type, given by its first event.
    order_type: OrderType,
    /// The status of the last applied event.
    status: Status,
    /// Offset of the last applied record in the order's source partition.
    applied_offset: i64,
    /// The newest ids applied at `occurred_at`, oldest first.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 128)))]
    event_ids: Vec<Box<str>>,
    /// The last sequence that was present; left out while there was none.
    #[serde(default)]
    #[schemars(with = "i64", range(min = 0, max = 9_007_199_254_740_991_i64))]
    sequence: Option<Sequence>,
    /// Time of the last applied event, milliseconds since the epoch.
    #[schemars(range(min = 1_000_000_000_000_i64, max = 9_999_999_999_999_i64))]
    occurred_at: EventTime,
    /// The order's last stamp, in the app's unit.
    #[schemars(range(min = 1))]
    update_time: UpdateTime,
    /// SHA-256 of the last folded request without `access_token` and `update_time`.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    digest: &'a str,
    /// There while the delivery of `update_time` stands as a dead letter.
    #[serde(default)]
    #[schemars(with = "DeadLetterMark")]
    dead_letter: Option<DeadLetterMark>,
    /// The merged order document, at most 256 KiB as compact JSON.
    #[serde(borrow)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    document: &'a RawValue,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

impl OrderState {
    /// Appends the stored form: one JSON object, `format` first. The same bytes go to the store and the changelog.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        out.reserve(self.document.len() + self.event_ids.iter().map(|id| id.len() + 8).sum::<usize>() + 320);
        out.put(r#"{"format":1,"order_type":""#);
        out.put(self.order_type.as_str());
        out.put(r#"","status":""#);
        out.put(self.status.as_str());
        out.put(r#"","applied_offset":"#);
        out.put(digits.format(self.applied_offset));
        out.put(r#","event_ids":["#);
        for (at, event_id) in self.event_ids.iter().enumerate() {
            out.put(if at == 0 { "" } else { "," });
            write_string(event_id, out);
        }
        out.put("]");
        if let Some(Sequence(sequence)) = self.sequence {
            out.put(r#","sequence":"#);
            out.put(digits.format(sequence));
        }
        out.put(r#","occurred_at":"#);
        out.put(digits.format(self.occurred_at.0));
        out.put(r#","update_time":"#);
        out.put(digits.format(self.update_time.0));
        out.put(r#","digest":""#);
        out.put(&self.digest.to_hex());
        out.put("\"");
        if let Some(mark) = &self.dead_letter {
            mark.encode(out);
        }
        out.put(r#","document":"#);
        out.put(&self.document);
        out.put("}");
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let stored: StoredState<'_> = serde_json::from_slice(bytes).map_err(|error| other_format(bytes, error))?;
        if stored.format != FORMAT {
            return Err(StateError::Format(stored.format));
        }
        let document = stored.document.get();
        let digest = Digest::from_hex(stored.digest);
        let (Some(digest), true) = (digest, document.starts_with('{')) else {
            return Err(serde_json::Error::custom("digest or document is not what this release writes").into());
        };
        Ok(Self {
            order_type: stored.order_type,
            status: stored.status,
            document: document.into(),
            applied_offset: stored.applied_offset,
            event_ids: stored.event_ids,
            sequence: stored.sequence,
            occurred_at: stored.occurred_at,
            update_time: stored.update_time,
            digest,
            dead_letter: stored.dead_letter,
        })
    }
}

impl DeadLetterMark {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        out.put(r#","dead_letter":{"offset":"#);
        out.put(digits.format(self.offset));
        out.put(r#","reason":""#);
        out.put(self.reason.as_str());
        out.put(r#"","times":"#);
        out.put(digits.format(self.times));
        out.put("}");
    }
}

/// What cannot be read may be of another format: that is the clearer word.
fn other_format(bytes: &[u8], error: serde_json::Error) -> StateError {
    match serde_json::from_slice::<FormatOnly>(bytes) {
        Ok(FormatOnly { format }) if format != FORMAT => StateError::Format(format),
        Ok(_) | Err(_) => StateError::Json(error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::order::DeadLetterReason;

    fn state() -> OrderState {
        OrderState {
            order_type: OrderType::GroupCoupon,
            status: Status::TimedOut,
            document: r#"{"description":"你","x":[1,{"y":null}]}"#.into(),
            applied_offset: 41,
            event_ids: vec!["a\"b\\".into(), "é".into()],
            sequence: Some(Sequence(0)),
            occurred_at: EventTime(1_694_761_323_999),
            update_time: UpdateTime(1_694_761_323),
            digest: Digest::of(b"x"),
            dead_letter: Some(DeadLetterMark { offset: 7, reason: DeadLetterReason::RejectedByPlatform, times: 2 }),
        }
    }

    fn encoded(state: &OrderState) -> String {
        let mut out = Vec::new();
        state.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_stored_form_is_this_text() {
        let digest = Digest::of(b"x").to_hex();
        let expect = format!(
            r#"{{"format":1,"order_type":"group_coupon","status":"timed_out","applied_offset":41,"event_ids":["a\"b\\","é"],"sequence":0,"occurred_at":1694761323999,"update_time":1694761323,"digest":"{digest}","dead_letter":{{"offset":7,"reason":"rejected_by_platform","times":2}},"document":{{"description":"你","x":[1,{{"y":null}}]}}}}"#
        );
        assert_eq!(encoded(&state()), expect);
    }

    #[test]
    fn what_this_release_did_not_write_is_refused() {
        let check = |text: String, expect: &str| {
            let error = OrderState::decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{error}");
        };
        let text = encoded(&state());
        check(text.replace("\"format\":1", "\"format\":2"), "unknown state format 2");
        check(text.replace("\"format\":1,", "\"format\":3,\"new\":[1],"), "unknown state format 3");
        check(text.replace("\"format\":1,", "\"format\":1,\"new\":[1],"), "unreadable state");
        check(text.replace("\"format\":1,", ""), "unreadable state");
        check(text.replace("timed_out", "lost"), "unreadable state");
        check(text.replace("\"digest\":\"", "\"digest\":\"0"), "unreadable state");
        check(text.replace("{\"description\":\"你\",\"x\":[1,{\"y\":null}]}", "[]"), "unreadable state");
        check(String::new(), "unreadable state");
    }

    proptest! {
        #[test]
        fn every_state_reads_back(
            kind in 0_usize..3, status in 0_usize..10, event_ids in prop::collection::vec("\\PC{1,40}|[\\x00-\\x7f]{1,40}", 1..33),
            sequence in prop::option::of(0_i64..1 << 53), times in prop::option::of(any::<u32>()), offset in 0..i64::MAX,
        ) {
            let state = OrderState {
                order_type: OrderType::ALL[kind], status: Status::ALL[status], applied_offset: offset,
                event_ids: event_ids.into_iter().map(Into::into).collect(), sequence: sequence.map(Sequence),
                dead_letter: times.map(|times| DeadLetterMark { offset, reason: DeadLetterReason::RetriesExhausted, times }),
                ..state()
            };
            prop_assert_eq!(OrderState::decode(encoded(&state).as_bytes()).unwrap(), state);
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400, with in any::<u8>()) {
            drop(OrderState::decode(&bytes));
            let mut text = encoded(&state()).into_bytes();
            let last = text.len() - 1;
            text[at.min(last)] = with;
            drop(OrderState::decode(&text));
        }
    }
}
