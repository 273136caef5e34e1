//! The JSON Schema of a dead letter's headers, for schemas/: what a reader of the dead-letter topic may rely on.

use schemars::{JsonSchema, Schema};

use crate::order::{DeadLetterReason, Stage};

/// The headers that order-sync appends to a dead letter, as one object of texts. The original key, value and headers
/// stand before them, unchanged; a header that has nothing to say is left out. All values are UTF-8 text.
#[derive(JsonSchema)]
#[schemars(title = "Dead letter headers, version 1")]
#[expect(dead_code, reason = "it is read by the schema generator only")]
struct DeadLetterHeaders {
    /// Topic of the original record; `topic/partition/offset` of the original is the dead letter's id.
    #[schemars(rename = "__connect.errors.topic")]
    topic: String,
    /// Partition of the original record, a decimal integer; the letter lies in the partition of the same number.
    #[schemars(rename = "__connect.errors.partition")]
    partition: String,
    /// Offset of the original record, a decimal integer.
    #[schemars(rename = "__connect.errors.offset")]
    offset: String,
    /// Where the record was judged.
    #[schemars(rename = "__connect.errors.stage")]
    stage: Stage,
    /// For people: names every field at fault, and no value. Cut at 64 KiB.
    #[schemars(rename = "__connect.errors.exception.message")]
    message: Option<String>,
    /// The stable reason code.
    #[schemars(rename = "order-sync.reason")]
    reason: DeadLetterReason,
    /// The order's id, where the record gave one that could be read.
    #[schemars(rename = "order-sync.order-id")]
    order_id: Option<String>,
    /// The app, where it is one of the worker's.
    #[schemars(rename = "order-sync.app-id")]
    app_id: Option<String>,
    /// The delivery's stamp in the app's unit, a decimal integer.
    #[schemars(rename = "order-sync.update-time")]
    update_time: Option<String>,
    /// How many attempts were made, a decimal integer.
    #[schemars(rename = "order-sync.attempts")]
    attempts: Option<String>,
    /// The last attempts, one line each: time, latency, status, code. At most 4 KiB; the newest lines are kept.
    #[schemars(rename = "order-sync.attempt-log")]
    attempt_log: Option<String>,
    /// Time of the first failure, RFC 3339 in UTC with milliseconds; where the record has been dead-lettered before, that of the
    /// first time.
    #[schemars(rename = "order-sync.first-failed-at")]
    first_failed_at: String,
    /// Time of the last failure, RFC 3339 in UTC with milliseconds.
    #[schemars(rename = "order-sync.last-failed-at")]
    last_failed_at: String,
    /// The platform's code that decided, a decimal integer.
    #[schemars(rename = "order-sync.err-code")]
    err_code: Option<String>,
    /// The platform's last answer, at most 4 KiB.
    #[schemars(rename = "order-sync.response")]
    response: Option<String>,
    /// What was sent, without `access_token`, at most 64 KiB.
    #[schemars(rename = "order-sync.request")]
    request: Option<String>,
    /// How often this record has been dead-lettered, this time included, a decimal integer.
    #[schemars(rename = "order-sync.times")]
    times: String,
    /// The original record's timestamp as Kafka has it: milliseconds since the Unix epoch, a decimal integer.
    #[schemars(rename = "order-sync.original-timestamp")]
    original_timestamp: Option<String>,
    /// The consumer group whose worker wrote the letter.
    #[schemars(rename = "order-sync.group")]
    group: String,
    /// The release that wrote the letter.
    #[schemars(rename = "order-sync.version")]
    version: String,
    /// Measures of an original that is left out because it is too large, for example
    /// `key_bytes=12;value_bytes=2097152;headers_bytes=40;value_sha256=9f86…;headers_sha256=6030…`; a part it does
    /// not have is left out. `headers_bytes` counts names and values. The digests are SHA-256 in lower-case
    /// hexadecimal: `value_sha256` of the value, `key_sha256` of the key (only where it is longer than 1024 bytes and
    /// so left out too), `headers_sha256` (only where there are headers) of all headers in their order, of each: the
    /// length of its name, the name in UTF-8, the length of its value, the value. A length is 4 bytes, big-endian; a
    /// header with a null value has the length `ffffffff` and nothing behind it. A header whose name is not UTF-8
    /// counts as the `order-sync.omitted-header` that would stand in its place.
    #[schemars(rename = "order-sync.omitted")]
    omitted: Option<String>,
    /// Among the original headers, in the place of each whose name is not UTF-8: that one cannot be carried over.
    #[schemars(rename = "order-sync.omitted-header")]
    omitted_header: Option<String>,
}

/// The schema of a dead letter's headers as an object of texts.
pub fn dead_letter_schema() -> Schema {
    schemars::schema_for!(DeadLetterHeaders)
}
