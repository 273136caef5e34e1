//! A record's value taken apart: the fields of §2 as they stand there, not yet judged.
//!
//! The outermost object is read straight into its slots: it needs neither a list of members nor their order.

use std::fmt;

use serde::de::{MapAccess, Visitor};

use super::json::{Json, MemberValue, Scratch};

/// The fields of §2; `null` is absence, unknown fields are read for their faults and dropped. Of a repeated field the
/// last one counts.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    pub(super) schema_version: Option<Json<'a>>,
    pub(super) event_id: Option<Json<'a>>,
    pub(super) order_id: Option<Json<'a>>,
    pub(super) app_id: Option<Json<'a>>,
    pub(super) order_type: Option<Json<'a>>,
    pub(super) status: Option<Json<'a>>,
    pub(super) occurred_at: Option<Json<'a>>,
    pub(super) sequence: Option<Json<'a>>,
    pub(super) order: Option<Json<'a>>,
}

impl<'a> Envelope<'a> {
    /// Takes a value apart, or says why it is no JSON object; the words carry nothing of the value.
    pub(super) fn read(value: &'a [u8]) -> Result<Self, String> {
        if value.is_empty() {
            return Err("the value is empty; it must be a JSON object".to_owned());
        }
        let text = std::str::from_utf8(value)
            .map_err(|error| format!("the value is not UTF-8 at byte {}", error.valid_up_to()))?;
        let no_json = |error| format!("the value is not JSON: {error}");
        if value.trim_ascii_start().first() != Some(&b'{') {
            Json::parse(text).map_err(no_json)?;
            return Err("the value is JSON, but not an object".to_owned());
        }
        let mut scratch = Scratch::new(text);
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = Members { scratch: &mut scratch };
        let envelope = serde::Deserializer::deserialize_map(&mut reader, members).map_err(no_json)?;
        reader.end().map_err(no_json)?;
        Ok(envelope)
    }

    fn slot(&mut self, field: Field) -> Option<&mut Option<Json<'a>>> {
        match field {
            Field::SchemaVersion => Some(&mut self.schema_version),
            Field::EventId => Some(&mut self.event_id),
            Field::OrderId => Some(&mut self.order_id),
            Field::AppId => Some(&mut self.app_id),
            Field::OrderType => Some(&mut self.order_type),
            Field::Status => Some(&mut self.status),
            Field::OccurredAt => Some(&mut self.occurred_at),
            Field::Sequence => Some(&mut self.sequence),
            Field::Order => Some(&mut self.order),
            Field::Unknown => None,
        }
    }
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    SchemaVersion,
    EventId,
    OrderId,
    AppId,
    OrderType,
    Status,
    OccurredAt,
    Sequence,
    Order,
    #[serde(other)]
    Unknown,
}

struct Members<'c, 'de> {
    scratch: &'c mut Scratch<'de>,
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(field) = map.next_key()? {
            let value = map.next_value_seed(MemberValue(&mut *self.scratch))?;
            if let Some(slot) = envelope.slot(field) {
                *slot = Some(value).filter(|value| !value.is_null());
            }
        }
        Ok(envelope)
    }
}
