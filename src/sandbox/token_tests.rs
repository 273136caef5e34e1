//! The life of tokens, second by second.

use std::time::Duration;

use super::*;

const LIFE: u64 = 7_200_000;
const RETIRE: u64 = 300_000;

fn book(apps: &[&str]) -> TokenBook {
    let apps: Vec<AppCredentials> = apps.iter().map(|app| app.parse().unwrap()).collect();
    TokenBook::new(&apps, Duration::from_millis(LIFE), Duration::from_millis(RETIRE), Chance::new(1))
}

fn get(book: &mut TokenBook, issue: Issue, now_ms: u64) -> Arc<str> {
    book.issue(issue, "tt1", "s", now_ms).unwrap().token
}

#[test]
fn a_token_lives_its_time() {
    let mut book = book(&[]);
    let issued = book.issue(Issue::Access, "tt1", "s", 0).unwrap();
    assert_eq!(issued.expires_in_s, 7200);
    assert!(issued.token.starts_with("0801"));
    assert_eq!(book.lookup(&issued.token, LIFE - 1), Lookup::Live(0));
    assert_eq!(book.lookup(&issued.token, LIFE), Lookup::Dead(0));
    assert_eq!(book.lookup("0801", 0), Lookup::Unknown);
}

#[test]
fn a_fetch_cuts_the_previous_access_token_to_five_minutes() {
    let mut book = book(&[]);
    let first = get(&mut book, Issue::Access, 0);
    let second = get(&mut book, Issue::Access, 1_000);
    let third = get(&mut book, Issue::Access, 2_000);
    assert_ne!(first, second);
    assert_eq!(book.lookup(&first, 1_000 + RETIRE - 1), Lookup::Live(0));
    assert_eq!(book.lookup(&first, 1_000 + RETIRE), Lookup::Dead(0));
    assert_eq!(book.lookup(&second, 2_000 + RETIRE), Lookup::Dead(0));
    assert_eq!(book.lookup(&third, 2_000 + RETIRE), Lookup::Live(0));
    // A retirement never lengthens a life.
    let late = get(&mut book, Issue::Access, 2_000 + LIFE - 10);
    assert_eq!(book.lookup(&third, 2_000 + LIFE), Lookup::Dead(0));
    assert!(matches!(book.lookup(&late, 2_000 + LIFE), Lookup::Live(0)));
}

#[test]
fn only_the_two_newest_client_tokens_live() {
    let mut book = book(&[]);
    let first = get(&mut book, Issue::Client, 0);
    let access = get(&mut book, Issue::Access, 0);
    let second = get(&mut book, Issue::Client, 1);
    assert!(second.starts_with("clt."));
    assert_eq!(book.lookup(&first, 2), Lookup::Live(0));
    get(&mut book, Issue::Client, 2);
    assert_eq!(book.lookup(&first, 2), Lookup::Dead(0));
    assert_eq!(book.lookup(&second, 2), Lookup::Live(0));
    assert_eq!(book.lookup(&access, LIFE - 1), Lookup::Live(0));
}

#[test]
fn a_stable_token_stays_the_same_while_it_lives() {
    let mut book = book(&[]);
    let first = get(&mut book, Issue::Stable, 0);
    let again = book.issue(Issue::Stable, "tt1", "s", 1_500).unwrap();
    assert_eq!((&again.token, again.expires_in_s), (&first, 7199));
    assert_ne!(get(&mut book, Issue::Stable, LIFE), first);
}

#[test]
fn client_tokens_have_a_quota() {
    let mut book = book(&[]);
    for _ in 0..500 {
        get(&mut book, Issue::Client, 0);
    }
    assert_eq!(book.issue(Issue::Client, "tt1", "s", CALLS_WINDOW_MS - 1), Err(Denied::TooOften));
    assert!(book.issue(Issue::Client, "tt1", "s", CALLS_WINDOW_MS).is_ok());
}

#[test]
fn configured_apps_are_strict() {
    let mut book = book(&["tt1:s:ck", "tt2:t"]);
    assert_eq!(book.issue(Issue::Access, "tt3", "s", 0), Err(Denied::UnknownApp));
    assert_eq!(book.issue(Issue::Access, "tt1", "t", 0), Err(Denied::WrongSecret));
    let by_key = book.issue(Issue::Client, "ck", "s", 0).unwrap().token;
    assert_eq!(book.lookup(&by_key, 1), Lookup::Live(0));
    assert!(book.takes_client_key(0, "ck") && !book.takes_client_key(0, "other") && book.takes_client_key(1, "other"));
}

#[test]
fn evicts_by_app() {
    let mut book = book(&["tt1:s", "tt2:t"]);
    let one = book.issue(Issue::Access, "tt1", "s", 0).unwrap().token;
    let two = book.issue(Issue::Access, "tt2", "t", 0).unwrap().token;
    assert_eq!(book.evict_all(Some("tt1"), 5), 1);
    assert_eq!((book.lookup(&one, 5), book.lookup(&two, 5)), (Lookup::Dead(0), Lookup::Live(1)));
    assert_eq!(book.evict_all(Some("tt9"), 5), 0);
    assert_eq!(book.evict_all(None, 5), 1);
}
