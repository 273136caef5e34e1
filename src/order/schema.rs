//! The JSON Schemas of the order event and of the stored state, generated from types.
//!
//! The event's types here are its description for producers; the decoder judges by itself. What JSON Schema cannot say
//! (limits in bytes, `1.0` is no integer, what an order type requires) stands in the descriptions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};

use super::state_codec::StoredState;
use super::value::{OrderType, Status};

/// The schema of an order event, version 1 (§2 and §5 of the contract).
pub fn event_schema() -> Schema {
    schema_for!(Event)
}

/// The schema of an order's state as it is stored.
pub fn state_schema() -> Schema {
    schema_for!(StoredState<'static>)
}

/// One immutable fact about one order: the value of a Kafka record whose key is the order id. Unknown fields are
/// ignored. `null` in an optional field is the same as its absence. JSON nests at most 100 deep.
#[derive(JsonSchema)]
#[schemars(rename = "OrderEvent", extend("additionalProperties" = true))]
#[expect(dead_code, clippy::struct_field_names, reason = "only its schema is used, and the contract names the fields")]
struct Event {
    /// Version of this schema; 1 when left out.
    #[schemars(range(min = 1, max = 1))]
    schema_version: Option<i64>,
    /// Unique per event; 1 to 128 bytes of UTF-8.
    #[schemars(length(min = 1, max = 128))]
    event_id: String,
    /// The merchant's order number, equal to the payment's `out_order_no`; 1 to 64 bytes of UTF-8.
    #[schemars(length(min = 1, max = 64))]
    order_id: String,
    /// The mini-program's app id. May be left out where one app is configured.
    app_id: Option<String>,
    /// Required on an order's first event; later it must agree.
    order_type: Option<OrderType>,
    /// What became of the order.
    status: Status,
    /// When it happened.
    occurred_at: Time,
    /// The order's own event number. Where both events have one, it decides which is newer.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    sequence: Option<i64>,
    /// A merge patch (RFC 7396) on the order document: absent fields stay as they were, `null` removes.
    order: Option<Document>,
}

/// The order document, as a patch on what earlier events gave. Unknown fields are kept and otherwise ignored. Merged, it
/// has at most 256 KiB. Integers have neither fraction nor exponent and lie within ±(2^53 − 1). Money is in fen.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is used")]
struct Document {
    /// The user's id for this app, from code2Session on a real device. Required.
    #[schemars(length(min = 1))]
    open_id: Option<String>,
    /// When the order was placed. Required.
    created_at: Option<Time>,
    /// The order's total, fen. Required.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    total_price: Option<i64>,
    /// When it was paid. Sent for group coupons and tickets, unless the status is `pending_payment`.
    paid_at: Option<Time>,
    /// The order's page in the mini-program. Required.
    page: Option<Page>,
    /// Normal orders: number of goods; by default the sum of the items' quantities.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    quantity: Option<i64>,
    /// Normal orders: what was bought. Required there, at least one. A patch replaces the whole array.
    items: Option<Vec<Item>>,
    /// Group coupons and tickets: free text, cut to 500 bytes.
    description: Option<String>,
    /// Group coupons and tickets: the shop that sells. Required there.
    shop: Option<Shop>,
    /// Group coupons and tickets: what was bought. Required there.
    goods: Option<Goods>,
    /// Group coupons and tickets: from when it can be used. Required there.
    valid_from: Option<Time>,
    /// Group coupons and tickets: until when it can be used. Required there.
    valid_until: Option<Time>,
    /// Group coupons and tickets: the vouchers. Required there.
    vouchers: Option<Vouchers>,
    /// Group coupons and tickets: where it was redeemed.
    redemption: Option<Redemption>,
    /// Passed on as it is, less than 2048 bytes.
    extra: Option<String>,
}

/// A page of the mini-program.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is used")]
struct Page {
    /// Its path; leading slashes are removed; without `?` and `#`. Required.
    #[schemars(length(min = 1), regex(pattern = "^/*[^/?#][^?#]*$"))]
    path: Option<String>,
    /// Its parameters.
    params: Option<BTreeMap<String, Option<Param>>>,
}

/// One position of a normal order. `null` is the same as absence.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is used")]
struct Item {
    /// The merchant's goods id, at most 64 bytes.
    code: Option<String>,
    /// Its name, cut to 256 bytes.
    #[schemars(length(min = 1))]
    title: String,
    /// A second line, cut to 256 bytes.
    subtitle: Option<String>,
    /// The whole URL of its picture, at most 512 bytes.
    #[schemars(length(min = 1))]
    image_url: String,
    /// How many; 1 when left out.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    quantity: Option<i64>,
    /// The line's total, fen.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    price: i64,
}

/// The shop that sells.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is used")]
struct Shop {
    /// The shop id under which it was synced, less than 256 bytes. Required.
    #[schemars(length(min = 1))]
    id: Option<String>,
    /// Its name, cut to 256 bytes. Required.
    #[schemars(length(min = 1))]
    name: Option<String>,
}

/// What was bought, where it is one thing.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is used")]
struct Goods {
    /// Its id in Douyin's goods library, at most 64 bytes.
    id: Option<String>,
    /// Its name, cut to 256 bytes. Required.
    #[schemars(length(min = 1))]
    name: Option<String>,
    /// A second line, cut to 120 bytes.
    info: Option<String>,
    /// The whole URL of its picture, at most 512 bytes. Required.
    #[schemars(length(min = 1))]
    image_url: Option<String>,
    /// Its page in the mini-program. Required.
    page: Option<Page>,
}

/// The vouchers of the order.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is used")]
struct Vouchers {
    /// How many were bought. Required.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    count: Option<i64>,
    /// Their ids, each at most 64 bytes. Required.
    ids: Option<Vec<String>>,
    /// How to use, claim and refund them; each should have at most 50 bytes. Required.
    #[schemars(length(max = 10))]
    rules: Option<Vec<String>>,
}

/// Where the order was redeemed.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is used")]
struct Redemption {
    /// The shop's id, at most 256 bytes; group coupons only.
    shop_id: Option<String>,
    /// The shop's Douyin POI id, at most 128 bytes.
    poi_id: Option<String>,
}

/// A page's parameter.
struct Param;

impl JsonSchema for Param {
    fn schema_name() -> Cow<'static, str> {
        "Param".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A page's parameter.", "type": ["string", "integer", "boolean"] })
    }
}

/// A time of §3.
struct Time;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Milliseconds since the Unix epoch, or RFC 3339 text with an offset; 2001 to 2286. \
                            Seconds (ten digits) are refused.",
            "anyOf": [
                { "type": "integer", "minimum": 1_000_000_000_000_i64, "maximum": 9_999_999_999_999_i64 },
                {
                    "type": "string",
                    "format": "date-time",
                    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(schema: &serde_json::Value, pointer: &str) -> Vec<String> {
        schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_events_schema_is_that_of_the_contract() {
        let schema = event_schema().to_value();
        assert_eq!(
            keys(&schema, "/properties").join(" "),
            "app_id event_id occurred_at order order_id order_type schema_version sequence status"
        );
        assert_eq!(schema["required"], serde_json::json!(["event_id", "order_id", "status", "occurred_at"]));
        assert_eq!(
            keys(&schema, "/$defs/Document/properties").join(" "),
            "created_at description extra goods items open_id page paid_at quantity redemption shop total_price valid_from valid_until vouchers"
        );
        assert_eq!(schema.pointer("/properties/event_id/maxLength").unwrap(), 128);
        for definition in ["Document", "Page", "Item", "Shop", "Goods", "Vouchers", "Redemption"] {
            assert_eq!(schema.pointer(&format!("/$defs/{definition}/additionalProperties")).unwrap(), true);
        }
    }

    #[test]
    fn the_states_schema_is_that_of_the_stored_form() {
        let schema = state_schema().to_value();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(
            schema["required"],
            serde_json::json!([
                "format",
                "order_type",
                "status",
                "applied_offset",
                "event_ids",
                "occurred_at",
                "update_time",
                "digest",
                "document"
            ])
        );
        assert!(keys(&schema, "/properties").contains(&"dead_letter".to_owned()));
    }
}
