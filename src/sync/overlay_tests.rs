use proptest::prelude::*;

use super::*;
use crate::order::{AppId, Digest, EventTime, OrderType, Status, UpdateTime};

fn identity(order: u8) -> Identity {
    Identity::new(AppId::new(["tt1", "tt2", "tt3"][usize::from(order % 3)]), format!("O{order}"))
}

fn state(stamp: i64) -> Arc<OrderState> {
    Arc::new(OrderState {
        order_type: OrderType::Normal,
        status: Status::Paid,
        document: "{}".into(),
        applied_offset: stamp,
        event_ids: Vec::new(),
        sequence: None,
        occurred_at: EventTime::MIN,
        update_time: UpdateTime(stamp),
        digest: Digest([0; 32]),
        dead_letter: None,
    })
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Fold(u8),
    Settle(u8),
    Cut,
    Committed,
    Aborted,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..6).prop_map(Step::Fold),
        1 => (0u8..6).prop_map(Step::Settle),
        2 => Just(Step::Cut),
        2 => Just(Step::Committed),
        1 => Just(Step::Aborted),
    ];
    proptest::collection::vec(step, 0..60)
}

/// A store that takes whole layers, and what folding without any store would hold.
#[derive(Default)]
struct Model {
    stored: HashMap<Identity, i64>,
    owed: usize,
    settled: usize,
    next: i64,
    truth: HashMap<Identity, i64>,
    truth_owed: usize,
    truth_settled: usize,
}

impl Model {
    fn take(&mut self, layer: &Layer) {
        for (identity, state) in layer.states() {
            self.stored.insert(identity.clone(), state.update_time.0);
        }
        self.owed += layer.owed().len();
        self.settled += layer.settled().len();
        self.next = layer.next().map_or(self.next, NextOffset::get);
    }

    /// A cut is whole: what the store holds is what folding up to its position gives.
    fn check(&self, log: &[(Identity, i64)]) {
        let folded: HashMap<Identity, i64> = log.iter().take(usize::try_from(self.next).unwrap()).cloned().collect();
        assert_eq!(self.stored, folded);
        assert_eq!(self.owed, usize::try_from(self.next).unwrap());
    }
}

fn key(order: u8, stamp: i64) -> OwedKey {
    OwedKey { identity: identity(order), stamp: UpdateTime(stamp) }
}

fn owed() -> Owed {
    Owed { request: bytes::Bytes::from_static(b"{}"), offset: 0, timestamp_ms: None }
}

proptest! {
    #[test]
    fn a_cut_holds_states_debts_and_position_of_the_same_records(steps in steps()) {
        let (mut overlay, mut model, mut log) = (Overlay::default(), Model::default(), Vec::new());
        for step in steps {
            match step {
                Step::Fold(order) => {
                    let stamp = i64::try_from(log.len()).unwrap() + 1;
                    log.push((identity(order), stamp));
                    overlay.put_state(identity(order), state(stamp));
                    overlay.owe(key(order, stamp), owed());
                    overlay.advance(NextOffset::new(stamp));
                    model.truth.insert(identity(order), stamp);
                    model.truth_owed += 1;
                }
                Step::Settle(order) => {
                    overlay.settle(key(order, 0), None);
                    model.truth_settled += 1;
                }
                Step::Cut => drop(overlay.cut()),
                Step::Committed => if let Some(layer) = overlay.committed() {
                    model.take(&layer);
                    model.check(&log);
                },
                Step::Aborted => overlay.aborted(),
            }
            // What folding sees is always the newest, whatever was cut, committed or aborted.
            for order in 0..6 {
                let seen = overlay.state(&identity(order)).map(|s| s.update_time.0)
                    .or_else(|| model.stored.get(&identity(order)).copied());
                prop_assert_eq!(seen, model.truth.get(&identity(order)).copied());
            }
            for layer in overlay.layers() {
                for app_id in [identity(0).app_id, identity(1).app_id, identity(2).app_id] {
                    let of_it = layer.owed().iter().filter(|(key, _)| key.identity.app_id == app_id);
                    prop_assert_eq!(layer.owed_of(&app_id), of_it.count());
                }
            }
        }
        overlay.aborted();
        if let Some(layer) = overlay.cut() { model.take(&layer); }
        overlay.committed();
        prop_assert_eq!(model.owed, model.truth_owed);
        prop_assert_eq!(model.settled, model.truth_settled);
        prop_assert_eq!(overlay.bytes(), 0);
        prop_assert!(!overlay.is_dirty());
    }
}

#[test]
fn one_cut_at_a_time() {
    let mut overlay = Overlay::default();
    assert!(overlay.cut().is_none(), "nothing to commit");
    overlay.advance(NextOffset::new(1));
    assert!(overlay.cut().is_some());
    overlay.advance(NextOffset::new(2));
    assert!(overlay.cut().is_none(), "the previous cut is under way");
    assert_eq!(overlay.committed().and_then(|layer| layer.next()), Some(NextOffset::new(1)));
    assert_eq!(overlay.cut().and_then(|layer| layer.next()), Some(NextOffset::new(2)));
}
