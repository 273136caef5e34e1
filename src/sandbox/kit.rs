//! For the tests: good pushes of each type, and a bare HTTP client that sees exactly what is on the wire.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Sandbox, SandboxHandle, SandboxOptions};

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn err_code(&self) -> i64 {
        self.json()["err_code"].as_i64().unwrap()
    }
}

/// A detail of type 0.
pub(super) fn normal_detail(order: &str) -> Value {
    json!({
        "order_id": order, "create_time": 1_694_761_323_000_i64, "status": "已支付", "amount": 2, "total_price": 1980,
        "detail_url": "pages/order/detail?id=1",
        "item_list": [{
            "item_code": "sku-1", "img": "https://img.example.com/1.jpg", "title": "麻花", "sub_title": "原味",
            "amount": 2, "price": 1980,
        }],
    })
}

/// A detail of type 9101; without `ext_valid_shop_id` it is one of 9001 too.
pub(super) fn coupon_detail(order: &str) -> Value {
    let page = json!({ "path": "pages/order/detail", "params": "{\"id\":\"1\"}" }).to_string();
    json!({
        "ext_order_id": order, "status": 340, "shop_name": "示例店", "entry_type": 2, "entry_schema": page,
        "create_order_time": 1_694_761_323_000_i64, "description": "双人餐", "total_price": 9900,
        "pay_time": 1_694_761_400_000_i64, "ext_valid_shop_id": "s-1", "valid_poi_id_str": "p-1", "ext_goods_id": "",
        "goods_name": "双人餐", "goods_info": "含饮料", "goods_cover_image": "https://img.example.com/2.jpg",
        "goods_entry_type": "2", "goods_entry_schema": page, "start_valid_time": "2023-09-15 00:00:00",
        "end_valid_time": "2023-12-31 23:59:59", "ticket_num": 1, "ext_ticket_ids": "[\"t-1\"]",
        "ticket_description": "[\"周末通用\"]",
    })
}

/// A whole body around a detail.
pub(super) fn body(token: &str, order_type: i64, stamp: i64, detail: &Value) -> Value {
    let mut body = json!({
        "access_token": token, "app_name": "douyin", "open_id": "_000demo", "update_time": stamp,
        "order_type": order_type, "order_detail": detail.to_string(),
    });
    if order_type == 0 {
        body["order_status"] = json!(1);
    } else {
        body["client_key"] = json!("ck");
        body["ext_shop_id"] = json!("shop-1");
    }
    body
}

/// A good push of type 0.
pub(super) fn push(token: &str, order: &str, stamp: i64) -> Value {
    body(token, 0, stamp, &normal_detail(order))
}

/// A sandbox with one thread, changed by `set`.
pub(super) fn sandbox(set: impl FnOnce(&mut SandboxOptions)) -> SandboxHandle {
    let mut options = SandboxOptions { threads: 1, ..SandboxOptions::default() };
    set(&mut options);
    Sandbox::start(options).unwrap()
}

/// A token of the app `tt1`.
pub(super) fn token(handle: &SandboxHandle) -> String {
    let body = json!({ "appid": "tt1", "secret": "s", "grant_type": "client_credential" });
    let seen = post(handle, "/api/apps/v2/token", &body).unwrap();
    seen.json()["data"]["access_token"].as_str().unwrap().to_owned()
}

/// Pushes on a connection of its own.
pub(super) fn send(handle: &SandboxHandle, body: &Value) -> io::Result<Seen> {
    post(handle, "/api/apps/order/v2/push", body)
}

/// A POST of JSON.
pub(super) fn post(handle: &SandboxHandle, path: &str, body: &Value) -> io::Result<Seen> {
    call(handle, "POST", path, &body.to_string())
}

/// Any call with a JSON content type.
pub(super) fn call(handle: &SandboxHandle, method: &str, path: &str, body: &str) -> io::Result<Seen> {
    let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    raw(handle.address(), &format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n{body}"))
}

/// Any bytes; the answer is read to the end of the connection.
pub(super) fn raw(address: SocketAddr, request: &str) -> io::Result<Seen> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        read?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Seen { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// Waits for a condition.
pub(super) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        std::thread::yield_now();
    }
}
