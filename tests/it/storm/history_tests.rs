//! The checker of histories against made-up ones: what it must find, and what it must let pass.

use order_sync::sandbox::{Outcome, Received};
use serde_json::json;

use super::history::{Fate, Window, check};
use crate::reference::Push;

const STATES: i64 = 3;

/// State and millisecond of each push, in order; what is new is applied, and what is old is ignored.
fn run(history: &[(i64, i64)], kills: &[i64]) -> usize {
    let pushes: Vec<Push> = (0..STATES)
        .map(|at| Push { offset: at, stamp: at, request: json!({}), order_detail: json!({ "state": at }) })
        .collect();
    let mut newest = -1;
    let history: Vec<Received> = (0..)
        .zip(history)
        .map(|(number, (at, at_ms))| {
            let is_new = *at > newest;
            newest = newest.max(*at);
            let detail = json!({ "state": at }).to_string();
            Received {
                at_ms: u64::try_from(*at_ms).unwrap(),
                number,
                stamp: Some(*at),
                digest: [0; 32],
                outcome: if is_new { Outcome::Applied } else { Outcome::Ignored },
                err_code: 0,
                err_msg: None,
                http_status: Some(200),
                fault: None,
                repeat: !is_new,
                body: json!({ "access_token": "", "update_time": at, "order_detail": detail }).to_string().into(),
            }
        })
        .collect();
    let windows: Vec<Window> = kills.iter().map(|at| Window { from_ms: *at, until_ms: *at + 5 }).collect();
    check("order", &history, &pushes, Fate::Taken, &windows).late
}

fn is_found(history: &[(i64, i64)], kills: &[i64]) -> bool {
    std::panic::catch_unwind(|| run(history, kills)).is_err()
}

#[test]
fn a_storm_lets_an_owner_begin_with_what_was_not_committed_however_late_and_however_far_back() {
    assert_eq!(run(&[(0, 10), (1, 20), (2, 30)], &[]), 0);
    assert_eq!(run(&[(0, 10), (0, 15), (1, 20), (1, 21), (2, 30)], &[]), 0, "tries");
    assert_eq!(run(&[(0, 10), (1, 20), (2, 30), (0, 90_000), (1, 90_010), (2, 90_020)], &[40]), 2);
    assert_eq!(run(&[(0, 10), (1, 20), (0, 110), (1, 120), (0, 210), (1, 220), (2, 230)], &[100, 200]), 2);
}

#[test]
fn a_storm_finds_an_older_push_after_a_newer_one() {
    assert!(is_found(&[(0, 10), (1, 20), (0, 30), (1, 40), (2, 50)], &[]), "nobody was killed");
    assert!(is_found(&[(0, 10), (1, 20), (0, 30), (1, 40), (2, 50)], &[100]), "killed later");
    assert!(is_found(&[(0, 10), (1, 120), (0, 130), (1, 140), (2, 150)], &[100]), "killed before both");
    assert!(is_found(&[(0, 10), (1, 20), (0, 110), (1, 120), (0, 130), (2, 140)], &[100]), "one kill, back twice");
    assert!(is_found(&[(0, 10), (1, 20), (2, 30), (0, 110), (2, 120)], &[100]), "back, and not on in order");
    assert!(is_found(&[(0, 10), (2, 20), (1, 30)], &[15]), "the newer one first");
}
