//! Every documented check, each with the one wrong field planted in a good push.

use serde_json::{Value, json};

use super::super::documented::{GROUP_COUPON, ITEM, NORMAL, NORMAL_PUSH, POI_PUSH, TICKET};
use super::super::field::Field;
use super::super::kit;
use super::super::push;

const STAMP: i64 = 1_694_761_400;

/// A field, its limit, and a push that holds it at a length.
type Case<'a> = (&'a str, usize, &'a dyn Fn(usize) -> Value);

fn code(body: &Value) -> Result<(), i64> {
    push::read(&body.to_string()).unwrap().checked.map(drop).map_err(|refusal| refusal.code)
}

fn detail(order_type: i64) -> Value {
    match order_type {
        0 => kit::normal_detail("o-1"),
        9101 => kit::coupon_detail("o-1"),
        _ => {
            let mut detail = kit::coupon_detail("o-1");
            detail.as_object_mut().unwrap().remove("ext_valid_shop_id");
            detail
        }
    }
}

fn good(order_type: i64) -> Value {
    kit::body("t", order_type, STAMP, &detail(order_type))
}

/// A good push whose detail has this member set, or removed by null.
fn with_detail(order_type: i64, name: &str, value: Value) -> Value {
    let mut detail = detail(order_type);
    plant(&mut detail, name, value);
    kit::body("t", order_type, STAMP, &detail)
}

fn with_top(order_type: i64, name: &str, value: Value) -> Value {
    let mut body = good(order_type);
    plant(&mut body, name, value);
    body
}

fn with_item(name: &str, value: Value) -> Value {
    let mut detail = detail(0);
    plant(&mut detail["item_list"][0], name, value);
    kit::body("t", 0, STAMP, &detail)
}

fn plant(object: &mut Value, name: &str, value: Value) {
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
}

#[test]
fn good_pushes_pass() {
    for order_type in [0, 9101, 9001] {
        assert_eq!(code(&good(order_type)), Ok(()), "{order_type}");
    }
}

#[test]
fn every_row_is_required_or_not_and_has_its_type() {
    type Plant = fn(i64, &str, Value) -> Value;
    let tables: [(&[Field], i64, Plant); 6] = [
        (NORMAL_PUSH, 0, with_top),
        (POI_PUSH, 9101, with_top),
        (NORMAL, 0, with_detail),
        (ITEM, 0, |_, name, value| with_item(name, value)),
        (GROUP_COUPON, 9101, with_detail),
        (TICKET, 9001, with_detail),
    ];
    for (rows, order_type, plant) in tables {
        for field in rows {
            let without = code(&plant(order_type, field.name, Value::Null));
            assert_eq!(without.is_err(), field.required, "{order_type}: {} left out", field.name);
            for wrong in [json!(true), json!({}), json!(1.5)] {
                let wrong_type = code(&plant(order_type, field.name, wrong));
                assert!(wrong_type.is_err(), "{order_type}: {} of a wrong type", field.name);
            }
        }
        assert!(code(&plant(order_type, "surprise", json!("x"))).is_err(), "{order_type}: an unknown field");
    }
}

#[test]
fn lengths_are_bytes() {
    let long = |bytes: usize| json!("x".repeat(bytes));
    let page = |bytes: usize| json!("p".repeat(bytes));
    let schema = |bytes: usize| json!(format!("{{\"path\":\"{}\"}}", "p".repeat(bytes - 11)));
    let cases: [Case<'_>; 27] = [
        ("order_id", 64, &|n| with_detail(0, "order_id", long(n))),
        ("detail_url", 1024, &|n| with_detail(0, "detail_url", page(n))),
        ("detail_url_backend", 1024, &|n| with_detail(0, "detail_url_backend", page(n))),
        ("item_code", 64, &|n| with_item("item_code", long(n))),
        ("img", 512, &|n| with_item("img", long(n))),
        ("title", 256, &|n| with_item("title", long(n))),
        ("sub_title", 256, &|n| with_item("sub_title", long(n))),
        ("extra", 2047, &|n| with_top(0, "extra", long(n))),
        ("extra", 2047, &|n| with_top(9101, "extra", long(n))),
        ("ext_shop_id", 255, &|n| with_top(9101, "ext_shop_id", long(n))),
        ("ext_order_id", 64, &|n| with_detail(9101, "ext_order_id", long(n))),
        ("shop_name", 256, &|n| with_detail(9101, "shop_name", long(n))),
        ("entry_schema", 512, &|n| with_detail(9101, "entry_schema", schema(n))),
        ("description", 500, &|n| with_detail(9101, "description", long(n))),
        ("ext_valid_shop_id", 256, &|n| with_detail(9101, "ext_valid_shop_id", long(n))),
        ("valid_poi_id_str", 128, &|n| with_detail(9101, "valid_poi_id_str", long(n))),
        ("ext_goods_id", 64, &|n| with_detail(9101, "ext_goods_id", long(n))),
        ("goods_name", 256, &|n| with_detail(9101, "goods_name", long(n))),
        ("goods_info", 120, &|n| with_detail(9101, "goods_info", long(n))),
        ("goods_cover_image", 512, &|n| with_detail(9101, "goods_cover_image", long(n))),
        ("goods_entry_schema", 512, &|n| with_detail(9101, "goods_entry_schema", schema(n))),
        ("ext_ticket_ids", 64, &|n| with_detail(9101, "ext_ticket_ids", json!([long(n)]))),
        ("ext_ticket_ids", 64, &|n| with_detail(9101, "ext_ticket_ids", json!(json!([long(n)]).to_string()))),
        ("ext_order_id", 64, &|n| with_detail(9001, "ext_order_id", long(n))),
        ("goods_info", 120, &|n| with_detail(9001, "goods_info", long(n))),
        ("ticket_description", 10, &|n| with_detail(9001, "ticket_description", json!(vec!["r"; n]))),
        ("ticket_description", 10, &|n| {
            with_detail(9001, "ticket_description", json!(json!(vec!["r"; n]).to_string()))
        }),
    ];
    for (name, limit, push) in cases {
        assert_eq!(code(&push(limit)), Ok(()), "{name} of {limit}");
        assert!(code(&push(limit + 1)).is_err(), "{name} of {limit} + 1");
    }
    assert_eq!(code(&with_item("title", json!("饭".repeat(85)))), Ok(()));
    assert_eq!(code(&with_item("title", json!("饭".repeat(86)))), Err(40099));
}

#[test]
fn codes_are_the_documented_ones() {
    let stamp = |stamp: i64| with_top(0, "update_time", json!(stamp));
    for (what, body, expected) in [
        ("no token", with_top(0, "access_token", Value::Null), Err(40002)),
        ("no open id", with_top(0, "open_id", Value::Null), Err(40003)),
        ("empty open id", with_top(0, "open_id", json!("")), Err(40003)),
        ("open id of the IDE", with_top(0, "open_id", json!("ide_1")), Err(40012)),
        ("app name", with_top(0, "app_name", json!("toutiao")), Err(40016)),
        ("order type", with_top(0, "order_type", json!(200)), Err(40022)),
        ("order type as text", with_top(0, "order_type", json!("0")), Err(40014)),
        ("no order type", with_top(0, "order_type", Value::Null), Err(40014)),
        ("undefined order status", with_top(0, "order_status", json!(3)), Err(40014)),
        ("order status and text disagree", with_top(0, "order_status", json!(4)), Err(40099)),
        ("11 digits", stamp(16_947_614_000), Err(40014)),
        ("seconds", stamp(9_999_999_999), Ok(())),
        ("milliseconds", stamp(1_000_000_000_000), Ok(())),
        ("stamp as text", with_top(0, "update_time", json!("1694761400")), Err(40014)),
        ("a detail that is an object", with_top(0, "order_detail", detail(0)), Err(40099)),
        ("a detail that is an array", with_top(0, "order_detail", json!("[]")), Err(40099)),
        ("a detail that is no JSON", with_top(0, "order_detail", json!("{")), Err(40099)),
        ("POI fields in type 0", with_top(0, "client_key", json!("ck")), Err(40014)),
        ("a signature", with_top(0, "sign", json!("x")), Err(40014)),
        ("no client key", with_top(9101, "client_key", Value::Null), Err(40014)),
        ("create_time in seconds", with_detail(0, "create_time", json!(1_694_761_323)), Err(40099)),
        ("no items", with_detail(0, "item_list", json!([])), Err(40099)),
        ("an item that is no object", with_detail(0, "item_list", json!(["x"])), Err(40099)),
        ("a price below 0", with_item("price", json!(-1)), Err(40099)),
        ("a price as text", with_item("price", json!("1")), Err(40099)),
        ("an absolute page", with_detail(0, "detail_url", json!("/pages/a")), Err(40099)),
        ("a page with a scheme", with_detail(0, "detail_url", json!("https://a/b")), Err(40099)),
        ("a list as amount", with_detail(0, "amount", json!([])), Err(40099)),
        ("a status of the other POI type", with_detail(9101, "status", json!(210)), Err(40099)),
        ("a status of the other POI type", with_detail(9001, "status", json!(310)), Err(40099)),
        ("a shop on a ticket", with_detail(9001, "ext_valid_shop_id", json!("s")), Err(40099)),
        ("H5 entry", with_detail(9101, "entry_type", json!(1)), Err(40099)),
        ("goods entry as integer (D5)", with_detail(9101, "goods_entry_type", json!(2)), Ok(())),
        ("goods entry of another kind", with_detail(9101, "goods_entry_type", json!("02")), Err(40099)),
        ("ids as an array (D4)", with_detail(9101, "ext_ticket_ids", json!(["a"])), Ok(())),
        ("ids of numbers", with_detail(9101, "ext_ticket_ids", json!("[1]")), Err(40099)),
        ("ids as an object", with_detail(9101, "ext_ticket_ids", json!("{}")), Err(40099)),
        ("a rule of 55 bytes (D11)", with_detail(9101, "ticket_description", json!(["x".repeat(55)])), Ok(())),
        ("a date alone", with_detail(9101, "start_valid_time", json!("2023-09-15")), Err(40099)),
        ("an object as schema", with_detail(9101, "entry_schema", json!({ "path": "a" })), Err(40099)),
        ("a path as schema", with_detail(9101, "entry_schema", json!("pages/a")), Err(40099)),
        ("paid while unpaid", with_detail(9101, "status", json!(110)), Err(40099)),
    ] {
        assert_eq!(code(&body), expected, "{what}");
    }
}

#[test]
fn statuses_and_their_texts() {
    let texts = ["待支付", "已支付", "已取消", "已超时", "已核销", "退款中", "已退款", "退款失败"];
    let pairs = [(0, 0), (1, 1), (2, 2), (2, 3), (4, 4), (5, 5), (6, 6), (8, 7)];
    for (status, _) in pairs {
        for (at, text) in texts.iter().enumerate() {
            let mut body = with_detail(0, "status", json!(text));
            body["order_status"] = json!(status);
            assert_eq!(code(&body).is_ok(), pairs.contains(&(status, at)), "{status} {text}");
        }
    }
}

#[test]
fn what_is_no_object_is_not_read() {
    for body in ["", "[]", "null", "{", "access_token=1", "{} x"] {
        assert!(push::read(body).is_none(), "{body}");
    }
}

#[test]
fn a_repeated_field_is_refused() {
    let body = good(0).to_string().replacen('{', "{\"app_name\":\"douyin\",", 1);
    assert_eq!(push::read(&body).unwrap().checked.map_err(|refusal| refusal.code).map(drop), Err(40014));
}

#[test]
fn messages_name_fields_and_no_values() {
    for body in [with_item("title", json!("秘密".repeat(99))), with_top(0, "open_id", json!(["secret"]))] {
        let refusal = push::read(&body.to_string()).unwrap().checked.unwrap_err();
        assert!(!refusal.text.contains("秘密") && !refusal.text.contains("secret"), "{refusal:?}");
    }
    let refusal = push::read(&with_item("title", json!("x".repeat(257))).to_string()).unwrap().checked.unwrap_err();
    assert_eq!(refusal.text, "order_detail字段格式错误: item_list[0].title is 257 long, limit 256");
    // 40014 is judged by its text: a fault of a parameter must not read like one of the token.
    let refusal = push::read(&with_top(0, "extra", json!(1)).to_string()).unwrap().checked.unwrap_err();
    assert!(!refusal.text.contains("access") && refusal.code == 40014);
}

#[test]
fn the_token_is_cut_out_of_what_is_kept() {
    let body = good(0).to_string();
    let with_other = body.replace("\"access_token\":\"t\"", "\"access_token\":\"another\"");
    let bare = |body: &str| push::read(body).unwrap().without_token(body);
    assert_eq!(bare(&body), bare(&with_other));
    assert_eq!(bare(&body), body.replace("\"access_token\":\"t\"", "\"access_token\":\"\""));
    assert!(bare(&body.replace("\"access_token\":\"t\"", "\"access_token\":\"\\u0074\"")).is_empty());
}
