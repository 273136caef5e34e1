//! `/_sandbox/…`: report, orders, faults, outages, tokens and clock, for scripts and the page.
//!
//! The platform has none of this.

use std::sync::{Arc, PoisonError};

use hyper::{Method, StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Answer;
use super::duration_text::{parse_duration, show};
use super::fault_plan::Faults;
use super::history::OrderView;
use super::outage::{Outage, OutageMode};
use super::report::Report;
use super::state::State;

const PATHS: &str = "GET /_sandbox/report · GET /_sandbox/orders?app_id=&search=&limit=&offset= · \
     GET /_sandbox/orders/{app}/{order} · DELETE /_sandbox/orders · GET|PUT|DELETE /_sandbox/faults · \
     GET|PUT|DELETE /_sandbox/outages · POST /_sandbox/tokens/evict · POST /_sandbox/clock/advance";
/// Orders of one answer.
const LIMIT_MAX: usize = 1000;

/// Answers a call to the sandbox itself.
pub(super) fn serve(state: &Arc<State>, method: &Method, uri: &Uri, body: &[u8]) -> Answer {
    let path = uri.path().strip_prefix("/_sandbox/").unwrap_or_default();
    let outcome = match (method.as_str(), path) {
        ("GET", "") => Ok(json!({ "paths": PATHS.split(" · ").collect::<Vec<_>>() })),
        ("GET", "report") => Ok(json!(Report::of(state))),
        ("GET", "orders") => Ok(orders(state, uri.query().unwrap_or_default())),
        ("DELETE", "orders") => {
            state.reset();
            Ok(json!({ "reset": true }))
        }
        ("GET", "faults") => Ok(faults(state)),
        ("PUT", "faults") => set_faults(state, body),
        ("DELETE", "faults") => {
            state.set_faults(Faults::default());
            Ok(faults(state))
        }
        ("GET", "outages") => Ok(json!({ "outages": state.describe_outages() })),
        ("PUT", "outages") => set_outages(state, body),
        ("DELETE", "outages") => {
            state.set_outages(&[]);
            Ok(json!({ "outages": [] }))
        }
        ("POST", "tokens/evict") => evict(state, body),
        ("POST", "clock/advance") => advance(state, body),
        ("GET", path) => order(state, path).ok_or_else(|| (StatusCode::NOT_FOUND, format!("nothing here; {PATHS}"))),
        _ => Err((StatusCode::NOT_FOUND, format!("nothing here; {PATHS}"))),
    };
    match outcome {
        Ok(value) => Answer::json(value.to_string()),
        Err((status, why)) => Answer::explain(status, &why),
    }
}

/// Reads a request's JSON.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

type Outcome = Result<Value, (StatusCode, String)>;

fn bad(why: impl Into<String>) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, why.into())
}

fn orders(state: &State, query: &str) -> Value {
    let parameter = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.clone().find(|(key, _)| *key == name).map(|(_, value)| decode(value)).filter(|value| !value.is_empty())
    };
    let number = |name, default| parameter(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (app_id, search) = (parameter("app_id"), parameter("search"));
    let (limit, offset): (usize, usize) = (number("limit", 100).min(LIMIT_MAX), number("offset", 0));
    let mut views = state.centre.orders(|app| state.app_id(app));
    views.retain(|view| {
        app_id.as_deref().is_none_or(|id| id == &*view.app_id)
            && search.as_deref().is_none_or(|text| view.order_id.contains(text) || view.app_id.contains(text))
    });
    let total = views.len();
    views.sort_unstable_by(|a, b| {
        (b.applied_at_ms, &a.app_id, &a.order_id).cmp(&(a.applied_at_ms, &b.app_id, &b.order_id))
    });
    let page: Vec<Value> = views.iter().skip(offset).take(limit).map(with_detail).collect();
    json!({ "total": total, "orders": page })
}

/// An order with its parsed detail.
fn with_detail(view: &OrderView) -> Value {
    let mut value = json!(view);
    value["detail"] = json!(view.detail());
    value
}

fn order(state: &State, path: &str) -> Option<Value> {
    let (app_id, order_id) = path.strip_prefix("orders/")?.split_once('/')?;
    let name = state.order_name(&decode(app_id), &decode(order_id))?;
    let mut value = with_detail(&state.centre.order(&name)?);
    value["history"] = json!(state.centre.history(&name));
    Some(value)
}

fn faults(state: &State) -> Value {
    let faults = state.faults();
    let rules: Vec<String> = faults.rules.iter().map(ToString::to_string).collect();
    json!({ "faults": rules, "latency": show(faults.latency), "jitter": show(faults.jitter) })
}

/// `{"faults": "mixed:20%" | ["code:-1=5%", …], "latency": "50ms", "jitter": "10ms"}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsRequest {
    #[serde(default)]
    faults: Value,
    latency: Option<String>,
    jitter: Option<String>,
}

fn set_faults(state: &State, body: &[u8]) -> Outcome {
    let request: FaultsRequest = read(body)?;
    let mut plan = match request.faults {
        Value::Null => Faults::default(),
        Value::String(text) => Faults::parse(&text).map_err(bad)?,
        // In a list, a rule may hold commas.
        Value::Array(rules) => {
            let mut plan = Faults::default();
            for rule in rules {
                plan.add(rule.as_str().ok_or_else(|| bad("a fault is a string"))?).map_err(bad)?;
            }
            plan
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(bad("faults is a string or a list")),
    };
    let duration = |text: Option<String>| text.map_or(Ok(plan.latency), |text| parse_duration(&text).map_err(bad));
    let (latency, jitter) = (duration(request.latency)?, duration(request.jitter)?);
    (plan.latency, plan.jitter) = (latency, jitter);
    state.set_faults(plan);
    Ok(faults(state))
}

/// `{"outages": ["http:503 after 5s for 30s"]}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutagesRequest {
    outages: Vec<String>,
}

fn set_outages(state: &State, body: &[u8]) -> Outcome {
    let request: OutagesRequest = read(body)?;
    let outages: Vec<Outage> =
        request.outages.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(bad)?;
    if outages.iter().any(|outage| outage.mode == OutageMode::Refuse && outage.lasts.is_none()) {
        return Err(bad("refuse needs an end, as in \"refuse for 30s\": it refuses this call's own connection, too"));
    }
    state.set_outages(&outages);
    Ok(json!({ "outages": state.describe_outages() }))
}

/// `{"app_id": "tt…"}`, or `{}` for all apps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EvictRequest {
    app_id: Option<String>,
}

fn evict(state: &State, body: &[u8]) -> Outcome {
    let request: EvictRequest = read(body)?;
    let now_ms = state.clock.now_ms();
    let mut tokens = state.tokens.write().unwrap_or_else(PoisonError::into_inner);
    Ok(json!({ "evicted": tokens.evict_all(request.app_id.as_deref(), now_ms) }))
}

/// `{"by": "2h"}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceRequest {
    by: String,
}

fn advance(state: &State, body: &[u8]) -> Outcome {
    let request: AdvanceRequest = read(body)?;
    state.clock.advance(parse_duration(&request.by).map_err(bad)?);
    Ok(json!({ "now_ms": state.clock.now_ms() }))
}

/// Percent-decoding of a path segment or a query value; what is no such code stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        decoded.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
