//! The fields of `order/v2/push` as the platform documents them (douyin-api §1.1, §2.1–2.3), row by row.
//!
//! Rows only: what no table can say (status pairs, the lists' warnings) stands in `check`.

use super::field::{Field, Kind};

/// The order types whose detail is known: 普通小程序订单, 团购券, 景区门票.
pub(super) const NORMAL_TYPE: i64 = 0;
/// 团购券
pub(super) const GROUP_COUPON_TYPE: i64 = 9101;
/// 景区门票
pub(super) const TICKET_TYPE: i64 = 9001;

/// Texts without a documented limit are bounded by the request itself.
const UNLIMITED: usize = usize::MAX;

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// `order_status` of §2.1; 3 and 7 are undefined.
const ORDER_STATUS: Kind = Kind::OneOf(&[0, 1, 2, 4, 5, 6, 8]);

/// Top level of a push of type 0.
pub(super) const NORMAL_PUSH: &[Field] = &[
    required("access_token", Kind::Text(UNLIMITED)),
    required("app_name", Kind::Text(UNLIMITED)),
    required("open_id", Kind::Text(UNLIMITED)),
    required("update_time", Kind::AnyInteger),
    required("order_type", Kind::AnyInteger),
    required("order_status", ORDER_STATUS),
    required("order_detail", Kind::Text(UNLIMITED)),
    // "< 2048 B", strictly.
    optional("extra", Kind::TextOrEmpty(2047)),
    optional("scene", Kind::TextOrEmpty(UNLIMITED)),
    optional("launch_from", Kind::TextOrEmpty(UNLIMITED)),
    optional("location", Kind::TextOrEmpty(UNLIMITED)),
    optional("payment_order_no", Kind::TextOrEmpty(UNLIMITED)),
];

/// Top level of a push of a POI order (9101, 9001).
pub(super) const POI_PUSH: &[Field] = &[
    required("client_key", Kind::Text(UNLIMITED)),
    required("access_token", Kind::Text(UNLIMITED)),
    // "< 256 B", strictly.
    required("ext_shop_id", Kind::Text(255)),
    required("app_name", Kind::Text(UNLIMITED)),
    required("open_id", Kind::Text(UNLIMITED)),
    required("update_time", Kind::AnyInteger),
    required("order_type", Kind::AnyInteger),
    optional("order_status", Kind::AnyInteger),
    required("order_detail", Kind::Text(UNLIMITED)),
    optional("extra", Kind::TextOrEmpty(2047)),
    optional("scene", Kind::TextOrEmpty(UNLIMITED)),
    optional("launch_from", Kind::TextOrEmpty(UNLIMITED)),
    optional("location", Kind::TextOrEmpty(UNLIMITED)),
    optional("payment_order_no", Kind::TextOrEmpty(UNLIMITED)),
];

/// `order_detail` of type 0.
pub(super) const NORMAL: &[Field] = &[
    required("order_id", Kind::Text(64)),
    required("create_time", Kind::Milliseconds),
    required("status", Kind::Text(UNLIMITED)),
    optional("amount", Kind::IntegerFrom(1)),
    required("total_price", Kind::IntegerFrom(0)),
    required("detail_url", Kind::PagePath(1024)),
    optional("detail_url_backend", Kind::PagePath(1024)),
    required("item_list", Kind::Objects(ITEM)),
];

/// `item_list[]`. An empty `img` occurs in the platform's samples, so it is remarked upon, not refused.
pub(super) const ITEM: &[Field] = &[
    optional("item_code", Kind::Text(64)),
    required("img", Kind::TextOrEmpty(512)),
    required("title", Kind::Text(256)),
    optional("sub_title", Kind::TextOrEmpty(256)),
    optional("amount", Kind::IntegerFrom(1)),
    required("price", Kind::IntegerFrom(0)),
];

/// `order_detail` of 9101.
pub(super) const GROUP_COUPON: &[Field] = &[
    required("ext_order_id", Kind::Text(64)),
    required("status", Kind::OneOf(&[10, 110, 310, 340, 410, 420, 430])),
    required("shop_name", Kind::Text(256)),
    required("entry_type", Kind::Integer(2)),
    required("entry_schema", Kind::EntrySchema(512)),
    required("create_order_time", Kind::Milliseconds),
    optional("description", Kind::TextOrEmpty(500)),
    required("total_price", Kind::IntegerFrom(0)),
    optional("pay_time", Kind::Milliseconds),
    optional("ext_valid_shop_id", Kind::TextOrEmpty(256)),
    optional("valid_poi_id_str", Kind::TextOrEmpty(128)),
    required("ext_goods_id", Kind::TextOrEmpty(64)),
    required("goods_name", Kind::Text(256)),
    optional("goods_info", Kind::TextOrEmpty(120)),
    required("goods_cover_image", Kind::Text(512)),
    required("goods_entry_type", Kind::IntegerOrText(2, "2")),
    required("goods_entry_schema", Kind::EntrySchema(512)),
    required("start_valid_time", Kind::LocalTime),
    required("end_valid_time", Kind::LocalTime),
    required("ticket_num", Kind::IntegerFrom(0)),
    required("ext_ticket_ids", TICKET_IDS),
    required("ticket_description", TICKET_RULES),
];

/// `order_detail` of 9001: other statuses, no `ext_valid_shop_id`, `ext_goods_id` may be left out.
pub(super) const TICKET: &[Field] = &[
    required("ext_order_id", Kind::Text(64)),
    required("status", Kind::OneOf(&[10, 110, 210, 340, 410, 420, 430])),
    required("shop_name", Kind::Text(256)),
    required("entry_type", Kind::Integer(2)),
    required("entry_schema", Kind::EntrySchema(512)),
    required("create_order_time", Kind::Milliseconds),
    optional("description", Kind::TextOrEmpty(500)),
    required("total_price", Kind::IntegerFrom(0)),
    optional("pay_time", Kind::Milliseconds),
    optional("valid_poi_id_str", Kind::TextOrEmpty(128)),
    optional("ext_goods_id", Kind::TextOrEmpty(64)),
    required("goods_name", Kind::Text(256)),
    optional("goods_info", Kind::TextOrEmpty(120)),
    required("goods_cover_image", Kind::Text(512)),
    required("goods_entry_type", Kind::IntegerOrText(2, "2")),
    required("goods_entry_schema", Kind::EntrySchema(512)),
    required("start_valid_time", Kind::LocalTime),
    required("end_valid_time", Kind::LocalTime),
    required("ticket_num", Kind::IntegerFrom(0)),
    required("ext_ticket_ids", TICKET_IDS),
    required("ticket_description", TICKET_RULES),
];

const TICKET_IDS: Kind = Kind::TextList { entries: UNLIMITED, bytes: 64 };
/// At most 10 rules. The 50 bytes of a rule are a remark: the documentation's own example has 55 (D11).
const TICKET_RULES: Kind = Kind::TextList { entries: 10, bytes: UNLIMITED };

/// The rows of a detail.
pub(super) const fn detail_of(order_type: i64) -> Option<&'static [Field]> {
    match order_type {
        NORMAL_TYPE => Some(NORMAL),
        GROUP_COUPON_TYPE => Some(GROUP_COUPON),
        TICKET_TYPE => Some(TICKET),
        _ => None,
    }
}

/// The recommended `status` texts of an `order_status` (douyin-api §2.1).
pub(super) const fn status_texts(order_status: i64) -> &'static [&'static str] {
    match order_status {
        0 => &["待支付"],
        1 => &["已支付"],
        2 => &["已取消", "已超时"],
        4 => &["已核销"],
        5 => &["退款中"],
        6 => &["已退款"],
        8 => &["退款失败"],
        _ => &[],
    }
}
