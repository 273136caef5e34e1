//! An answer before it is HTTP: status, headers, body, and how the connection treats it.
//!
//! What faults look like on the wire stands here and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::answer_body::AnswerBody;
use super::fault::FaultKind;
use super::refusal::Refusal;

/// The largest answer that a pusher reads is 64 KiB; this one is larger.
const HUGE_BYTES: usize = 80 * 1024;
const ACCEPTED: &[u8] = br#"{"err_code":0,"err_msg":"","body":""}"#;

/// What the connection does.
pub(super) enum Answer {
    /// A whole answer.
    Whole { status: StatusCode, content_type: ContentType, retry_after_s: Option<u32>, body: Bytes },
    /// A whole answer whose body dribbles out over this time.
    Slow(Bytes, Duration),
    /// More is promised than is sent, then the connection ends.
    Cut(Bytes),
    /// Nothing, ever.
    Silent,
    /// The connection is reset.
    Reset,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentType {
    Json,
    Html,
}

impl Answer {
    /// HTTP 200 with JSON.
    pub(super) fn json(body: impl Into<Bytes>) -> Self {
        Self::status(StatusCode::OK, body)
    }

    /// Any status with JSON.
    pub(super) fn status(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::Whole { status, content_type: ContentType::Json, retry_after_s: None, body: body.into() }
    }

    /// Any status with a web page.
    pub(super) fn html(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::Whole { status, content_type: ContentType::Html, retry_after_s: None, body: body.into() }
    }

    /// An error of the sandbox's own making, such as a wrong method: a status with a plain JSON explanation.
    pub(super) fn explain(status: StatusCode, why: &str) -> Self {
        Self::status(status, json!({ "sandbox": why }).to_string())
    }

    /// The HTTP of it; `None` for a connection that is not answered.
    pub(super) fn into_response(self) -> Option<Response<AnswerBody>> {
        let (status, content_type, retry_after_s, body) = match self {
            Self::Whole { status, content_type, retry_after_s, body } => {
                (status, content_type, retry_after_s, AnswerBody::whole(body))
            }
            Self::Slow(body, over) => (StatusCode::OK, ContentType::Json, None, AnswerBody::slow(body, over)),
            Self::Cut(body) => (StatusCode::OK, ContentType::Json, None, AnswerBody::cut(body)),
            Self::Silent | Self::Reset => return None,
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let content_type = match content_type {
            ContentType::Json => HeaderValue::from_static("application/json; charset=utf-8"),
            ContentType::Html => HeaderValue::from_static("text/html; charset=utf-8"),
        };
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        Some(response)
    }
}

/// The success of an order without goods in Douyin's library. `log_id` is the platform's name for the answer, where it gives one.
pub(super) fn accepted(log_id: Option<&str>) -> Bytes {
    if log_id.is_none() { Bytes::from_static(ACCEPTED) } else { whole((0, "", ""), log_id) }
}

/// The success of a POI order: `body` is the JSON text of the downstream result (douyin-api §3.1).
pub(super) fn accepted_poi(order_id: &str, error_code: i64, log_id: Option<&str>) -> Bytes {
    let description = if error_code == 0 { "" } else { "sandbox fault" };
    let inner = Inner { data: InnerResult { error_code, description, order_id } };
    // Numbers and strings always make JSON.
    let inner = serde_json::to_string(&inner).unwrap_or_default();
    whole((0, "", &inner), log_id)
}

fn whole((err_code, err_msg, body): (i64, &str, &str), log_id: Option<&str>) -> Bytes {
    let whole = Whole { err_code, err_msg, body, extra: log_id.map(|logid| Extra { logid }) };
    Bytes::from(serde_json::to_vec(&whole).unwrap_or_default())
}

#[derive(Serialize)]
struct Whole<'a> {
    err_code: i64,
    err_msg: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<Extra<'a>>,
}

/// Where the platform's endpoints name their answers (douyin-api §3.1).
#[derive(Serialize)]
struct Extra<'a> {
    logid: &'a str,
}

#[derive(Serialize)]
struct Inner<'a> {
    data: InnerResult<'a>,
}

#[derive(Serialize)]
struct InnerResult<'a> {
    error_code: i64,
    description: &'a str,
    order_id: &'a str,
}

/// A business error: HTTP 200 all the same.
pub(super) fn refused(refusal: &Refusal, log_id: Option<&str>) -> Bytes {
    whole((refusal.code, &refusal.text, ""), log_id)
}

/// The face of a fault, where `truth` is what would have been answered without it; `None` where the truth itself is the
/// answer, only later.
pub(super) fn of_fault(kind: &FaultKind, truth: &Bytes, order_id: &str, log_id: Option<&str>) -> Option<Answer> {
    let page = "<!DOCTYPE html><html><head><title>sandbox fault</title></head><body>sandbox fault</body></html>";
    Some(match kind {
        FaultKind::Code(code, text) => {
            let mut refusal = Refusal::of_code(*code);
            if let Some(text) = text {
                refusal.text = text.clone().into();
            }
            Answer::json(refused(&refusal, log_id))
        }
        FaultKind::Inner(code) => Answer::json(accepted_poi(order_id, *code, log_id)),
        FaultKind::Http(status) => Answer::html(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY), page),
        FaultKind::Throttle(seconds) => Answer::Whole {
            status: StatusCode::TOO_MANY_REQUESTS,
            content_type: ContentType::Html,
            retry_after_s: Some(*seconds),
            body: Bytes::from_static(page.as_bytes()),
        },
        FaultKind::Silent => Answer::Silent,
        FaultKind::Reset => Answer::Reset,
        FaultKind::Html => Answer::html(StatusCode::OK, page),
        FaultKind::CutJson => Answer::json(truth.slice(..truth.len() / 2)),
        FaultKind::CutBody => Answer::Cut(truth.slice(..truth.len() / 2)),
        FaultKind::Huge => {
            Answer::json(json!({ "err_code": 0, "err_msg": "x".repeat(HUGE_BYTES), "body": "" }).to_string())
        }
        FaultKind::StringCode => Answer::json(json!({ "err_code": "0", "err_msg": "", "body": "" }).to_string()),
        FaultKind::Slow(over) => Answer::Slow(truth.clone(), *over),
        FaultKind::Evict => Answer::json(refused(&Refusal::DEAD_TOKEN, log_id)),
        FaultKind::Late(_) => return None,
    })
}

/// The `err_code` that a fault shows, where it shows one.
pub(super) fn err_code_of(kind: &FaultKind) -> Option<i64> {
    match kind {
        FaultKind::Code(code, _) | FaultKind::Inner(code) => Some(*code),
        FaultKind::Evict => Some(Refusal::DEAD_TOKEN.code),
        FaultKind::Http(_)
        | FaultKind::Throttle(_)
        | FaultKind::Silent
        | FaultKind::Reset
        | FaultKind::Html
        | FaultKind::CutJson
        | FaultKind::CutBody
        | FaultKind::Huge
        | FaultKind::StringCode
        | FaultKind::Late(_)
        | FaultKind::Slow(_) => None,
    }
}

/// The HTTP status that a fault shows; none where the connection is the answer.
pub(super) const fn status_of(kind: &FaultKind) -> Option<u16> {
    match kind {
        FaultKind::Http(status) => Some(*status),
        FaultKind::Throttle(_) => Some(429),
        FaultKind::Silent | FaultKind::Reset | FaultKind::CutBody => None,
        FaultKind::Code(..)
        | FaultKind::Inner(_)
        | FaultKind::Evict
        | FaultKind::Html
        | FaultKind::CutJson
        | FaultKind::Huge
        | FaultKind::StringCode
        | FaultKind::Late(_)
        | FaultKind::Slow(_) => Some(200),
    }
}
