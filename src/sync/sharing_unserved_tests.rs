//! A fetch that fails, as those hear of it who wait for it.

use super::*;

/// Who waits for another's fetch hears when it has failed; who does not, and who is served, hears nothing.
#[test]
fn a_fetch_of_another_that_fails_is_told_to_those_who_wait() {
    let mut round = wanting();
    round.claim_read(at(1), None, None, s(0));
    assert_eq!(round.step(s(0)), Step::Wait(Some(s(15))));
    round.claim_read(at(2), Some(at(1)), None, s(1));
    assert_eq!(round.step(s(1)), Step::Unserved);
    assert_eq!(round.step(s(1)), Step::Wait(None), "said once");
    round.claim_read(at(3), Some(at(2)), None, s(3));
    round.want(s(4));
    assert_eq!(round.step(s(4)), Step::Wait(Some(s(18))), "what was before it asked is told no more");
    round.token_read(at(4), Some(at(2)));
    round.claim_read(at(5), Some(at(4)), None, s(5));
    assert_eq!(round.step(s(5)), Step::Wait(Some(s(20))), "the first claim after a token is a renewal");
}
