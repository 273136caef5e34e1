//! What holds of every request, whatever the document: it parses at every level, is what serde would write, and obeys
//! every limit.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::limits::{self, Limit};
use super::request_tests::{case, detail};
use crate::order::{DeadLetterReason, OrderType};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9]{1,20}",
        4 => "[\"\\\\/\\x00-\\x1f a麻é😀]{1,40}",
        1 => "[麻😀a]{80,300}",
        1 => "[x\"\\\\]{240,1100}",
    ]
}

fn page() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        text().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ];
    let params = proptest::collection::vec((text(), value), 0..3).prop_map(|p| p.into_iter().collect::<Map<_, _>>());
    (text(), params).prop_map(|(path, params)| json!({"path": path, "params": params}))
}

fn normal() -> impl Strategy<Value = Value> {
    let item = (text(), text(), proptest::option::of(text()), text(), 1..9_i64).prop_map(|(code, title, sub, img, n)| {
        json!({"code": code, "title": title, "subtitle": sub, "image_url": img, "price": n, "quantity": n})
    });
    (page(), proptest::collection::vec(item, 1..3), proptest::option::of(text()))
        .prop_map(|(page, items, extra)| json!({"page": page, "items": items, "extra": extra}))
}

fn poi() -> impl Strategy<Value = Value> {
    let goods = (proptest::option::of(text()), text(), text(), text(), page()).prop_map(
        |(id, name, info, image, page)| json!({"id": id, "name": name, "info": info, "image_url": image, "page": page}),
    );
    let lists = (proptest::collection::vec(text(), 0..3), proptest::collection::vec(text(), 0..12));
    (page(), goods, lists, (text(), text()), (text(), text(), text())).prop_map(|(page, goods, lists, shop, rest)| {
        json!({
            "page": page, "goods": goods, "description": rest.0, "shop": {"id": shop.0, "name": shop.1},
            "vouchers": {"ids": lists.0, "rules": lists.1}, "redemption": {"shop_id": rest.1, "poi_id": rest.2},
        })
    })
}

fn fits(value: &Value, limits: &[Limit]) {
    for limit in limits {
        if let Some(text) = value.get(limit.field).and_then(Value::as_str) {
            assert!(limit.fits(text.len()), "{} has {} bytes", limit.field, text.len());
        }
    }
}

fn obeys(order_type: OrderType, document: &Value) {
    let mapped = match case(order_type).map(&document.to_string()) {
        Ok(mapped) => mapped,
        Err(fault) => {
            let known = [DeadLetterReason::FieldOverLimit, DeadLetterReason::MalformedOrder];
            assert!(known.contains(&fault.reason), "{}", fault.message);
            return;
        }
    };
    let request: Value = serde_json::from_slice(&mapped.draft).unwrap();
    fits(&request, &[limits::EXTRA, limits::EXT_SHOP_ID]);
    let sent = detail(&mapped);
    if order_type == OrderType::Normal {
        fits(&sent, &[limits::ORDER_ID, limits::DETAIL_URL]);
        for item in sent["item_list"].as_array().unwrap() {
            fits(item, &[limits::ITEM_CODE, limits::TITLE, limits::SUB_TITLE, limits::IMG]);
        }
        return;
    }
    fits(&sent, &[limits::SHOP_NAME, limits::ENTRY_SCHEMA, limits::DESCRIPTION, limits::EXT_VALID_SHOP_ID]);
    fits(&sent, &[limits::VALID_POI_ID, limits::EXT_GOODS_ID, limits::GOODS_NAME, limits::GOODS_INFO]);
    fits(&sent, &[limits::GOODS_COVER_IMAGE, limits::GOODS_ENTRY_SCHEMA]);
    for (field, page) in [("entry_schema", &document["page"]), ("goods_entry_schema", &document["goods"]["page"])] {
        let schema: Value = serde_json::from_str(sent[field].as_str().unwrap()).unwrap();
        assert_eq!(schema["path"], page["path"].as_str().unwrap().trim_start_matches('/'));
        let params: Map<String, Value> = serde_json::from_str(schema["params"].as_str().unwrap()).unwrap();
        for (key, value) in page["params"].as_object().unwrap() {
            let expect = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            assert_eq!(params[key], expect);
        }
    }
    let list = |field: &str| serde_json::from_str::<Vec<String>>(sent[field].as_str().unwrap()).unwrap();
    assert!(list("ext_ticket_ids").iter().all(|id| limits::EXT_TICKET_ID.fits(id.len())));
    let rules = list("ticket_description");
    assert!(rules.len() <= limits::RULES_MAX);
    let long = rules.iter().filter(|rule| rule.len() > 50).count();
    assert_eq!(usize::try_from(mapped.long_rules).unwrap(), long);
}

proptest! {
    #[test]
    fn every_normal_request_obeys(document in normal()) {
        obeys(OrderType::Normal, &document);
    }

    #[test]
    fn every_poi_request_obeys(document in poi(), coupon in any::<bool>()) {
        obeys(if coupon { OrderType::GroupCoupon } else { OrderType::Ticket }, &document);
    }
}
