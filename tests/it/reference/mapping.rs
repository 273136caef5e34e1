//! The mapping of the three order types (§4, §5) as a table of fields.

use serde_json::{Map, Value, json};

use super::json::integer;
use super::log::App;
use super::time::{millis, shanghai};

pub(super) struct Order<'a> {
    pub(super) app: &'a App,
    pub(super) order_id: &'a str,
    pub(super) order_type: &'a str,
    pub(super) status: &'a str,
    pub(super) document: &'a Value,
    pub(super) is_text_strict: bool,
}

/// The request without token, stamp and detail; and the detail.
pub(super) fn map(order: &Order<'_>) -> Result<(Value, Value), &'static str> {
    let (number, text) = status(order.order_type, order.status).ok_or("status_not_supported")?;
    let is_normal = order.order_type == "normal";
    let text_limit = if order.is_text_strict { Text::Strict } else { Text::Cut };
    let mut reader = Reader { missing: false, malformed: false, over: false, text: text_limit };
    let doc = order.document;
    if !is_normal && order.app.client_key.is_none() {
        reader.malformed = true;
    }
    let mut request = json!({"app_name": "douyin", "open_id": reader.text(doc, "open_id", Need::Required, usize::MAX)});
    let extra = reader.text(doc, "extra", Need::Optional, 2047);
    put(&mut request, "extra", extra);
    let detail = if is_normal { normal(&mut reader, order, text) } else { poi(&mut reader, order, number) };
    if is_normal {
        put(&mut request, "order_type", json!(0));
        put(&mut request, "order_status", json!(number));
    } else {
        put(&mut request, "order_type", json!(if order.order_type == "ticket" { 9001 } else { 9101 }));
        put(&mut request, "client_key", json!(order.app.client_key));
        let shop_id = doc.get("shop").map_or(Value::Null, |shop| reader.text(shop, "id", Need::Required, 255));
        put(&mut request, "ext_shop_id", shop_id);
    }
    if reader.missing {
        return Err("incomplete_order");
    }
    if reader.malformed {
        return Err("malformed_order");
    }
    if reader.over {
        return Err("field_over_limit");
    }
    Ok((request, detail))
}

fn status(order_type: &str, status: &str) -> Option<(i64, &'static str)> {
    let (normal, coupon, ticket) = match status {
        "pending_payment" => (Some((0, "待支付")), Some(110), Some(110)),
        "paid" => (Some((1, "已支付")), Some(310), Some(210)),
        "awaiting_confirmation" => (None, None, Some(210)),
        "booked" => (None, None, Some(340)),
        "redeemed" => (Some((4, "已核销")), Some(340), Some(340)),
        "cancelled" => (Some((2, "已取消")), Some(10), Some(10)),
        "timed_out" => (Some((2, "已超时")), Some(10), Some(10)),
        "refunding" => (Some((5, "退款中")), Some(410), Some(410)),
        "refunded" => (Some((6, "已退款")), Some(420), Some(420)),
        "refund_failed" => (Some((8, "退款失败")), Some(430), Some(430)),
        _ => unreachable!("decoding has checked the word"),
    };
    match order_type {
        "normal" => normal,
        "group_coupon" => coupon.map(|number| (number, "")),
        _ => ticket.map(|number| (number, "")),
    }
}

fn normal(reader: &mut Reader, order: &Order<'_>, status: &str) -> Value {
    let doc = order.document;
    let mut detail = json!({
        "order_id": order.order_id,
        "status": status,
        "create_time": reader.time(doc, "created_at"),
        "total_price": reader.integer(doc, "total_price", Need::Required, 0),
    });
    let page = reader.object(doc, "page");
    let url = reader.detail_url(&page);
    put(&mut detail, "detail_url", url);
    let mut items = Vec::new();
    let mut sum = 0;
    for item in reader.array(doc, "items") {
        if !item.is_object() {
            reader.malformed = true;
            continue;
        }
        let item = without_nulls(&item);
        let quantity = reader.integer(&item, "quantity", Need::Optional, 1);
        let quantity = if quantity.is_null() { 1 } else { quantity.as_i64().unwrap() };
        sum += quantity;
        let mut line = json!({"amount": quantity});
        for (name, value) in [
            ("item_code", reader.text(&item, "code", Need::Optional, 64)),
            ("title", reader.cut(&item, "title", Need::Required, 256)),
            ("sub_title", reader.cut(&item, "subtitle", Need::Optional, 256)),
            ("img", reader.text(&item, "image_url", Need::Required, 512)),
            ("price", reader.integer(&item, "price", Need::Required, 0)),
        ] {
            put(&mut line, name, value);
        }
        items.push(line);
    }
    reader.missing |= doc.get("items") == Some(&json!([]));
    let quantity = reader.integer(doc, "quantity", Need::Optional, 1);
    put(&mut detail, "amount", if quantity.is_null() { json!(sum) } else { quantity });
    put(&mut detail, "item_list", Value::Array(items));
    detail
}

fn poi(reader: &mut Reader, order: &Order<'_>, status: i64) -> Value {
    let doc = order.document;
    let is_coupon = order.order_type == "group_coupon";
    let mut detail =
        json!({"ext_order_id": order.order_id, "status": status, "entry_type": 2, "goods_entry_type": "2"});
    let (page, shop, goods) = (reader.object(doc, "page"), reader.object(doc, "shop"), reader.object(doc, "goods"));
    let goods_page = reader.object(&goods, "page");
    let vouchers = reader.object(doc, "vouchers");
    let redemption = doc.get("redemption").cloned().unwrap_or(json!({}));
    reader.malformed |= !redemption.is_object();
    let paid_at = reader.optional_time(doc, "paid_at");
    let goods_id = reader.text(&goods, "id", Need::Optional, 64);
    for (name, value) in [
        ("entry_schema", reader.entry_schema(&page)),
        ("create_order_time", reader.time(doc, "created_at")),
        ("total_price", reader.integer(doc, "total_price", Need::Required, 0)),
        ("pay_time", if order.status == "pending_payment" { Value::Null } else { paid_at }),
        ("description", reader.cut(doc, "description", Need::Optional, 500)),
        ("shop_name", reader.cut(&shop, "name", Need::Required, 256)),
        ("goods_name", reader.cut(&goods, "name", Need::Required, 256)),
        ("goods_info", reader.cut(&goods, "info", Need::Optional, 120)),
        ("goods_cover_image", reader.text(&goods, "image_url", Need::Required, 512)),
        ("goods_entry_schema", reader.entry_schema(&goods_page)),
        ("ext_goods_id", if is_coupon && goods_id.is_null() { json!("") } else { goods_id }),
        ("start_valid_time", reader.valid_time(doc, "valid_from")),
        ("end_valid_time", reader.valid_time(doc, "valid_until")),
        ("ticket_num", reader.integer(&vouchers, "count", Need::Required, 0)),
        ("ext_ticket_ids", reader.strings(&vouchers, "ids", 64, usize::MAX)),
        ("ticket_description", reader.strings(&vouchers, "rules", usize::MAX, 10)),
        ("valid_poi_id_str", reader.text(&redemption, "poi_id", Need::Optional, 128)),
    ] {
        put(&mut detail, name, value);
    }
    if is_coupon {
        let shop_id = reader.text(&redemption, "shop_id", Need::Optional, 256);
        put(&mut detail, "ext_valid_shop_id", shop_id);
    }
    detail
}

/// Adds a member, unless there is nothing to add.
fn put(object: &mut Value, name: &str, value: Value) {
    if !value.is_null() {
        object.as_object_mut().unwrap().insert(name.to_owned(), value);
    }
}

fn without_nulls(value: &Value) -> Value {
    let members: Map<String, Value> = value
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Value::Object(members)
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// What happens to text over its limit that only a person reads.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Text {
    Cut,
    Strict,
}

/// Reads fields and remembers what was wrong with any of them. What cannot be read is null.
pub(super) struct Reader {
    pub(super) missing: bool,
    pub(super) malformed: bool,
    pub(super) over: bool,
    pub(super) text: Text,
}

impl Reader {
    /// A field of an object; `within` may be anything else, whose fields are then neither missing nor wrong.
    fn field(&mut self, within: &Value, name: &str, need: Need) -> Option<Value> {
        let value = within.as_object()?.get(name);
        if need == Need::Required && value.is_none_or(|value| value == "") {
            self.missing = true;
            return None;
        }
        value.cloned()
    }

    fn read<T>(&mut self, value: Option<&Value>, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let read = value.map(read)?;
        self.malformed |= read.is_none();
        read
    }

    fn object(&mut self, within: &Value, name: &str) -> Value {
        let field = self.field(within, name, Need::Required);
        self.read(field.as_ref(), |value| value.is_object().then(|| value.clone())).unwrap_or(Value::Null)
    }

    fn array(&mut self, within: &Value, name: &str) -> Vec<Value> {
        let field = self.field(within, name, Need::Required);
        self.read(field.as_ref(), |value| value.as_array().cloned()).unwrap_or_default()
    }

    fn integer(&mut self, within: &Value, name: &str, need: Need, least: i64) -> Value {
        let field = self.field(within, name, need);
        self.read(field.as_ref(), |value| integer(value).filter(|n| *n >= least)).map_or(Value::Null, |n| json!(n))
    }

    fn text(&mut self, within: &Value, name: &str, need: Need, most: usize) -> Value {
        let field = self.field(within, name, need);
        let text = self.read(field.as_ref(), |value| value.as_str().map(str::to_owned));
        self.over |= text.as_ref().is_some_and(|text| text.len() > most);
        json!(text)
    }

    /// Text that only a person reads.
    fn cut(&mut self, within: &Value, name: &str, need: Need, most: usize) -> Value {
        if self.text == Text::Strict {
            return self.text(within, name, need, most);
        }
        let Value::String(mut text) = self.text(within, name, need, usize::MAX) else { return Value::Null };
        while text.len() > most {
            text.pop();
        }
        json!(text)
    }

    fn time(&mut self, within: &Value, name: &str) -> Value {
        let field = self.field(within, name, Need::Required);
        json!(self.read(field.as_ref(), millis))
    }

    fn optional_time(&mut self, within: &Value, name: &str) -> Value {
        let field = self.field(within, name, Need::Optional);
        json!(self.read(field.as_ref(), millis))
    }

    fn valid_time(&mut self, within: &Value, name: &str) -> Value {
        self.time(within, name).as_i64().map_or(Value::Null, |millis| json!(shanghai(millis)))
    }

    /// JSON text of an array of strings.
    fn strings(&mut self, within: &Value, name: &str, most_bytes: usize, most: usize) -> Value {
        let items = self.array(within, name);
        self.malformed |= items.iter().any(|item| !item.is_string());
        self.over |=
            items.len() > most || items.iter().any(|item| item.as_str().is_some_and(|item| item.len() > most_bytes));
        json!(serde_json::to_string(&items).unwrap())
    }

    /// Path and parameters of a page, the values as text, in ascending order of the keys.
    fn page(&mut self, page: &Value) -> Option<(String, Vec<(String, String)>)> {
        let path = self.field(page, "path", Need::Required);
        let path = self.read(path.as_ref(), |path| {
            let path = path.as_str()?.trim_start_matches('/');
            (!path.is_empty() && !path.contains(['?', '#'])).then(|| path.to_owned())
        });
        let params = self.field(page, "params", Need::Optional);
        let params = self.read(params.as_ref(), |params| {
            let params = params.as_object()?;
            params.iter().map(|(key, value)| Some((key.clone(), param(value)?))).collect::<Option<Vec<_>>>()
        });
        let mut params = params.unwrap_or_default();
        params.sort();
        Some((path?, params))
    }

    fn detail_url(&mut self, page: &Value) -> Value {
        let Some((mut url, params)) = self.page(page) else { return Value::Null };
        for (at, (key, value)) in params.iter().enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url += &[percent(key), percent(value)].join("=");
        }
        self.over |= url.len() > 1024;
        json!(url)
    }

    fn entry_schema(&mut self, page: &Value) -> Value {
        let Some((path, params)) = self.page(page) else { return Value::Null };
        let params: Map<String, Value> = params.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let params = serde_json::to_string(&params).unwrap();
        let text = format!("{{\"path\":{},\"params\":{}}}", json!(path), json!(params));
        self.over |= text.len() > 512;
        json!(text)
    }
}

fn param(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(_) => integer(value).map(|number| number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
