//! What one push costs the sandbox: CPU time of its own threads, every check on, driven by a bare keep-alive client.
//!
//! It measures no worker. `--test` makes it a quick smoke run; a number sets the pushes of each case.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use order_sync::sandbox::{Sandbox, SandboxHandle, SandboxOptions};
use serde_json::{Value, json};

/// Rounds of each case; a busy machine spoils some.
const ROUNDS: u64 = 5;
/// What a push may cost, in microseconds of CPU.
const LIMIT_MICROS: f64 = 25.0;
const ORDERS: u64 = 1_000;

/// One way of pushing.
struct Case {
    name: &'static str,
    poi: bool,
    connections: usize,
}

fn main() -> io::Result<()> {
    let mut pushes = 100_000;
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            Ok(number) => pushes = number,
            Err(_) if argument == "--test" => pushes = 2_000,
            Err(_) => {}
        }
    }
    let mut out = io::stdout();
    let cases = [
        Case { name: "type 0, 1 connection", poi: false, connections: 1 },
        Case { name: "type 0, 64 connections", poi: false, connections: 64 },
        Case { name: "type 9101, 64 connections", poi: true, connections: 64 },
    ];
    for case in cases {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(measure(&case, pushes / ROUNDS)?);
        }
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (best, per_second) = rounds[0];
        let (median, _) = rounds[rounds.len() / 2];
        let word = if median <= LIMIT_MICROS { "within" } else { "OVER" };
        writeln!(
            out,
            "{:<28} CPU per push: median {median:>5.2} us ({word} {LIMIT_MICROS} us), best {best:>5.2} us at \
             {per_second:>6.0} pushes/s",
            case.name
        )?;
    }
    Ok(())
}

fn measure(case: &Case, pushes: u64) -> io::Result<(f64, f64)> {
    let options = SandboxOptions { threads: 1, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).map_err(io::Error::other)?;
    let token = token(&sandbox)?;
    let template = template(&token, case.poi);
    let mut streams = Vec::new();
    for _ in 0..case.connections {
        let stream = TcpStream::connect(sandbox.address())?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    sandbox.reset();
    let started = Instant::now();
    let mut sent = 0;
    let mut answer = vec![0; 4096];
    while sent < pushes {
        // Every connection has one push in flight, as an asynchronous client would have it.
        let round = (pushes - sent).min(streams.len() as u64);
        for (stream, number) in streams.iter_mut().zip(sent..sent + round) {
            stream.write_all(&request(&template, number))?;
        }
        for (stream, _) in streams.iter_mut().zip(0..round) {
            let length = stream.read(&mut answer)?;
            let text = String::from_utf8_lossy(&answer[..length]);
            if !text.contains(r#""err_code":0"#) {
                return Err(io::Error::other(format!("not accepted: {text}")));
            }
        }
        sent += round;
    }
    let seconds = started.elapsed().as_secs_f64();
    let report = sandbox.report();
    if report.applied != pushes || report.violations_total != 0 {
        return Err(io::Error::other(format!("{} of {pushes} applied", report.applied)));
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let per_second = pushes as f64 / seconds;
    Ok((report.cpu.micros_per_push, per_second))
}

/// The n-th push: another order each time, and a greater stamp each time an order comes again.
fn request(template: &str, number: u64) -> Vec<u8> {
    let body = template
        .replace("ORDER0", &format!("D{:05}", number % ORDERS))
        .replace("1694761400", &(1_694_761_400 + number / ORDERS).to_string());
    let head =
        "POST /api/apps/order/v2/push HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: */*";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn template(token: &str, poi: bool) -> String {
    let page = json!({ "path": "pages/order/detail", "params": "{\"order_id\":\"ORDER0\"}" }).to_string();
    let detail = if poi {
        json!({
            "ext_order_id": "ORDER0", "status": 310, "shop_name": "示例店", "entry_type": 2, "entry_schema": page,
            "create_order_time": 1_694_761_323_000_u64, "total_price": 9900, "pay_time": 1_694_761_401_000_u64,
            "ext_goods_id": "", "goods_name": "双人餐", "goods_cover_image": "https://img.example.com/2.jpg",
            "goods_entry_type": "2", "goods_entry_schema": page, "start_valid_time": "2023-09-15 00:00:00",
            "end_valid_time": "2023-12-31 23:59:59", "ticket_num": 1, "ext_ticket_ids": "[\"t-1\"]",
            "ticket_description": "[\"1、周末通用。\"]",
        })
    } else {
        json!({
            "order_id": "ORDER0", "create_time": 1_694_761_323_000_u64, "status": "已支付", "amount": 2,
            "total_price": 1980, "detail_url": "pages/order/detail?id=ORDER0",
            "item_list": [{
                "item_code": "sku-1", "img": "https://img.example.com/1.jpg", "title": "麻花", "sub_title": "原味",
                "amount": 2, "price": 1980,
            }],
        })
    };
    let mut body = json!({
        "access_token": token, "app_name": "douyin", "open_id": "_000demo", "update_time": 1_694_761_400,
        "order_type": if poi { 9101 } else { 0 }, "order_detail": detail.to_string(),
    });
    if poi {
        body["client_key"] = json!("ck_demo");
        body["ext_shop_id"] = json!("shop-1");
    } else {
        body["order_status"] = json!(1);
    }
    body.to_string()
}

fn token(sandbox: &SandboxHandle) -> io::Result<String> {
    let body = json!({ "appid": "tt1", "secret": "s", "grant_type": "client_credential" }).to_string();
    let mut stream = TcpStream::connect(sandbox.address())?;
    write!(
        stream,
        "POST /api/apps/v2/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, json) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let json: Value = serde_json::from_str(json)?;
    json["data"]["access_token"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("no token"))
}
