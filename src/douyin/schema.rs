//! The JSON Schema of a push request: the envelope of douyin-api §1.1, one shape per order type, and inside it the
//! schema of the decoded `order_detail`, generated from the types that are sent.
//!
//! The limits are bytes and JSON Schema counts characters: what the schema refuses is too long, but what it takes may
//! be, too.

use serde_json::{Value, json};

use super::detail::{NormalDetail, PoiDetail};
use super::limits;
use super::request::order_type_code;
use crate::order::OrderType;

/// The schema of the whole request as it is sent, token and stamp included.
pub fn push_request_schema() -> Value {
    let shapes: Vec<Value> = OrderType::ALL.into_iter().map(shape).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PushRequest",
        "description": "The JSON body of POST /api/apps/order/v2/push. Lengths are limited in bytes of UTF-8; maxLength, which counts characters, is the nearest that JSON Schema has.",
        "oneOf": shapes,
    })
}

/// The schema of an order type's decoded `order_detail`.
pub fn order_detail_schema(order_type: OrderType) -> Value {
    let mut schema = match order_type {
        OrderType::Normal => inline_schema::<NormalDetail<'_>>(),
        OrderType::GroupCoupon | OrderType::Ticket => inline_schema::<PoiDetail<'_>>(),
    };
    match order_type {
        OrderType::Normal => {
            let words = ["待支付", "已支付", "已取消", "已超时", "已核销", "退款中", "已退款", "退款失败"];
            schema["properties"]["status"]["enum"] = json!(words);
        }
        OrderType::GroupCoupon => {
            schema["properties"]["status"]["enum"] = json!([10, 110, 310, 340, 410, 420, 430]);
            if let Some(required) = schema["required"].as_array_mut() {
                required.push(json!("ext_goods_id"));
            }
        }
        OrderType::Ticket => {
            schema["properties"]["status"]["enum"] = json!([10, 110, 210, 340, 410, 420, 430]);
            if let Some(properties) = schema["properties"].as_object_mut() {
                properties.remove("ext_valid_shop_id");
            }
        }
    }
    schema
}

fn inline_schema<T: schemars::JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .for_serialize();
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn shape(order_type: OrderType) -> Value {
    let mut properties = json!({
        "access_token": { "type": "string", "minLength": 1 },
        "app_name": { "const": "douyin" },
        "open_id": { "type": "string", "minLength": 1 },
        "update_time": {
            "description": "The stamp, in the app's unit; strictly increasing per order.",
            "type": "integer",
            "minimum": 1,
        },
        "order_type": { "const": order_type_code(order_type) },
        "extra": { "type": "string", "maxLength": limits::EXTRA.greatest() },
        "order_detail": {
            "description": "JSON text.",
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": order_detail_schema(order_type),
        },
    });
    let own: &[&str] = match order_type {
        OrderType::Normal => {
            properties["order_status"] = json!({ "enum": [0, 1, 2, 4, 5, 6, 8] });
            &["order_status"]
        }
        OrderType::GroupCoupon | OrderType::Ticket => {
            properties["client_key"] = json!({ "type": "string", "minLength": 1 });
            let greatest = limits::EXT_SHOP_ID.greatest();
            properties["ext_shop_id"] = json!({ "type": "string", "minLength": 1, "maxLength": greatest });
            &["client_key", "ext_shop_id"]
        }
    };
    let shared = ["access_token", "app_name", "open_id", "update_time", "order_type", "order_detail"];
    json!({
        "title": order_type.as_str(),
        "type": "object",
        "properties": properties,
        "required": shared.iter().chain(own).collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}
