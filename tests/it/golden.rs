//! Golden files: tests/golden/NAME.event.json holds an event, NAME.request.json the exact bytes of its request, and
//! NAME.decoded.json what a person sees in them, JSON texts unfolded. `ORDER_SYNC_BLESS=1` writes the latter two.

use std::path::{Path, PathBuf};

use order_sync::douyin::schema::{order_detail_schema, push_request_schema};
use order_sync::douyin::{AppSettings, GoodsEntryType, MapSettings, Mapper, TextPolicy, TicketLists};
use order_sync::order::{AppId, Json, MapInput, MapOrder, OrderType, Status};
use serde_json::Value;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn settings() -> MapSettings {
    let client_key = Some("ck_demo".to_owned());
    MapSettings {
        apps: vec![AppSettings { app_id: AppId::new("tt1"), client_key, order_types: OrderType::ALL.to_vec() }],
        text: TextPolicy::Truncate,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
    }
}

fn read<'a>(event: &'a Json<'a>, key: &str) -> &'a str {
    event.get(key).and_then(Json::as_str).unwrap()
}

fn map(event: &str) -> Vec<u8> {
    let event = Json::parse(event).unwrap();
    let word = |key| read(&event, key);
    let input = MapInput {
        app_id: &AppId::new("tt1"),
        order_id: word("order_id"),
        order_type: OrderType::ALL.into_iter().find(|t| t.as_str() == word("order_type")).unwrap(),
        status: Status::ALL.into_iter().find(|s| s.as_str() == word("status")).unwrap(),
        document: event.get("order").unwrap(),
    };
    Mapper::new(settings()).map(&input).unwrap().draft
}

/// Unfolds the JSON texts inside a request.
fn decoded(request: &[u8]) -> Value {
    let mut request: Value = serde_json::from_slice(request).unwrap();
    let unfold = |value: &mut Value| *value = serde_json::from_str(value.as_str().unwrap()).unwrap();
    unfold(&mut request["order_detail"]);
    if request["order_type"] != 0 {
        for field in ["entry_schema", "goods_entry_schema"] {
            unfold(&mut request["order_detail"][field]);
            unfold(&mut request["order_detail"][field]["params"]);
        }
        for field in ["ext_ticket_ids", "ticket_description"] {
            unfold(&mut request["order_detail"][field]);
        }
    }
    request
}

#[expect(clippy::disallowed_methods, reason = "a test's own switch, no setting of the worker")]
fn agree(path: &Path, found: &str) {
    if std::env::var_os("ORDER_SYNC_BLESS").is_some() {
        std::fs::write(path, found).unwrap();
    }
    let expect = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, expect, "{}", path.display());
}

#[test]
fn golden_requests() {
    let mut seen = 0;
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.to_str().unwrap().strip_suffix(".event.json") else { continue };
        let request = map(&std::fs::read_to_string(&path).unwrap());
        agree(Path::new(&format!("{name}.request.json")), std::str::from_utf8(&request).unwrap());
        let pretty = serde_json::to_string_pretty(&decoded(&request)).unwrap() + "\n";
        agree(Path::new(&format!("{name}.decoded.json")), &pretty);
        is_described(&request);
        seen += 1;
    }
    assert!(seen >= 9, "golden files are missing");
}

/// The request has exactly the members that the schema knows, and all that it requires.
fn is_described(request: &[u8]) {
    let request: Value = serde_json::from_slice(request).unwrap();
    let schema = push_request_schema();
    let shapes = schema["oneOf"].as_array().unwrap();
    let of_type = |shape: &&Value| shape["properties"]["order_type"]["const"] == request["order_type"];
    let shape = shapes.iter().find(of_type).unwrap();
    let order_type = OrderType::ALL.into_iter().find(|t| shape["title"] == t.as_str()).unwrap();
    let check = |value: &Value, schema: &Value, later: &[&str]| {
        for name in value.as_object().unwrap().keys() {
            assert!(schema["properties"].get(name).is_some(), "{name} is not in the schema");
        }
        for name in schema["required"].as_array().unwrap().iter().filter_map(Value::as_str) {
            assert!(later.contains(&name) || value.get(name).is_some(), "{name} is required");
        }
        assert_eq!(schema["additionalProperties"], false);
    };
    check(&request, shape, &["access_token", "update_time"]);
    let detail: Value = serde_json::from_str(request["order_detail"].as_str().unwrap()).unwrap();
    check(&detail, &order_detail_schema(order_type), &[]);
}

#[test]
fn the_schema_has_one_shape_per_type() {
    let schema = push_request_schema();
    let types: Vec<_> =
        schema["oneOf"].as_array().unwrap().iter().map(|s| &s["properties"]["order_type"]["const"]).collect();
    assert_eq!(types, [0, 9101, 9001]);
    let required = |t| order_detail_schema(t)["required"].as_array().unwrap().len();
    assert_eq!(OrderType::ALL.map(required), [7, 17, 16]);
    assert_eq!(order_detail_schema(OrderType::Ticket)["properties"].get("ext_valid_shop_id"), None);
    let detail = order_detail_schema(OrderType::Normal);
    assert_eq!(detail["properties"]["detail_url"]["maxLength"], 1024);
    assert_eq!(detail["properties"]["item_list"]["items"]["properties"]["title"]["maxLength"], 256);
}
