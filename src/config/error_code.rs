//! `[[douyin.error_codes]]`: the user's own rules for answers of the platform. `douyin` gives them meaning.

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// One rule of the outcome table as configured; `douyin` gives it meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCodeRule {
    /// The `err_code`, outer or inner.
    pub code: i64,
    /// Matches only where the message contains this text, ignoring ASCII case.
    pub message_contains: Option<String>,
    /// `accepted`, `retry`, `refresh_token`, `reject` or `suspend`.
    pub verdict: String,
    /// For people.
    pub meaning: String,
}

pub(super) const SECTION: Section = Section {
    path: "douyin.error_codes",
    shape: Shape::Rows,
    doc: "Further rules for the platform's answers; they stand before the built-in ones (config/error-codes.toml), and \
          `order-sync explain` shows which rule decides.",
    keys: &[
        Key {
            name: "code",
            kind: Kind::Code,
            absent: Absent::Fault("40031"),
            doc: "The err_code of the answer, or the error_code within its body.",
        },
        Key {
            name: "message_contains",
            kind: Kind::Text,
            absent: Absent::Nothing("\"frequency\""),
            doc: "Narrows the rule to answers whose message contains this text, whatever the case of its letters.",
        },
        Key {
            name: "verdict",
            kind: Kind::Word(&["accepted", "retry", "refresh_token", "reject", "suspend"]),
            absent: Absent::Fault("\"retry\""),
            doc: "What follows: take it as delivered, try again, fetch a new token, dead-letter the event, or suspend \
                  the app until a person has looked.",
        },
        Key {
            name: "meaning",
            kind: Kind::Text,
            absent: Absent::Nothing("\"seen on busy evenings\""),
            doc: "Words for people, shown by `order-sync explain`.",
        },
    ],
};

/// Reads one of `[[douyin.error_codes]]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> ErrorCodeRule {
    let code = reader.code("code");
    if code == 0 && reader.given("code") && !reader.faulty("code") {
        reader.fault("code", "0 is success and stays so; name the code of a failure");
    }
    ErrorCodeRule {
        code,
        message_contains: reader.maybe_text("message_contains"),
        verdict: reader.text("verdict"),
        meaning: reader.text("meaning"),
    }
}
