//! The pure part of one event, piece by piece and whole. Aim: under 5 µs for decode, fold, map and encode together.

#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark stops where its events are not as it made them")]

use std::hint::black_box;

use divan::Bencher;
use order_sync::douyin::{AppSettings, GoodsEntryType, MapSettings, Mapper, TextPolicy, TicketLists};
use order_sync::order::event::{EventRules, decode};
use order_sync::order::fold::{Advanced, FoldRules, fold};
use order_sync::order::{AppId, OrderEvent, OrderState, OrderType, TimeUnit, Transition, UpdateTime};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    divan::main();
}

const NOW: i64 = 1_694_761_400_000;
const RULES: FoldRules = FoldRules { unit: TimeUnit::Seconds, removed_stamp: UpdateTime::ZERO };

/// A whole snapshot of a normal order, 860 bytes.
fn normal(status: &str, second: u32) -> String {
    format!(
        r#"{{"schema_version":1,"event_id":"evt-2023-09-15-0001-{status}","order_id":"D20230915001","app_id":"tt0123456789abcdef","order_type":"normal","status":"{status}","occurred_at":16947613{second}000,"sequence":{second},"order":{{"open_id":"_000abcdefghijklmnopqrstuvwxyz0123456","created_at":1694761300000,"paid_at":"2023-09-15T15:02:03.123+08:00","total_price":5940,"page":{{"path":"/pages/order/detail","params":{{"id":"D20230915001","from":"order_center"}}}},"items":[{{"code":"sku-1001","title":"麻花 原味 500克装","subtitle":"手工制作","image_url":"https://img.example.com/goods/1001/cover-800x800.jpg","quantity":2,"price":1980}},{{"code":"sku-1002","title":"桂花糕 礼盒装","subtitle":"新鲜现做","image_url":"https://img.example.com/goods/1002/cover-800x800.jpg","quantity":1,"price":3960}}],"quantity":3,"extra":"channel=live&room=8837"}}}}"#
    )
}

/// A whole snapshot of a group coupon.
fn coupon(status: &str, second: u32) -> String {
    format!(
        r#"{{"event_id":"evt-{second}-{status}","order_id":"D20230915002","order_type":"group_coupon","status":"{status}","occurred_at":16947613{second}000,"order":{{"open_id":"_000abcdefghijklmnopqrstuvwxyz0123456","created_at":1694761300000,"paid_at":1694761310000,"total_price":9900,"page":{{"path":"pages/order/detail","params":{{"id":"D20230915002"}}}},"description":"周末通用","shop":{{"id":"shop-1","name":"示例店（人民广场店）"}},"goods":{{"id":"g-77","name":"双人餐","info":"二选一","image_url":"https://img.example.com/goods/77.jpg","page":{{"path":"pages/goods/detail","params":{{"id":"g-77"}}}}}},"valid_from":"2023-09-15T00:00:00+08:00","valid_until":"2023-12-31T23:59:59+08:00","vouchers":{{"count":1,"ids":["t-0001-4711"],"rules":["1、周末通用。","2、不找零。"]}}}}}}"#
    )
}

/// The first event of an order and a later one that changes its status.
fn events(kind: OrderType) -> (String, String) {
    match kind {
        OrderType::Normal => (normal("pending_payment", 21), normal("paid", 23)),
        OrderType::GroupCoupon | OrderType::Ticket => (coupon("pending_payment", 21), coupon("paid", 23)),
    }
}

fn event_rules() -> EventRules {
    EventRules { apps: vec![app_id()], max_clock_skew_ms: 600_000 }
}

fn app_id() -> AppId {
    AppId::new("tt0123456789abcdef")
}

fn mapper() -> Mapper {
    Mapper::new(MapSettings {
        apps: vec![AppSettings {
            app_id: app_id(),
            client_key: Some("ck_demo".to_owned()),
            order_types: OrderType::ALL.to_vec(),
        }],
        text: TextPolicy::Truncate,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
    })
}

fn event<'a>(value: &'a str, rules: &EventRules) -> OrderEvent<'a> {
    decode(value.as_bytes(), rules, NOW).expect("the event is whole")
}

fn advanced(state: Option<&OrderState>, event: &OrderEvent<'_>, offset: i64, mapper: &Mapper) -> Advanced {
    match fold(state, event, offset, RULES, mapper) {
        Ok(Transition::Advanced(advanced)) => advanced,
        other => panic!("{other:?}"),
    }
}

const KINDS: [OrderType; 2] = [OrderType::Normal, OrderType::GroupCoupon];

#[divan::bench(args = KINDS)]
fn decode_event(bencher: Bencher<'_, '_>, kind: OrderType) {
    let (rules, (_, later)) = (event_rules(), events(kind));
    bencher.counter(divan::counter::BytesCount::of_str(&later)).bench(|| event(black_box(&later), &rules).occurred_at);
}

#[divan::bench(args = KINDS)]
fn fold_and_map(bencher: Bencher<'_, '_>, kind: OrderType) {
    let (rules, (first, later), mapper) = (event_rules(), events(kind), mapper());
    let state = advanced(None, &event(&first, &rules), 1, &mapper).state;
    let later = event(&later, &rules);
    bencher.bench(|| advanced(Some(&state), black_box(&later), 2, &mapper));
}

#[divan::bench(args = KINDS)]
fn encode_state(bencher: Bencher<'_, '_>, kind: OrderType) {
    let (rules, (first, _), mapper) = (event_rules(), events(kind), mapper());
    let state = advanced(None, &event(&first, &rules), 1, &mapper).state;
    bencher.bench(|| {
        let mut stored = Vec::new();
        black_box(&state).encode(&mut stored);
        stored
    });
}

#[divan::bench(args = KINDS)]
fn decode_state(bencher: Bencher<'_, '_>, kind: OrderType) {
    let (rules, (first, _), mapper) = (event_rules(), events(kind), mapper());
    let mut stored = Vec::new();
    advanced(None, &event(&first, &rules), 1, &mapper).state.encode(&mut stored);
    bencher.bench(|| OrderState::decode(black_box(&stored)));
}

/// Everything between a record's bytes and the bytes to commit, for an order that is at hand.
#[divan::bench(args = KINDS)]
fn whole_event(bencher: Bencher<'_, '_>, kind: OrderType) {
    let (rules, (first, later), mapper) = (event_rules(), events(kind), mapper());
    let state = advanced(None, &event(&first, &rules), 1, &mapper).state;
    bencher.bench(|| {
        let advanced = advanced(Some(&state), &event(black_box(&later), &rules), 2, &mapper);
        let mut stored = Vec::new();
        advanced.state.encode(&mut stored);
        (advanced, stored)
    });
}
