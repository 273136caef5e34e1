//! Order documents as merchants write them: one per order type, from a seed.

use serde_json::{Value, json};

use crate::order::OrderType;

const SHOPS: [&str; 6] = ["老街面馆", "云上茶舍", "山水火锅 · 二店", "Café Lumière", "锦里小吃", "一味烤鱼"];
const GOODS: [&str; 6] = ["双人套餐", "四人聚会餐", "下午茶 (2 位)", "成人票", "亲子票 1 大 1 小", "夜场联票"];
const ITEMS: [&str; 6] = ["麻花", "桂花糕 \"礼盒\"", "手冲咖啡豆 250g", "辣椒油\\特辣", "冻干草莓 🍓", "竹编篮"];
const RULES: [&str; 4] =
    ["周末与节假日通用。", "请提前 1 天预约。", "过期自动退款。", "不与店内其他优惠同享,每桌限用一张。"];

/// The whole document of an order, as its first event carries it.
pub fn document(order_type: OrderType, order_id: &str, created_at: i64, rng: &mut fastrand::Rng) -> Value {
    match order_type {
        OrderType::Normal => normal(order_id, created_at, rng),
        OrderType::GroupCoupon | OrderType::Ticket => voucher(order_type, order_id, created_at, rng),
    }
}

fn normal(order_id: &str, created_at: i64, rng: &mut fastrand::Rng) -> Value {
    let items: Vec<Value> = (0..rng.usize(1..4)).map(|_| item(rng)).collect();
    let total: i64 = items.iter().filter_map(|item| item["price"].as_i64()).sum();
    json!({
        "open_id": format!("_000{:016x}", rng.u64(..)),
        "created_at": created_at,
        "total_price": total,
        "page": {"path": "/pages/order/detail", "params": {"id": order_id, "from": "douyin", "vip": rng.bool()}},
        "items": items,
        "merchant_note": "only for ourselves",
    })
}

fn item(rng: &mut fastrand::Rng) -> Value {
    let title = ITEMS[rng.usize(..ITEMS.len())];
    let mut item = json!({
        "title": title,
        "image_url": format!("https://img.example.com/{}.jpg", rng.u32(..)),
        "price": rng.i64(1..50_000),
    });
    if rng.bool() {
        item["code"] = json!(format!("sku-{}", rng.u16(..)));
    }
    if rng.bool() {
        item["subtitle"] = json!("原味 / 大份");
    }
    if rng.bool() {
        item["quantity"] = json!(rng.i64(1..5));
    }
    if rng.u8(..50) == 0 {
        // Over the limit on purpose: it is cut at a character boundary.
        item["title"] = json!(format!("{title}{}", "长".repeat(90)));
    }
    item
}

fn voucher(order_type: OrderType, order_id: &str, created_at: i64, rng: &mut fastrand::Rng) -> Value {
    let count = rng.usize(1..4);
    let ids: Vec<String> = (0..count).map(|n| format!("{order_id}-t{n}")).collect();
    let rules: Vec<&str> = (0..rng.usize(1..3)).map(|_| RULES[rng.usize(..RULES.len())]).collect();
    let goods = rng.usize(..GOODS.len());
    let mut document = json!({
        "open_id": format!("_000{:016x}", rng.u64(..)),
        "created_at": rfc3339(created_at),
        "total_price": rng.i64(100..200_000),
        "page": {"path": "pages/voucher/detail", "params": {"id": order_id}},
        "shop": {"id": format!("shop-{}", rng.u8(..)), "name": SHOPS[rng.usize(..SHOPS.len())]},
        "goods": {
            "name": GOODS[goods],
            "image_url": "https://img.example.com/goods.jpg",
            "page": {"path": "pages/goods/detail", "params": {"id": format!("g{goods}")}},
        },
        "valid_from": created_at,
        "valid_until": created_at + 90 * 86_400_000,
        "vouchers": {"count": count, "ids": ids, "rules": rules},
    });
    if rng.bool() {
        document["goods"]["id"] = json!(format!("goods-{goods}"));
        document["goods"]["info"] = json!("含茶位费");
    }
    if rng.bool() {
        document["description"] = json!("到店出示券码即可使用");
    }
    if order_type == OrderType::GroupCoupon && rng.bool() {
        document["extra"] = json!("{\"channel\":\"live\"}");
    }
    document
}

fn rfc3339(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).map_or_else(|_| time_ms.to_string(), |time| format!("{time:.3}"))
}
