//! Tokens from a company's own server, or from a file that another program keeps.

use std::time::Duration;

use order_sync::config::Secret;
use order_sync::order::AppId;
use order_sync::sync::ports::{Attempts as _, Input, TokenFrom, TokenGeneration};

use crate::http_harness::{APP, Harness, douyin};
use crate::http_server::{Reply, Seen, Server, accepted, answer, token};

fn served(seen: &Seen) -> Reply {
    match seen.line.as_str() {
        "POST /tokens/tt0001/ HTTP/1.1" => {
            Reply::Keep(answer("200 OK", "", r#"{"access_token":"served-0801","expires_in":600}"#))
        }
        "POST /platform HTTP/1.1" => {
            let body = r#"{"err_no":0,"data":{"access_token":"passed-on-0801","expires_in":60}}"#;
            Reply::Keep(answer("200 OK", "", body))
        }
        "POST /refusing HTTP/1.1" => Reply::Keep(answer("403 Forbidden", "", "{}")),
        _ => accepted(),
    }
}

fn pushed_with(server: &Server) -> String {
    let push: serde_json::Value = serde_json::from_slice(&server.pushes().pop().unwrap().body).unwrap();
    push["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_server_is_asked_instead_of_the_platform() {
    let check = |path: &str, expect: Result<(u64, &str), &str>| {
        let server = Server::start(served);
        let mut settings = douyin(&server.url());
        settings.token_url = Some(format!("{}{path}", server.url()));
        let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
        match (harness.fetch(), expect) {
            (Ok((_, lifetime)), Ok((seconds, token))) => {
                assert_eq!(lifetime, Duration::from_secs(seconds));
                harness.answered();
                assert_eq!(pushed_with(&server), token);
                let asked: serde_json::Value = serde_json::from_slice(&server.seen()[0].body).unwrap();
                assert_eq!(asked["appid"], "tt0001");
            }
            (Err(refusal), Err(part)) => assert!(refusal.contains(part), "{refusal}"),
            (seen, expect) => panic!("{seen:?}, not {expect:?}"),
        }
    };
    check("/tokens/{app_id}/", Ok((600, "served-0801")));
    check("/platform", Ok((60, "passed-on-0801")));
    check("/refusing", Err("verdict: Retry"));
}

/// What is asked for tells whether it is another token; of the platform's, each is.
#[test]
fn who_gives_a_token_is_told_and_whether_it_is_another_one() {
    let check = |path: Option<&str>, expect: [TokenFrom; 2]| {
        let server = Server::start(|seen| if seen.is_token() { token("0801") } else { served(seen) });
        let mut settings = douyin(&server.url());
        settings.token_url = path.map(|path| format!("{}{path}", server.url()));
        let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
        for expect in expect {
            harness.edge.fetch_token(&AppId::new(APP), TokenGeneration(0));
            let Input::TokenFetched { from, .. } = harness.input() else { panic!("no token") };
            assert_eq!(from, expect);
        }
    };
    check(Some("/platform"), [true, false].map(|is_other| TokenFrom::Company { is_other }));
    check(None, [TokenFrom::Platform; 2]);
}

#[test]
fn a_token_file_is_read_again_when_it_changes() {
    let server = Server::start(served);
    let dir = tempfile::tempdir().unwrap();
    let mut settings = douyin(&server.url());
    settings.token_file = Some(dir.path().join("{app_id}.token").display().to_string());
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    let refusal = harness.fetch().unwrap_err();
    assert!(refusal.contains("verdict: Retry") && refusal.contains("cannot read token_file"), "{refusal}");
    let file = dir.path().join("tt0001.token");
    std::fs::write(&file, "first-0801\n").unwrap();
    assert_eq!(harness.fetch().unwrap().0, TokenGeneration(1));
    harness.answered();
    assert_eq!(pushed_with(&server), "first-0801");
    std::fs::write(&file, r#"{"access_token":"second-0801"}"#).unwrap();
    let Input::TokenFetched { token, from, .. } = harness.input() else { panic!("nobody asked, and it is told") };
    assert_eq!((token, from), (TokenGeneration(2), TokenFrom::Company { is_other: true }));
    harness.answered();
    assert_eq!(pushed_with(&server), "second-0801");
    // Gone, or half written: the last token stays in use.
    std::fs::remove_file(&file).unwrap();
    assert!(harness.fetch().is_err());
    harness.answered();
    assert_eq!(pushed_with(&server), "second-0801");
    assert!(server.seen().iter().all(|seen| !seen.is_token()), "the platform is not asked");
}
