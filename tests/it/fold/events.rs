//! Logs of random events: whole lives of a few orders, with every kind of dirt the contract names.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Numbers and strings that `serde_json` cannot write stand as `@…@` and are put in as raw text.
const ODD: &[&str] = &[
    r#""""#,
    "null",
    "true",
    "0",
    "-0",
    "@-0@",
    "@-0.0@",
    "-1",
    "1",
    "@1.0@",
    "@1e2@",
    "3",
    "9007199254740991",
    "9007199254740992",
    "@-9007199254740992@",
    "@18446744073709551615@",
    "@18446744073709551616@",
    "1694761323",
    "1694761323000",
    "9999999999999",
    "10000000000000",
    r#""x""#,
    r#""麻花""#,
    r#""1694761323000""#,
    r#""2023-09-15T15:02:03.9999+08:00""#,
    r#""2023-09-15t07:02:03z""#,
    r#""2023-02-29T00:00:00Z""#,
    r#""2023-09-15T07:02:60Z""#,
    r#""2023-09-15 07:02:03Z""#,
    r#""2001-09-09T01:46:39Z""#,
    "[]",
    "{}",
    "[null]",
    r#"["a"]"#,
    r#"["a",1]"#,
    "[{}]",
    r#"[{"title":"t","image_url":"i","price":0}]"#,
    r#"[{"title":"t","image_url":"i","price":1,"quantity":3,"code":"c","subtitle":""},{"title":"u","image_url":"j","price":2,"quantity":null,"code":null}]"#,
    r#"[{"title":null,"image_url":"i","price":1}]"#,
    r#"[{"title":"t","image_url":"i","price":1,"quantity":0}]"#,
    r#""/""#,
    r#""//a/b""#,
    r#""a?b""#,
    r#""a#b""#,
    r#"{"path":"///p"}"#,
    r#"{"path":"p","params":{"z":1,"a":true,"é":"ü ~/","B":"@-0@"}}"#,
    r#"{"path":"p\"\\/\u0001\n","params":{"k\"":"v\\\u001f"}}"#,
    r#"{"path":"p","params":{"a":[1]}}"#,
    r#"{"path":"p","params":{"a":"@1.0@"}}"#,
    r#"{"a":{"b":null}}"#,
    "@\"\\ud800\"@",
    "@\"\\u4f60\\ud83d\\ude00\\/\"@",
];

/// Fields of the document that may be replaced by something odd; each with a length that just breaks its limit.
const PATHS: &[(&str, usize)] = &[
    ("open_id", 3000),
    ("created_at", 20),
    ("total_price", 20),
    ("paid_at", 20),
    ("page", 20),
    ("page/path", 1025),
    ("page/path", 490),
    ("page/params", 20),
    ("page/params/q", 500),
    ("quantity", 20),
    ("items", 20),
    ("items/0", 20),
    ("items/0/title", 257),
    ("items/0/code", 65),
    ("items/0/image_url", 513),
    ("items/0/subtitle", 258),
    ("items/0/quantity", 20),
    ("items/0/price", 20),
    ("description", 501),
    ("shop", 20),
    ("shop/id", 256),
    ("shop/id", 255),
    ("shop/name", 257),
    ("goods", 20),
    ("goods/id", 65),
    ("goods/name", 259),
    ("goods/info", 121),
    ("goods/image_url", 513),
    ("goods/page", 20),
    ("goods/page/path", 513),
    ("goods/page/params", 20),
    ("valid_from", 20),
    ("valid_until", 20),
    ("vouchers", 20),
    ("vouchers/count", 20),
    ("vouchers/ids", 20),
    ("vouchers/ids/0", 65),
    ("vouchers/rules", 20),
    ("vouchers/rules/0", 51),
    ("redemption", 20),
    ("redemption/shop_id", 257),
    ("redemption/poi_id", 129),
    ("extra", 2048),
    ("extra", 2047),
    ("unknown", 262_000),
    ("note/deep", 30),
];

const FIELDS: &[&str] = &[
    "schema_version",
    "event_id",
    "order_id",
    "app_id",
    "order_type",
    "status",
    "occurred_at",
    "sequence",
    "order",
    "other",
];

/// What one event is made of.
#[derive(Clone, Debug)]
struct Recipe {
    order: usize,
    event_id: usize,
    order_type: Option<usize>,
    status: usize,
    time: i64,
    sequence: Option<i64>,
    has_whole_document: bool,
    changes: Vec<(usize, usize, bool)>,
    dirt: Option<(usize, usize)>,
    broken_at: Option<usize>,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let dirt = prop::option::weighted(0.08, (0..FIELDS.len(), 0..ODD.len()));
    let changes = prop::collection::vec((0..PATHS.len(), 0..ODD.len() * 2, any::<bool>()), 0..3);
    let changes = prop_oneof![2 => Just(Vec::new()), 3 => changes];
    (
        (0..6_usize, 0..12_usize, prop::option::weighted(0.8, 0..40_usize), 0..10_usize, 0..12_i64),
        (
            prop::option::weighted(0.3, 0..9_i64),
            any::<bool>(),
            changes,
            dirt,
            prop::option::weighted(0.03, 0..400_usize),
        ),
    )
        .prop_map(
            |(
                (order, event_id, order_type, status, time),
                (sequence, has_whole_document, changes, dirt, broken_at),
            )| Recipe {
                order,
                event_id,
                order_type,
                status,
                time,
                sequence,
                has_whole_document,
                changes,
                dirt,
                broken_at,
            },
        )
}

/// A record: its offset and its value; `None` is a tombstone.
pub(super) type Record = (i64, Option<Vec<u8>>);

/// A log of up to 40 records, of which the last few may come once more, as after a crash.
pub(super) fn log() -> impl Strategy<Value = Vec<Record>> {
    let recipe = prop_oneof![1 => Just(None), 50 => recipe().prop_map(Some)];
    (prop::collection::vec(recipe, 1..40), 0..6_usize).prop_map(|(recipes, repeated)| {
        let value = |(offset, recipe): (i64, Option<Recipe>)| (offset, recipe.map(|recipe| bytes(offset, &recipe)));
        let mut records: Vec<Record> = (0..).zip(recipes).map(value).collect();
        records.extend_from_within(records.len().saturating_sub(repeated)..);
        records
    })
}

fn bytes(offset: i64, recipe: &Recipe) -> Vec<u8> {
    let kind = recipe.order % 3;
    let types = ["normal", "group_coupon", "ticket"];
    let statuses = [
        "pending_payment",
        "paid",
        "awaiting_confirmation",
        "booked",
        "redeemed",
        "cancelled",
        "timed_out",
        "refunding",
        "refunded",
        "refund_failed",
    ];
    let event_id = if recipe.event_id < 4 { format!("e{}", recipe.event_id) } else { format!("u{offset}") };
    let mut event = json!({
        "event_id": event_id,
        "order_id": format!("o{}", recipe.order % 4),
        "app_id": format!("tt{}", recipe.order % 2),
        "status": statuses[recipe.status],
        "occurred_at": 1_694_761_323_000_i64 + recipe.time * 200,
    });
    if let Some(order_type) = recipe.order_type {
        event["order_type"] = json!(types[if order_type == 0 { (kind + 1) % 3 } else { kind }]);
    }
    if let Some(sequence) = recipe.sequence {
        event["sequence"] = json!(sequence);
    }
    let mut document = if recipe.has_whole_document { whole() } else { json!({}) };
    for (path, odd, is_long) in &recipe.changes {
        let (path, length) = PATHS[*path];
        let value =
            if *is_long { json!("é".repeat(length / 2) + "x".repeat(length % 2).as_str()) } else { odd_value(*odd) };
        set(&mut document, &path.split('/').collect::<Vec<_>>(), value);
    }
    if recipe.has_whole_document || !recipe.changes.is_empty() {
        event["order"] = document;
    }
    if let Some((field, odd)) = recipe.dirt {
        event[FIELDS[field]] = odd_value(odd);
    }
    let mut text = event.to_string().replace("\"@", "").replace("@\"", "").into_bytes();
    if let Some(broken_at) = recipe.broken_at {
        text.truncate(broken_at);
    }
    text
}

fn odd_value(odd: usize) -> Value {
    match ODD.get(odd % ODD.len()) {
        Some(raw) if raw.starts_with('@') => json!(raw),
        Some(text) => serde_json::from_str(text).unwrap(),
        None => Value::Null,
    }
}

fn set(within: &mut Value, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *within = value;
        return;
    };
    match within {
        Value::Array(items) => {
            if let Some(item) = items.first_mut() {
                set(item, rest, value);
            }
        }
        Value::Object(members) => set(members.entry(*first).or_insert(json!({})), rest, value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A document that every order type accepts.
fn whole() -> Value {
    json!({
        "open_id": "_000demo", "created_at": 1_694_761_300_000_i64, "total_price": 1980, "paid_at": "2023-09-15T15:02:03+08:00",
        "page": {"path": "/pages/order/detail", "params": {"id": "D1", "n": 7}},
        "items": [{"code": "sku-1", "title": "麻花", "image_url": "https://img.example.com/1.jpg", "quantity": 2, "price": 1980}],
        "description": "d", "shop": {"id": "shop-1", "name": "示例店"},
        "goods": {"name": "双人餐", "image_url": "https://img.example.com/2.jpg", "page": {"path": "pages/goods"}},
        "valid_from": 1_694_736_000_000_i64, "valid_until": "2023-12-31T15:59:59Z",
        "vouchers": {"count": 1, "ids": ["t-1"], "rules": ["1、周末通用。"]}, "redemption": {"shop_id": "s", "poi_id": "p"},
    })
}
