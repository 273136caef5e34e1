//! Copies of old tokens in the log, and what other releases have written there.

use super::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(offset: i64) -> RecordOffset {
    RecordOffset::new(offset)
}

/// A round that has read the first claims and tokens of a log, which lie at 1 to 4, and holds the second token.
fn holding() -> Round {
    let mut round = Round::new(s(5));
    round.caught_up();
    round.claim_read(at(1), None, None, s(0));
    assert!(round.token_read(at(2), Some(at(1))));
    round.claim_read(at(3), Some(at(2)), None, s(1));
    assert!(round.token_read(at(4), Some(at(3))));
    round
}

#[test]
fn a_copy_of_an_old_token_or_of_the_last_one_is_passed_over() {
    let mut round = holding();
    assert!(!round.token_read(at(5), Some(at(1))), "the first one again");
    assert!(!round.token_read(at(6), Some(at(3))), "the second one again");
    round.want(s(9));
    assert_eq!(round.step(s(9)), Step::Claim { number: 1, on: Some(at(4)) }, "nor is it what claims are made on");
    round.claim_read(at(7), Some(at(4)), Some(1), s(9));
    assert_eq!(round.step(s(9)), Step::Fetch);
    assert!(!round.token_read(at(8), Some(at(3))));
    assert_eq!(round.fetch_ended(s(10)), Standing::Current { claim: at(7) }, "nor does it make a fetch late");
    assert!(round.token_read(at(9), Some(at(7))));
}

/// Of two fetches that cross on their way to the log, that of the later claim counts, in whatever order they arrive.
#[test]
fn of_two_tokens_that_cross_the_one_with_the_later_claim_counts() {
    let mut round = holding();
    round.claim_read(at(5), Some(at(4)), None, s(2));
    round.claim_read(at(6), Some(at(5)), None, s(20));
    let mut other = Round { ..round };
    assert!(round.token_read(at(7), Some(at(5))) && round.token_read(at(8), Some(at(6))));
    assert!(other.token_read(at(7), Some(at(6))) && !other.token_read(at(8), Some(at(5))));
}

/// It starts when compaction has taken everything before the copy.
#[test]
fn who_starts_late_takes_a_copy_that_is_all_there_is_and_every_token_after_it() {
    let mut round = Round::new(s(5));
    assert!(round.token_read(at(900), Some(at(1))));
    round.caught_up();
    round.want(s(1));
    assert_eq!(round.step(s(1)), Step::Claim { number: 1, on: Some(at(900)) });
    round.claim_read(at(901), Some(at(900)), Some(1), s(1));
    assert!(round.token_read(at(902), Some(at(901))));
    // The others have the version before; what they fetch under it is as new.
    assert!(round.token_read(at(904), Some(at(903))));
    assert!(!round.token_read(at(905), Some(at(899))));
}

#[test]
fn a_topic_that_was_made_anew_begins_anew() {
    let mut round = holding();
    round.claim_read(at(0), Some(at(4)), None, s(60));
    assert!(round.token_read(at(1), Some(at(0))));
    assert!(!round.token_read(at(2), Some(at(700))), "a copy of what lay in the one before");
    round.claim_read(at(3), Some(at(1)), None, s(61));
    assert!(round.token_read(at(4), Some(at(3))), "it keeps no later one out");
}

/// A worker of a release that names no claim is believed when somebody was to fetch, and by who starts.
#[test]
fn a_token_that_names_no_claim_is_taken_where_one_is_waited_for() {
    let mut starting = Round::new(s(5));
    assert!(starting.token_read(at(2), None));
    let mut round = holding();
    assert!(!round.token_read(at(5), None), "nobody was to fetch");
    round.claim_read(at(6), Some(at(4)), None, s(2));
    assert!(round.token_read(at(7), None));
    assert!(!round.token_read(at(8), Some(at(6))), "it is older than that one");
    round.claim_read(at(9), Some(at(7)), None, s(3));
    assert!(round.token_read(at(10), Some(at(9))));
}
