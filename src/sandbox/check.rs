//! The checks of a push that no table can say: which rows hold, the pairs of statuses, the remarks.
//!
//! It knows nothing of tokens, apps and earlier pushes.

use super::documented::{GROUP_COUPON_TYPE, NORMAL_PUSH, NORMAL_TYPE, POI_PUSH, TICKET_TYPE, detail_of, status_texts};
use super::field::{self, Problem, Wrong, check_object};
use super::json::{self, Object, Value};
use super::refusal::Refusal;

/// The longest rule that the documentation allows, in bytes; over it is a remark (D11).
const RULE_BYTES: usize = 50;
/// Status 待支付 of a POI order.
const POI_UNPAID: i64 = 110;

/// What is legal, and yet worth a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Remarks {
    /// Entries of `ticket_description` over 50 bytes.
    pub(super) long_rules: u64,
    /// Images that are no full URL.
    pub(super) odd_images: u64,
}

/// Checks the top level, then the detail.
pub(super) fn check(top: &Object<'_>, detail: Option<&Object<'_>>) -> Result<Remarks, Refusal> {
    check_top_level(top)?;
    let order_type = json::member(top, "order_type").and_then(Value::as_integer).unwrap_or(NORMAL_TYPE);
    let detail =
        detail.ok_or_else(|| Refusal::detail(&Wrong::new("order_detail", Problem::Type("JSON text of an object"))))?;
    let rows = detail_of(order_type).ok_or(Refusal::ORDER_TYPE)?;
    check_object(detail, rows).map_err(|wrong| Refusal::detail(&wrong))?;
    match order_type {
        NORMAL_TYPE => check_status_pair(top, detail)?,
        _ => check_pay_time(detail)?,
    }
    Ok(remarks(detail))
}

fn check_top_level(top: &Object<'_>) -> Result<(), Refusal> {
    let rows = match json::member(top, "order_type").map(Value::as_integer) {
        Some(Some(NORMAL_TYPE)) => NORMAL_PUSH,
        Some(Some(GROUP_COUPON_TYPE | TICKET_TYPE)) => POI_PUSH,
        Some(Some(_)) => return Err(Refusal::ORDER_TYPE),
        Some(None) => return Err(Refusal::parameter(&Wrong::new("order_type", Problem::Type("an integer")))),
        None => return Err(Refusal::parameter(&Wrong::new("order_type", Problem::Missing))),
    };
    check_object(top, rows).map_err(|wrong| Refusal::of_top_level(&wrong))?;
    let text = |name| json::member(top, name).and_then(Value::as_text).unwrap_or_default();
    if text("app_name") != "douyin" {
        return Err(Refusal::APP_NAME);
    }
    if text("open_id").starts_with("ide_") {
        return Err(Refusal::FOREIGN_OPEN_ID);
    }
    let stamp = json::member(top, "update_time").and_then(Value::as_integer).unwrap_or_default();
    if !field::is_seconds(stamp) && !field::is_milliseconds(stamp) {
        let form = Problem::Form("10 digits (seconds) or 13 digits (milliseconds)");
        return Err(Refusal::parameter(&Wrong::new("update_time", form)));
    }
    Ok(())
}

fn check_status_pair(top: &Object<'_>, detail: &Object<'_>) -> Result<(), Refusal> {
    let order_status = json::member(top, "order_status").and_then(Value::as_integer).unwrap_or(-1);
    let status = json::member(detail, "status").and_then(Value::as_text).unwrap_or_default();
    if status_texts(order_status).contains(&status) {
        return Ok(());
    }
    Err(Refusal::detail(&Wrong::new("status", Problem::Range("the text that belongs to order_status"))))
}

fn check_pay_time(detail: &Object<'_>) -> Result<(), Refusal> {
    let unpaid = json::member(detail, "status").and_then(Value::as_integer) == Some(POI_UNPAID);
    if unpaid && json::member(detail, "pay_time").is_some() {
        return Err(Refusal::detail(&Wrong::new("pay_time", Problem::Range("left out while unpaid"))));
    }
    Ok(())
}

fn remarks(detail: &Object<'_>) -> Remarks {
    let mut remarks = Remarks::default();
    let mut image = |value: Option<&Value<'_>>| {
        let url = value.and_then(Value::as_text).unwrap_or_default();
        remarks.odd_images += u64::from(!url.starts_with("https://") && !url.starts_with("http://"));
    };
    if let Some(Value::List(items)) = json::member(detail, "item_list") {
        for item in items {
            if let Value::Object(item) = item {
                image(json::member(item, "img"));
            }
        }
    } else {
        image(json::member(detail, "goods_cover_image"));
    }
    remarks.long_rules = match json::member(detail, "ticket_description") {
        Some(Value::List(rules)) => long_rules(rules),
        Some(Value::Text(text)) => match json::parse(text) {
            Some(Value::List(rules)) => long_rules(&rules),
            _ => 0,
        },
        _ => 0,
    };
    remarks
}

fn long_rules(rules: &[Value<'_>]) -> u64 {
    let long = rules.iter().filter(|rule| rule.as_text().is_some_and(|text| text.len() > RULE_BYTES));
    long.fold(0, |count, _| count + 1)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
