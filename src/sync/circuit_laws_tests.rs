//! What holds of a circuit whatever happens.

use proptest::prelude::*;

use super::*;

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Accept),
        6 => (0u64..40).prop_map(Fail),
        4 => (0u64..40).prop_map(FailFirst),
        6 => (0u64..60).prop_map(Reject),
        1 => Just(Token),
        4 => (0u64..40_000).prop_map(Wait),
    ]
}

proptest! {
    #[test]
    fn permits_and_sets_stay_in_their_bounds(steps in prop::collection::vec(any_step(), 0..400), most in 1usize..600) {
        let mut rig = Rig::new();
        let mut letters = std::collections::HashSet::new();
        for step in steps {
            let was = rig.circuit.state();
            let free = rig.circuit.permits(rig.now, most, 0);
            prop_assert!(free.is_err() || (1..=most).contains(&free.unwrap()));
            prop_assert!(!rig.circuit.state().is_waiting() || free.is_err() || free == Ok(1));
            if let Reject(order) = step {
                if rig.reject(order, 40003, &[]) == Fate::DeadLetter {
                    letters.insert(order);
                }
                prop_assert!(letters.len() < 20, "dead letters of {} orders in a row", letters.len());
            } else {
                rig.step(step);
            }
            if matches!(step, Accept) && rig.circuit.rejections.len() == 0 {
                letters.clear();
            }
            let is = rig.circuit.state();
            prop_assert!(was != HalfOpen || is != Open || matches!(step, Fail(_) | FailFirst(_)));
            prop_assert!(rig.circuit.outage.len() <= 5 && rig.circuit.rejections.len() <= 20);
        }
    }

    /// Each order is tried again after its backoff until it is accepted; every attempt fails by chance, one in five.
    #[test]
    fn chance_never_opens_a_circuit(seed in any::<u64>(), gap_ms in 1u64..20_000, burst in 1u64..40) {
        let mut rig = Rig::new();
        let (mut rng, backoff) = (fastrand::Rng::with_seed(seed), RetryPolicy::new(200 * MS, 60 * S));
        let mut waiting = std::collections::BTreeSet::new();
        for n in 0..600 {
            let at = rig.now + u32::try_from(gap_ms).unwrap() * u32::try_from(n / burst).unwrap() * MS;
            waiting.insert((at, n, 0));
        }
        while let Some((at, order, failures)) = waiting.pop_first() {
            rig.now = rig.now.max(at);
            if rng.u8(..5) == 0 {
                rig.step(Fail(order));
                waiting.insert((rig.now + backoff.delay(failures + 1, None, &mut rng), order, failures + 1));
            } else {
                rig.step(Accept);
            }
            prop_assert_eq!(rig.state(), Closed);
        }
    }

    /// However long it lasted: a second for each doubling, and the app runs as before.
    #[test]
    fn an_outage_ends_in_a_ramp(seed in any::<u64>(), probes in 0u64..500, most in 1usize..5_000) {
        let mut rig = Rig::opened();
        rig.rng = fastrand::Rng::with_seed(seed);
        for probe in 0..probes {
            prop_assert!(rig.wait_for_probe() <= 10 * S);
            rig.step(Fail(probe));
        }
        rig.wait_for_probe();
        let (since, mut permits) = (rig.now, 1);
        rig.step(Accept);
        while rig.circuit.state() != Closed {
            let now = rig.circuit.permits(rig.now, most, permits).unwrap();
            prop_assert!(now <= permits * 2, "{permits} to {now}");
            permits = now;
            rig.step(Accept);
            rig.now += 100 * MS;
        }
        let doublings = usize::BITS - most.leading_zeros();
        prop_assert!(rig.now.saturating_sub(since) <= (doublings + 1) * S);
    }
}

/// What was under way when the app was suspended comes in half a minute later, in whatever order: the minute stays.
#[test]
fn stragglers_of_a_suspension_move_no_probe_and_its_probe_counts_whatever_they_say() {
    let refused = Cause::Refused { rule: "app_name_wrong".into(), err_code: Some(40016) };
    let mut rig = Rig::new();
    let straggler = rig.now;
    rig.circuit.suspend(refused.clone(), rig.now);
    rig.now += 30 * S;
    rig.fail(1, Tried::Again, straggler, None);
    rig.circuit.told_nothing(straggler, rig.now);
    assert_eq!(rig.wait_for_probe(), 30 * S);
    let probe = rig.now;
    rig.now += S;
    rig.circuit.suspend(refused, rig.now);
    rig.circuit.accepted(probe, rig.now);
    assert_eq!(rig.state(), HalfOpen, "the probe was started after the app was suspended first");
}

#[test]
fn a_circuit_that_was_closed_begins_with_the_first_wait_again() {
    let mut rig = Rig::opened();
    for probe in 0..8 {
        rig.wait_for_probe();
        rig.step(Fail(probe));
    }
    rig.wait_for_probe();
    while rig.state() != Closed {
        rig.step(Accept);
        rig.now += S;
    }
    rig.now += 30 * S;
    (0..20).for_each(|attempt| rig.step(Fail(attempt % 5)));
    assert_eq!(rig.state(), Open);
    assert!(rig.wait_for_probe() <= 1500 * MS);
}
