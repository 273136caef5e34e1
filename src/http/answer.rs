//! One exchange: a JSON body out, a bounded answer back.
//!
//! It judges nothing and logs nothing; `douyin::verdict` reads the answer.

use std::time::SystemTime;

use memchr::memmem;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request, Response, Url};

use super::{breaks, retry_after};
use crate::douyin::verdict::{Answer, Break, Exchange};

/// The longest answer that is read; real ones have under 1 KiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What stands in an answer where a secret stood.
const REDACTED: &[u8] = b"[redacted]";

/// Anything shorter is no real token (they have 40 bytes and more), and taking it out could make an answer unreadable.
const SECRET_BYTES_MIN: usize = 8;

/// POSTs `body` as JSON, with `Content-Length` and no header of ours but the content type, and reads the answer.
/// The client's time-outs bound the whole of it.
pub(super) async fn exchange(client: &Client, url: Url, body: Vec<u8>) -> Exchange {
    let mut request = Request::new(Method::POST, url);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(body.into());
    let outcome = match client.execute(request).await {
        Ok(response) => read(response).await,
        Err(error) => Err(breaks::of(&error)),
    };
    outcome.map_or_else(Exchange::Broken, Exchange::Answered)
}

#[expect(clippy::disallowed_methods, reason = "an edge; only a Retry-After date without a Date is counted from it")]
pub(super) async fn read(mut response: Response) -> Result<Answer, Break> {
    let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > ANSWER_BYTES_MAX {
        return Err(Break::TooLarge);
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(|error| breaks::of(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Break::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let retry_after = retry_after::read(response.headers(), SystemTime::now());
    Ok(Answer { status: response.status().as_u16(), retry_after, body })
}

/// Takes `secret` out of an answer that echoes it: answers are kept in dead letters.
pub(super) fn redact(exchange: &mut Exchange, secret: &[u8]) {
    let Exchange::Answered(answer) = exchange else { return };
    let find = |body: &[u8]| memmem::find(body, secret);
    if secret.len() < SECRET_BYTES_MIN || find(&answer.body).is_none() {
        return;
    }
    let body = std::mem::take(&mut answer.body);
    let mut rest = body.as_slice();
    while let Some(at) = find(rest) {
        answer.body.extend_from_slice(&rest[..at]);
        answer.body.extend_from_slice(REDACTED);
        rest = &rest[at + secret.len()..];
    }
    answer.body.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, secret: &str, expect: &str) {
        let mut exchange = Exchange::Answered(Answer { status: 200, retry_after: None, body: body.into() });
        redact(&mut exchange, secret.as_bytes());
        let Exchange::Answered(answer) = exchange else { panic!("still an answer") };
        assert_eq!(String::from_utf8(answer.body).unwrap(), expect);
    }

    #[test]
    fn an_echoed_secret_is_taken_out() {
        check("you sent 0801abcd, and 0801abcd", "0801abcd", "you sent [redacted], and [redacted]");
        check("0801abc", "0801abcd", "0801abc");
        check("", "0801abcd", "");
        check("body", "", "body");
        check(r#"{"err_code":0}"#, "code", r#"{"err_code":0}"#);
    }
}
