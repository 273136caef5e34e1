//! The mapping as tables: what is missing, wrong, too long, left out; and what always holds of a request.

use super::request::{AppSettings, MapSettings, Mapper};
use super::{GoodsEntryType, TextPolicy, TicketLists};
use crate::order::json::{Json, merge};
use crate::order::{AppId, DeadLetterReason, Fault, MapInput, MapOrder, Mapped, OrderType, Status};
use serde_json::Value;

pub(super) const NORMAL: &str = r#"{"open_id":"_000demo","created_at":1694761323000,"total_price":1980,
    "page":{"path":"/pages/order/detail","params":{"id":"D1"}},
    "items":[{"code":"sku-1","title":"麻花","subtitle":"原味","image_url":"https://i/1.jpg","quantity":2,"price":1980}]}"#;

pub(super) const POI: &str = r#"{"open_id":"_000demo","created_at":1694761323000,"total_price":9900,
    "paid_at":"2023-09-15T15:03:20+08:00","page":{"path":"pages/order/detail","params":{"id":"D2"}},
    "shop":{"id":"shop-1","name":"示例店"},
    "goods":{"name":"双人餐","image_url":"https://i/2.jpg","page":{"path":"pages/goods/detail","params":{"id":"g1"}}},
    "valid_from":"2023-09-15T00:00:00+08:00","valid_until":"2023-12-31T23:59:59+08:00",
    "vouchers":{"count":1,"ids":["t-1"],"rules":["1、周末通用。"]}}"#;

pub(super) fn settings() -> MapSettings {
    let app = |id: &str, client_key: Option<&str>, order_types: &[OrderType]| AppSettings {
        app_id: AppId::new(id),
        client_key: client_key.map(ToOwned::to_owned),
        order_types: order_types.to_vec(),
    };
    MapSettings {
        apps: vec![app("tt1", Some("ck_demo"), &OrderType::ALL), app("tt2", None, &[OrderType::Normal])],
        text: TextPolicy::Truncate,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
    }
}

pub(super) struct Case<'a> {
    pub(super) app: &'a str,
    pub(super) order_type: OrderType,
    pub(super) status: Status,
    pub(super) settings: MapSettings,
}

pub(super) fn case(order_type: OrderType) -> Case<'static> {
    Case { app: "tt1", order_type, status: Status::Paid, settings: settings() }
}

impl Case<'_> {
    /// Maps the type's example document with `patch` merged into it.
    pub(super) fn map(&self, patch: &str) -> Result<Mapped, Fault> {
        let base = if self.order_type == OrderType::Normal { NORMAL } else { POI };
        let patch = Json::parse(patch).unwrap();
        let document = merge(Json::parse(base).unwrap(), &patch);
        let input = MapInput {
            app_id: &AppId::new(self.app),
            order_id: "D1",
            order_type: self.order_type,
            status: self.status,
            document: &document,
        };
        Mapper::new(self.settings.clone()).map(&input)
    }

    fn detail(&self, patch: &str) -> Value {
        detail(&self.map(patch).unwrap())
    }

    fn fails(&self, patch: &str, reason: DeadLetterReason, expect: &[&str]) {
        let fault = self.map(patch).expect_err(patch);
        assert_eq!(fault.reason, reason, "{patch}: {}", fault.message);
        for part in expect {
            assert!(fault.message.contains(part), "{patch}: {} lacks {part}", fault.message);
        }
    }
}

pub(super) fn detail(mapped: &Mapped) -> Value {
    let request: Value = serde_json::from_slice(&mapped.draft).unwrap();
    serde_json::from_str(request["order_detail"].as_str().unwrap()).unwrap()
}

#[test]
fn every_missing_field_is_named_at_once() {
    let normal = case(OrderType::Normal);
    let missing = |patch: &str, expect: &str| {
        let fault = normal.map(patch).expect_err(patch);
        assert_eq!(fault.reason, DeadLetterReason::IncompleteOrder);
        let named = fault.message.strip_prefix("missing in the order document: ").unwrap();
        let mut named: Vec<_> = named.split(", ").collect();
        named.sort_unstable();
        assert_eq!(named.join(" "), expect, "{patch}");
    };
    missing(
        r#"{"open_id":null,"created_at":null,"total_price":null,"page":null,"items":null}"#,
        "created_at items open_id page total_price",
    );
    missing(
        r#"{"open_id":"","created_at":"","total_price":"","page":"","items":""}"#,
        "created_at items open_id page total_price",
    );
    missing(r#"{"items":[]}"#, "items");
    missing(r#"{"page":{"path":null,"params":{}}}"#, "page.path");
    missing(
        r#"{"items":[{"price":1},{"title":null,"image_url":"","price":null},7]}"#,
        "items[0].image_url items[0].title items[1].image_url items[1].price items[1].title",
    );
    let coupon = case(OrderType::GroupCoupon);
    coupon.fails(
        r#"{"shop":null,"goods":{"name":null,"page":null},"vouchers":{"ids":null,"count":null},"valid_from":""}"#,
        DeadLetterReason::IncompleteOrder,
        &["shop", "goods.name", "goods.page", "valid_from", "vouchers.count", "vouchers.ids"],
    );
    coupon.fails(r#"{"goods":{},"vouchers":null}"#, DeadLetterReason::IncompleteOrder, &["vouchers"]);
    let message = coupon.map(r#"{"shop":null,"goods":"x","vouchers":null}"#).unwrap_err().message;
    assert_eq!(message, "missing in the order document: shop, vouchers", "nothing inside is named on its own");
}

#[test]
fn every_malformed_field_is_named_at_once() {
    let wrong = DeadLetterReason::MalformedOrder;
    let normal = case(OrderType::Normal);
    normal.fails(
        r#"{"open_id":1,"created_at":1694761323,"total_price":-1,"page":[],"quantity":0,"extra":{},
            "items":[null,{"code":1,"title":2,"subtitle":3,"image_url":4,"quantity":0,"price":-1},"",[]]}"#,
        wrong,
        &[
            "open_id must be a string",
            "created_at must be a time",
            "total_price must be an integer of at least 0",
            "page must be an object",
            "quantity must be an integer of at least 1",
            "extra must be a string",
            "items[0] must be an object",
            "items[1].code must",
            "items[1].title must",
            "items[1].subtitle must",
            "items[1].image_url must",
            "items[1].quantity must",
            "items[1].price must",
            "items[2] must",
            "items[3] must",
        ],
    );
    normal.fails(r#"{"items":{}}"#, wrong, &["items must be an array"]);
    for integer in ["1.0", "true", "\"1\"", "9007199254740992", "18446744073709551615", "1e3"] {
        normal.fails(&format!(r#"{{"total_price":{integer}}}"#), wrong, &["total_price must be an integer"]);
    }
    for quantity in [r#""""#, "-1", "1.5", "[]"] {
        normal.fails(&format!(r#"{{"quantity":{quantity}}}"#), wrong, &["quantity must be an integer"]);
    }
    let coupon = case(OrderType::GroupCoupon);
    coupon.fails(
        r#"{"paid_at":"","description":1,"shop":[],"goods":7,"valid_from":1,"valid_until":"2023-12-31","redemption":"x",
            "vouchers":{"count":-1,"ids":[null,1,"a"],"rules":"all"}}"#,
        wrong,
        &[
            "paid_at must be a time",
            "description must",
            "shop must be an object",
            "goods must be an object",
            "valid_from must",
            "valid_until must",
            "redemption must",
            "vouchers.count must",
            "vouchers.ids[0] must be a string",
            "vouchers.ids[1] must",
            "vouchers.rules must be an array",
        ],
    );
    let pending = Case { status: Status::PendingPayment, ..case(OrderType::Ticket) };
    pending.fails(r#"{"paid_at":5}"#, wrong, &["paid_at must be a time"]);
    let both = r#"{"open_id":null,"total_price":"x"}"#;
    normal.fails(both, DeadLetterReason::IncompleteOrder, &["open_id"]);
    let message = normal.map(r#"{"total_price":"s3cret"}"#).unwrap_err().message;
    assert!(!message.contains("s3cret"), "a message names no value");
}

#[test]
fn only_the_fields_that_a_type_uses_are_read() {
    let junk = r#"{"paid_at":"x","description":1,"shop":1,"goods":1,"valid_from":1,"valid_until":1,"vouchers":1,"redemption":1}"#;
    assert_eq!(case(OrderType::Normal).detail(junk), case(OrderType::Normal).detail("{}"));
    for order_type in [OrderType::GroupCoupon, OrderType::Ticket] {
        assert_eq!(case(order_type).detail(r#"{"items":1,"quantity":"x"}"#), case(order_type).detail("{}"));
    }
    let redemption = r#"{"redemption":{"shop_id":5,"poi_id":"p"}}"#;
    assert_eq!(case(OrderType::Ticket).detail(redemption)["valid_poi_id_str"], "p");
    case(OrderType::GroupCoupon).fails(redemption, DeadLetterReason::MalformedOrder, &["redemption.shop_id"]);
}

#[test]
fn what_an_app_does_not_sell_is_malformed_and_status_comes_first() {
    let poi = Case { app: "tt2", ..case(OrderType::Ticket) };
    poi.fails("{}", DeadLetterReason::MalformedOrder, &["order_type", "order_types", "client_key"]);
    poi.fails(r#"{"open_id":null}"#, DeadLetterReason::IncompleteOrder, &["open_id"]);
    let booked = Case { status: Status::Booked, ..case(OrderType::Normal) };
    booked.fails(r#"{"open_id":null}"#, DeadLetterReason::StatusNotSupported, &["status", "order_type"]);
    let unknown = Case { app: "tt9", ..case(OrderType::Normal) };
    unknown.fails("{}", DeadLetterReason::UnknownApp, &["app_id"]);
}

#[test]
fn limits_are_in_bytes_and_named_with_length() {
    let over = |order_type, patch: &str, expect: &[&str]| {
        case(order_type).fails(patch, DeadLetterReason::FieldOverLimit, expect);
    };
    let text = |field: &str, bytes: usize| format!(r#"{{"{field}":"{}"}}"#, "x".repeat(bytes));
    let (normal, coupon) = (OrderType::Normal, OrderType::GroupCoupon);
    assert!(case(normal).map(&text("extra", 2047)).is_ok());
    over(normal, &text("extra", 2048), &["extra has 2048 bytes, under 2048 are allowed"]);
    let inside = |object: &str, field: &str, bytes| format!(r#"{{"{object}":{}}}"#, text(field, bytes));
    let edges = [
        (coupon, "shop", "id", 255, "shop.id (sent as ext_shop_id) has 256 bytes, under 256 are allowed"),
        (coupon, "goods", "id", 64, "goods.id (sent as ext_goods_id) has 65 bytes, at most 64 are allowed"),
        (coupon, "goods", "image_url", 512, "goods.image_url (sent as goods_cover_image) has 513 bytes"),
        (coupon, "redemption", "shop_id", 256, "redemption.shop_id (sent as ext_valid_shop_id) has 257 bytes"),
        (coupon, "redemption", "poi_id", 128, "redemption.poi_id (sent as valid_poi_id_str) has 129 bytes"),
    ];
    for (order_type, object, field, fits, expect) in edges {
        assert!(case(order_type).map(&inside(object, field, fits)).is_ok(), "{object}.{field}");
        over(order_type, &inside(object, field, fits + 1), &[expect]);
    }
    let item = |field: &str, bytes: usize| {
        let (title, image) = (r#""title":"t""#, r#""image_url":"i""#);
        format!(r#"{{"items":[{{{title},{image},"price":1,"{field}":"{}"}}]}}"#, "x".repeat(bytes))
    };
    assert!(case(normal).map(&item("code", 64)).is_ok());
    over(normal, &item("code", 65), &["items[0].code (sent as item_code) has 65 bytes, at most 64"]);
    over(normal, &item("image_url", 513), &["items[0].image_url (sent as img) has 513 bytes, at most 512"]);
    let ids = format!(r#"{{"vouchers":{{"ids":["a","{}"]}}}}"#, "x".repeat(65));
    over(coupon, &ids, &["vouchers.ids[1] (sent as ext_ticket_ids) has 65 bytes, at most 64"]);
    let rules = |count: usize| format!(r#"{{"vouchers":{{"rules":{}}}}}"#, serde_json::json!(vec!["r"; count]));
    assert!(case(coupon).map(&rules(10)).is_ok());
    over(coupon, &rules(11), &["vouchers.rules (sent as ticket_description) has 11 entries, at most 10"]);
    // {"path":"…","params":"{}"} has 25 bytes beside the path; the page's own parameters are kept out.
    let page = |bytes: usize| format!(r#"{{"page":{{"path":"{}","params":{{"id":null}}}}}}"#, "p".repeat(bytes));
    assert_eq!(case(coupon).detail(&page(487))["entry_schema"].as_str().unwrap().len(), 512);
    over(coupon, &page(488), &["page (sent as entry_schema) has 513 bytes, at most 512"]);
    assert!(case(normal).map(&page(1024)).is_ok());
    over(normal, &page(1025), &["page (sent as detail_url) has 1025 bytes, at most 1024"]);
}

#[test]
fn text_for_people_is_cut_or_refused() {
    let patch = format!(r#"{{"goods":{{"info":"{}"}},"description":"{}"}}"#, "麻".repeat(41), "😀".repeat(126));
    let mapped = case(OrderType::Ticket).map(&patch).unwrap();
    assert_eq!(mapped.cut, ["description", "goods_info"]);
    let sent = detail(&mapped);
    assert_eq!(sent["goods_info"].as_str().unwrap(), "麻".repeat(40));
    assert_eq!(sent["description"].as_str().unwrap(), "😀".repeat(125));
    let title = format!(r#"{{"items":[{{"title":"a{}","image_url":"i","price":0}}]}}"#, "麻".repeat(86));
    let mapped = case(OrderType::Normal).map(&title).unwrap();
    assert_eq!(
        (mapped.cut.as_slice(), detail(&mapped)["item_list"][0]["title"].as_str().unwrap().len()),
        (&["title"][..], 256)
    );
    let strict = Case { settings: MapSettings { text: TextPolicy::Strict, ..settings() }, ..case(OrderType::Ticket) };
    strict.fails(
        &patch,
        DeadLetterReason::FieldOverLimit,
        &["description has 504 bytes, at most 500", "goods.info (sent as goods_info) has 123 bytes"],
    );
    let rules = format!(r#"{{"vouchers":{{"rules":["{}","{}"]}}}}"#, "x".repeat(50), "x".repeat(51));
    assert_eq!(strict.map(&rules).unwrap().long_rules, 1, "sent as it is, and counted");
}

#[test]
fn what_is_left_out_and_what_has_a_default() {
    let normal = case(OrderType::Normal);
    let items = r#"{"items":[{"title":"a","image_url":"i","price":0,"quantity":null,"code":null},{"title":"b","image_url":"i","price":1,"quantity":3,"subtitle":""}]}"#;
    assert_eq!(
        normal.detail(items)["item_list"],
        serde_json::json!([{"title":"a","img":"i","amount":1,"price":0},{"title":"b","sub_title":"","img":"i","amount":3,"price":1}])
    );
    assert_eq!(normal.detail(items)["amount"], 4);
    assert_eq!(normal.detail(r#"{"quantity":9}"#)["amount"], 9);
    let many = r#"{"items":[{"title":"a","image_url":"i","price":0,"quantity":9007199254740991},{"title":"b","image_url":"i","price":1}]}"#;
    normal.fails(many, DeadLetterReason::MalformedOrder, &["quantity"]);
    let (coupon, ticket) = (case(OrderType::GroupCoupon).detail("{}"), case(OrderType::Ticket).detail("{}"));
    assert_eq!(coupon["ext_goods_id"], "");
    for absent in ["ext_goods_id", "description", "goods_info", "ext_valid_shop_id", "valid_poi_id_str"] {
        assert_eq!(ticket.get(absent), None, "{absent}");
    }
    let pending = Case { status: Status::PendingPayment, ..case(OrderType::Ticket) };
    assert_eq!(pending.detail("{}").get("pay_time"), None);
    assert_eq!(ticket["pay_time"], 1_694_761_400_000_i64);
    assert_eq!(case(OrderType::Ticket).detail(r#"{"paid_at":null}"#).get("pay_time"), None);
}

#[test]
fn the_forms_of_disputed_fields_can_be_switched() {
    let other =
        MapSettings { ticket_lists: TicketLists::Array, goods_entry_type: GoodsEntryType::Integer, ..settings() };
    let switched = Case { settings: other, ..case(OrderType::Ticket) }.detail("{}");
    let default = case(OrderType::Ticket).detail("{}");
    assert_eq!((&default["ext_ticket_ids"], &default["goods_entry_type"]), (&r#"["t-1"]"#.into(), &"2".into()));
    assert_eq!(switched["ext_ticket_ids"], serde_json::json!(["t-1"]));
    assert_eq!(switched["ticket_description"], serde_json::json!(["1、周末通用。"]));
    assert_eq!(switched["goods_entry_type"], 2);
}

#[test]
fn a_message_about_a_hostile_document_is_bounded() {
    let fault = case(OrderType::Normal).map(&format!(r#"{{"items":[{}7]}}"#, "7,".repeat(200_000))).unwrap_err();
    assert!(fault.message.len() < 17_000 && fault.message.ends_with("more"), "{}", fault.message.len());
}
