//! The detail of an ordinary mini-program order, type 0 (order-events §5, douyin-api §2.1).

use std::borrow::Cow;

use crate::douyin::fields::{Findings, Object, Path};
use crate::douyin::json_text::JsonText;
use crate::douyin::limits;
use crate::douyin::page::Page;
use crate::order::json::INTEGER_MAX;

/// `order_detail` of type 0: exactly these fields.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NormalDetail<'a> {
    /// The merchant's order number, equal to the payment's `out_order_no`; at most 64 bytes.
    #[schemars(length(min = 1, max = limits::ORDER_ID.greatest()))]
    pub order_id: &'a str,
    /// Milliseconds since the epoch, 13 digits.
    #[schemars(range(min = 1_000_000_000_000_i64, max = 9_999_999_999_999_i64))]
    pub create_time: i64,
    /// The recommended literal of the status.
    pub status: &'static str,
    /// Total price, fen.
    #[schemars(range(min = 0))]
    pub total_price: i64,
    /// A page of the mini-program without leading slash; at most 1024 bytes.
    #[schemars(length(min = 1, max = limits::DETAIL_URL.greatest()))]
    pub detail_url: Cow<'a, str>,
    /// What was bought.
    #[schemars(length(min = 1))]
    pub item_list: Vec<Item<'a>>,
    /// Total number of goods.
    #[schemars(range(min = 1))]
    pub amount: i64,
}

/// One line of a normal order.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item<'a> {
    /// The developer's goods id; at most 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::ITEM_CODE.greatest()))]
    pub item_code: Option<&'a str>,
    /// At most 256 bytes.
    #[schemars(length(min = 1, max = limits::TITLE.greatest()))]
    pub title: &'a str,
    /// At most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::SUB_TITLE.greatest()))]
    pub sub_title: Option<&'a str>,
    /// A full URL; at most 512 bytes.
    #[schemars(length(min = 1, max = limits::IMG.greatest()))]
    pub img: &'a str,
    /// How many of this item.
    #[schemars(range(min = 1))]
    pub amount: i64,
    /// The line's total price, fen.
    #[schemars(range(min = 0))]
    pub price: i64,
}

impl<'a> NormalDetail<'a> {
    /// Reads the fields that a normal order uses.
    pub(in crate::douyin) fn read(
        order_id: &'a str,
        status: &'static str,
        document: &Object<'a, '_>,
        found: &mut Findings,
    ) -> Self {
        let create_time = document.time("created_at", found);
        let total_price = document.integer("total_price", 0, found);
        let detail_url = document
            .required("page", found)
            .map_or(Cow::Borrowed(""), |page| Page::detail_url(page, limits::DETAIL_URL, found));
        let item_list = items(document, found);
        let amount = amount(document, &item_list, found);
        found.within(Path::Member(&Path::Root, "order_id"), order_id, limits::ORDER_ID);
        Self { order_id, create_time, status, total_price, detail_url, item_list, amount }
    }

    pub(in crate::douyin) fn write(&self, out: &mut JsonText) {
        out.object(|out| {
            out.string_member("order_id", self.order_id);
            out.integer_member("create_time", self.create_time);
            out.string_member("status", self.status);
            out.integer_member("total_price", self.total_price);
            out.string_member("detail_url", &self.detail_url);
            out.key("item_list");
            out.array(|out| {
                for item in &self.item_list {
                    out.element();
                    item.write(out);
                }
            });
            out.integer_member("amount", self.amount);
        });
    }
}

impl<'a> Item<'a> {
    fn read(item: &Object<'a, '_>, found: &mut Findings) -> Self {
        Self {
            item_code: item.optional_within("code", limits::ITEM_CODE, found),
            title: item.readable("title", limits::TITLE, found),
            sub_title: item.optional_readable("subtitle", limits::SUB_TITLE, found),
            img: item.text_within("image_url", limits::IMG, found),
            amount: item.optional("quantity").map_or(1, |quantity| quantity.integer(1, found)),
            price: item.integer("price", 0, found),
        }
    }

    fn write(&self, out: &mut JsonText) {
        out.object(|out| {
            out.optional_member("item_code", self.item_code);
            out.string_member("title", self.title);
            out.optional_member("sub_title", self.sub_title);
            out.string_member("img", self.img);
            out.integer_member("amount", self.amount);
            out.integer_member("price", self.price);
        });
    }
}

fn items<'a>(document: &Object<'a, '_>, found: &mut Findings) -> Vec<Item<'a>> {
    let Some(list) = document.required("items", found) else { return Vec::new() };
    let elements = list.elements(found);
    if elements.is_empty() && list.value.as_array().is_some() {
        found.missing(list.path);
    }
    let mut items = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        if let Some(item) = list.element(element, index).object(found) {
            items.push(Item::read(&item, found));
        }
    }
    items
}

/// The document's own quantity, or the sum of the items'.
fn amount(document: &Object<'_, '_>, items: &[Item<'_>], found: &mut Findings) -> i64 {
    if let Some(quantity) = document.optional("quantity") {
        return quantity.integer(1, found);
    }
    let sum = items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.amount));
    sum.filter(|sum| *sum <= INTEGER_MAX).unwrap_or_else(|| {
        found.malformed(
            Path::Member(&Path::Root, "quantity"),
            "is absent and the items' quantities add up to more than an integer holds",
        );
        0
    })
}
