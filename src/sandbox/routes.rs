//! Which path does what, the checks of HTTP itself, and answers that come late or never.
//!
//! It judges no push.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode};

use super::answer::Answer;
use super::answer_body::AnswerBody;
use super::outage::OutageMode;
use super::push_route::{self, Due};
use super::socket::ResetSwitch;
use super::state::State;
use super::token::Issue;
use super::{admin, page, token_route};

/// The largest request that is read.
const REQUEST_BYTES: u64 = 1024 * 1024;
/// A pusher that waits longer for a silent answer is reset.
const SILENCE: Duration = Duration::from_secs(600);

/// The connection ends without an answer.
#[derive(Debug)]
pub(super) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

/// An endpoint of the platform.
#[derive(Clone, Copy)]
enum Endpoint {
    Push,
    Token(Issue),
}

/// Answers one request.
pub(super) async fn serve(
    state: &Arc<State>,
    switch: &ResetSwitch,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Dropped> {
    let endpoint = match request.uri().path() {
        "/api/apps/order/v2/push" => Endpoint::Push,
        "/api/apps/v2/token" => Endpoint::Token(Issue::Access),
        "/oauth/client_token/" => Endpoint::Token(Issue::Client),
        "/oauth/stable_client_token/" => Endpoint::Token(Issue::Stable),
        "/" => return page::serve(request.method()).into_response().ok_or(Dropped),
        path if path.starts_with("/_sandbox/") => return administer(state, request).await,
        _ => {
            let answer = Answer::explain(StatusCode::NOT_FOUND, "no such path; GET /_sandbox/ lists what there is");
            return answer.into_response().ok_or(Dropped);
        }
    };
    let outage = state.outage();
    if matches!(outage, Some(OutageMode::Refuse)) {
        switch.pull();
        return Err(Dropped);
    }
    let Due { answer, after, in_flight } = match read(request, endpoint).await {
        Ok(body) => take(state, endpoint, &body, outage).unwrap_or_else(|| {
            state.count_unattributed("HTTP 400".to_owned());
            at_once(Answer::html(StatusCode::BAD_REQUEST, Bytes::new()))
        }),
        Err(Unreadable::Gone) => return Err(Dropped),
        Err(Unreadable::Refused(status, why)) => {
            state.count_unattributed(format!("HTTP {}", status.as_u16()));
            at_once(Answer::explain(status, why))
        }
    };
    if !after.is_zero() {
        wait(after).await;
    }
    if matches!(answer, Answer::Silent) {
        wait(SILENCE).await;
    }
    if let Some(in_flight) = in_flight {
        in_flight.answered();
    }
    let mut response = answer.into_response().ok_or_else(|| {
        switch.pull();
        Dropped
    })?;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    Ok(response)
}

/// Lets the pusher wait.
#[expect(clippy::disallowed_methods, reason = "it ends with its connection, which ends with the sandbox")]
async fn wait(duration: Duration) {
    tokio::time::sleep(duration).await;
}

const fn at_once(answer: Answer) -> Due {
    Due { answer, after: Duration::ZERO, in_flight: None }
}

fn take(state: &Arc<State>, endpoint: Endpoint, body: &[u8], outage: Option<OutageMode>) -> Option<Due> {
    let body = std::str::from_utf8(body).ok()?;
    match endpoint {
        Endpoint::Push => push_route::take(state, body, outage),
        Endpoint::Token(issue) => token_route::take(state, issue, body, outage),
    }
}

/// Why a request's body is not read.
enum Unreadable {
    /// The pusher went away in the middle.
    Gone,
    /// HTTP itself is not as documented.
    Refused(StatusCode, &'static str),
}

/// The checks of HTTP: method, content type, a stated length.
async fn read(request: Request<Incoming>, endpoint: Endpoint) -> Result<Bytes, Unreadable> {
    let headers = request.headers();
    if request.method() != Method::POST {
        return Err(Unreadable::Refused(StatusCode::METHOD_NOT_ALLOWED, "POST only"));
    }
    if !is_json(headers) {
        return Err(Unreadable::Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"));
    }
    let chunked = headers.contains_key(TRANSFER_ENCODING) || !headers.contains_key(CONTENT_LENGTH);
    if chunked && matches!(endpoint, Endpoint::Push) {
        return Err(Unreadable::Refused(StatusCode::LENGTH_REQUIRED, "a push needs Content-Length, not chunks"));
    }
    whole(request.into_body()).await
}

/// Reads a body up to its bound; one that came in one piece is not copied.
async fn whole(body: Incoming) -> Result<Bytes, Unreadable> {
    let too_large = || Unreadable::Refused(StatusCode::PAYLOAD_TOO_LARGE, "a request has at most 1 MiB");
    if body.size_hint().lower() > REQUEST_BYTES {
        return Err(too_large());
    }
    let bound = usize::try_from(REQUEST_BYTES).unwrap_or(usize::MAX);
    match http_body_util::Limited::new(body, bound).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Unreadable::Gone),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else { return false };
    let mut parts = text.split(';').map(str::trim);
    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| parameter.is_empty() || parameter.eq_ignore_ascii_case("charset=utf-8"))
}

async fn administer(state: &Arc<State>, request: Request<Incoming>) -> Result<Response<AnswerBody>, Dropped> {
    let (head, body) = request.into_parts();
    let body = match whole(body).await {
        Ok(body) => body,
        Err(Unreadable::Gone) => return Err(Dropped),
        Err(Unreadable::Refused(status, why)) => {
            return Answer::explain(status, why).into_response().ok_or(Dropped);
        }
    };
    // A page of another site can send simple requests to loopback, but none with this content type.
    let answer = if head.method == Method::GET || head.method == Method::DELETE || is_json(&head.headers) {
        state.watched(|| admin::serve(state, &head.method, &head.uri, &body))
    } else {
        Answer::explain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
    };
    answer.into_response().ok_or(Dropped)
}
