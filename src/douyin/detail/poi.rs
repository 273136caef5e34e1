//! The detail of a group coupon (type 9101) and of a ticket (type 9001), which differ in three fields (order-events
//! §5, douyin-api §2.2–2.3).

use serde::{Deserialize, Serialize, Serializer};

use super::vouchers::{TicketList, TicketLists, vouchers};
use crate::douyin::beijing::date_time;
use crate::douyin::fields::{Findings, Object, Path};
use crate::douyin::json_text::JsonText;
use crate::douyin::limits::{self, Limit};
use crate::douyin::page::Page;
use crate::order::{OrderType, Status};

/// How `goods_entry_type` is sent (`douyin.goods_entry_type`, D5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoodsEntryType {
    /// `"2"`, the Go SDK's form.
    String,
    /// `2`
    Integer,
}

/// `order_detail` of the types 9101 and 9001: exactly these fields.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoiDetail<'a> {
    /// The merchant's order number, equal to the payment's `out_order_no`; at most 64 bytes.
    #[schemars(length(min = 1, max = limits::EXT_ORDER_ID.greatest()))]
    pub ext_order_id: &'a str,
    /// The platform's number of the status; 340 is used for a coupon and booked for a ticket.
    pub status: i64,
    /// At most 256 bytes.
    #[schemars(length(min = 1, max = limits::SHOP_NAME.greatest()))]
    pub shop_name: &'a str,
    /// Always 2, a mini-program.
    #[schemars(range(min = 2, max = 2))]
    pub entry_type: i64,
    /// JSON text of the order's page; at most 512 bytes.
    #[schemars(length(max = limits::ENTRY_SCHEMA.greatest()), extend("contentMediaType" = "application/json"))]
    pub entry_schema: String,
    /// Milliseconds since the epoch, 13 digits.
    #[schemars(range(min = 1_000_000_000_000_i64, max = 9_999_999_999_999_i64))]
    pub create_order_time: i64,
    /// At most 500 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::DESCRIPTION.greatest()))]
    pub description: Option<&'a str>,
    /// Total price, fen.
    #[schemars(range(min = 0))]
    pub total_price: i64,
    /// Milliseconds since the epoch, 13 digits; left out while unpaid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_000_000_000_000_i64, max = 9_999_999_999_999_i64))]
    pub pay_time: Option<i64>,
    /// The shop where it was redeemed; group coupons only; at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::EXT_VALID_SHOP_ID.greatest()))]
    pub ext_valid_shop_id: Option<&'a str>,
    /// The platform's id of that shop; at most 128 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::VALID_POI_ID.greatest()))]
    pub valid_poi_id_str: Option<&'a str>,
    /// The developer's goods id, empty if the goods are not in the platform's library; at most 64 bytes. A ticket may
    /// leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::EXT_GOODS_ID.greatest()))]
    pub ext_goods_id: Option<&'a str>,
    /// At most 256 bytes.
    #[schemars(length(min = 1, max = limits::GOODS_NAME.greatest()))]
    pub goods_name: &'a str,
    /// At most 120 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::GOODS_INFO.greatest()))]
    pub goods_info: Option<&'a str>,
    /// A full URL; at most 512 bytes.
    #[schemars(length(min = 1, max = limits::GOODS_COVER_IMAGE.greatest()))]
    pub goods_cover_image: &'a str,
    /// Always 2, as a string or as an integer.
    #[serde(serialize_with = "serialize_goods_entry_type")]
    #[schemars(schema_with = "goods_entry_type_schema")]
    pub goods_entry_type: GoodsEntryType,
    /// JSON text of the goods' page; at most 512 bytes.
    #[schemars(length(max = limits::GOODS_ENTRY_SCHEMA.greatest()), extend("contentMediaType" = "application/json"))]
    pub goods_entry_schema: String,
    /// `yyyy-MM-dd HH:mm:ss` in Asia/Shanghai.
    #[schemars(regex(pattern = DATE_TIME))]
    pub start_valid_time: String,
    /// `yyyy-MM-dd HH:mm:ss` in Asia/Shanghai.
    #[schemars(regex(pattern = DATE_TIME))]
    pub end_valid_time: String,
    /// How many vouchers were bought.
    #[schemars(range(min = 0))]
    pub ticket_num: i64,
    /// The vouchers' ids, each at most 64 bytes.
    pub ext_ticket_ids: TicketList<'a>,
    /// The rules of use, claim and refund: at most 10, each documented as at most 50 bytes.
    pub ticket_description: TicketList<'a>,
}

const DATE_TIME: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$";

/// What is asked for beside the document.
#[derive(Clone, Copy, Debug)]
pub(in crate::douyin) struct PoiForm<'a> {
    pub(in crate::douyin) order_id: &'a str,
    pub(in crate::douyin) order_type: OrderType,
    pub(in crate::douyin) status: Status,
    /// The platform's number of `status`.
    pub(in crate::douyin) status_code: i64,
    pub(in crate::douyin) ticket_lists: TicketLists,
    pub(in crate::douyin) goods_entry_type: GoodsEntryType,
}

impl<'a> PoiDetail<'a> {
    /// Reads the fields that a POI order uses; also gives `ext_shop_id`, which stands at the top level.
    pub(in crate::douyin) fn read(
        form: &PoiForm<'a>,
        document: &Object<'a, '_>,
        found: &mut Findings,
    ) -> (Self, &'a str) {
        let is_coupon = form.order_type == OrderType::GroupCoupon;
        let create_order_time = document.time("created_at", found);
        let total_price = document.integer("total_price", 0, found);
        let paid_at = document.optional("paid_at").map(|time| time.time(found));
        let entry_schema = schema(document, limits::ENTRY_SCHEMA, found);
        let description = document.optional_readable("description", limits::DESCRIPTION, found);
        let (ext_shop_id, shop_name) = shop(document, found);
        let goods = Goods::read(document, found);
        let start_valid_time = valid_time(document, "valid_from", found);
        let end_valid_time = valid_time(document, "valid_until", found);
        let (ticket_num, ids, rules) = vouchers(document, found);
        let redemption = document.optional("redemption").and_then(|field| field.object(found));
        let redeemed_at = |name, limit, found: &mut Findings| redemption?.optional_within(name, limit, found);
        found.within(Path::Member(&Path::Root, "order_id"), form.order_id, limits::EXT_ORDER_ID);
        let detail = Self {
            ext_order_id: form.order_id,
            status: form.status_code,
            shop_name,
            entry_type: 2,
            entry_schema,
            create_order_time,
            description,
            total_price,
            pay_time: paid_at.filter(|_| form.status != Status::PendingPayment),
            ext_valid_shop_id: if is_coupon { redeemed_at("shop_id", limits::EXT_VALID_SHOP_ID, found) } else { None },
            valid_poi_id_str: redeemed_at("poi_id", limits::VALID_POI_ID, found),
            ext_goods_id: goods.id.or(is_coupon.then_some("")),
            goods_name: goods.name,
            goods_info: goods.info,
            goods_cover_image: goods.image_url,
            goods_entry_type: form.goods_entry_type,
            goods_entry_schema: goods.entry_schema,
            start_valid_time,
            end_valid_time,
            ticket_num,
            ext_ticket_ids: TicketList::new(form.ticket_lists, ids),
            ticket_description: TicketList::new(form.ticket_lists, rules),
        };
        (detail, ext_shop_id)
    }

    pub(in crate::douyin) fn write(&self, out: &mut JsonText) {
        out.object(|out| {
            out.string_member("ext_order_id", self.ext_order_id);
            out.integer_member("status", self.status);
            out.string_member("shop_name", self.shop_name);
            out.integer_member("entry_type", self.entry_type);
            out.string_member("entry_schema", &self.entry_schema);
            out.integer_member("create_order_time", self.create_order_time);
            out.optional_member("description", self.description);
            out.integer_member("total_price", self.total_price);
            if let Some(pay_time) = self.pay_time {
                out.integer_member("pay_time", pay_time);
            }
            out.optional_member("ext_valid_shop_id", self.ext_valid_shop_id);
            out.optional_member("valid_poi_id_str", self.valid_poi_id_str);
            out.optional_member("ext_goods_id", self.ext_goods_id);
            out.string_member("goods_name", self.goods_name);
            out.optional_member("goods_info", self.goods_info);
            out.string_member("goods_cover_image", self.goods_cover_image);
            match self.goods_entry_type {
                GoodsEntryType::String => out.string_member("goods_entry_type", "2"),
                GoodsEntryType::Integer => out.integer_member("goods_entry_type", 2),
            }
            out.string_member("goods_entry_schema", &self.goods_entry_schema);
            out.string_member("start_valid_time", &self.start_valid_time);
            out.string_member("end_valid_time", &self.end_valid_time);
            out.integer_member("ticket_num", self.ticket_num);
            out.key("ext_ticket_ids");
            self.ext_ticket_ids.write(out);
            out.key("ticket_description");
            self.ticket_description.write(out);
        });
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn serialize_goods_entry_type<S: Serializer>(form: &GoodsEntryType, serializer: S) -> Result<S::Ok, S::Error> {
    match form {
        GoodsEntryType::String => serializer.serialize_str("2"),
        GoodsEntryType::Integer => serializer.serialize_i64(2),
    }
}

fn goods_entry_type_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "enum": ["2", 2] })
}

#[derive(Default)]
struct Goods<'a> {
    id: Option<&'a str>,
    name: &'a str,
    info: Option<&'a str>,
    image_url: &'a str,
    entry_schema: String,
}

impl<'a> Goods<'a> {
    fn read(document: &Object<'a, '_>, found: &mut Findings) -> Self {
        let field = document.required("goods", found);
        let Some(goods) = field.and_then(|field| field.object(found)) else { return Self::default() };
        Self {
            id: goods.optional_within("id", limits::EXT_GOODS_ID, found),
            name: goods.readable("name", limits::GOODS_NAME, found),
            info: goods.optional_readable("info", limits::GOODS_INFO, found),
            image_url: goods.text_within("image_url", limits::GOODS_COVER_IMAGE, found),
            entry_schema: schema(&goods, limits::GOODS_ENTRY_SCHEMA, found),
        }
    }
}

fn schema(object: &Object<'_, '_>, limit: Limit, found: &mut Findings) -> String {
    object.required("page", found).map_or_else(String::new, |page| Page::entry_schema(page, limit, found))
}

fn shop<'a>(document: &Object<'a, '_>, found: &mut Findings) -> (&'a str, &'a str) {
    let field = document.required("shop", found);
    let Some(shop) = field.and_then(|field| field.object(found)) else { return ("", "") };
    (shop.text_within("id", limits::EXT_SHOP_ID, found), shop.readable("name", limits::SHOP_NAME, found))
}

fn valid_time(document: &Object<'_, '_>, name: &str, found: &mut Findings) -> String {
    date_time(document.time(name, found))
}
