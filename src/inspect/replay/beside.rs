//! The fold beside the stores: the states of orders in memory, within a bound in bytes.
//!
//! Where the states of a partition are more than that, the half of the orders is let go and comes in a pass of its own: an
//! order's state depends on no other order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use crate::order::event::EventRules;
use crate::order::fold::{FoldAs, FoldRules, fold_as};
use crate::order::{
    AppId, Fault, Identity, MapInput, MapOrder, Mapped, OrderEvent, OrderState, OrderType, TimeUnit, Transition,
    UpdateTime,
};

/// How a replay judges: as the workers of these settings do.
pub struct ReplayRules<'m> {
    /// As they decode.
    pub events: EventRules,
    /// The units of the apps' stamps.
    pub units: BTreeMap<AppId, TimeUnit>,
    /// As they map.
    pub mapper: &'m dyn MapOrder,
    /// Other mappings, by which workers of other settings may have mapped: they tell what was sent then, and nothing else.
    pub others: Vec<&'m dyn MapOrder>,
}

/// Where the fold of a range begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// With the partition's first record: an order's first event that is seen is its first.
    AtFirst,
    /// Behind records that are not seen: of an order only its last event is known for certain. `document` of its state is
    /// what that event alone says.
    Between,
}

/// Which orders a pass is for: those whose hash ends with `value` in its last `bits` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    bits: u32,
    value: u64,
}

/// An order that was seen.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// What its events give; `None` where none of them could be folded.
    pub(super) state: Option<Box<OrderState>>,
    /// Events that the workers have set aside.
    pub(super) set_aside: u32,
    /// Whether nobody has dealt with one of those.
    pub(super) is_open: bool,
    /// Whether retention may have removed it between two of its events.
    pub(super) may_have_left: bool,
    /// Whether a command has folded an event of it that is not at hand.
    pub(super) is_commanded: bool,
}

/// How the fold learns whether a merged order can be sent.
pub(super) enum Validity<'m> {
    /// From the log: what could not be sent has a dead letter. Only the last state is mapped, when it is compared.
    AsLogged,
    /// By mapping after each event, where there is no log to ask.
    Mapped(&'m dyn MapOrder),
}

/// Orders that were seen.
pub(super) type Rows = HashMap<Identity, Row, FixedState>;

/// The orders of one pass.
pub(super) struct Beside<'m> {
    pub(super) rows: Rows,
    pub(super) begun: Begun,
    units: &'m BTreeMap<AppId, TimeUnit>,
    only: &'m BTreeSet<String>,
    validity: Validity<'m>,
    removed: &'m BTreeMap<AppId, UpdateTime>,
    share: Share,
    bytes: usize,
    bytes_max: usize,
    /// What has to come in passes of its own.
    pub(super) left: Vec<Share>,
}

impl Share {
    /// Every order.
    pub(super) const ALL: Self = Self { bits: 0, value: 0 };

    fn has(self, hash: u64) -> bool {
        hash & ((1 << self.bits) - 1) == self.value
    }
}

impl<'m> Beside<'m> {
    /// Nothing seen yet. With order numbers in `only` no others are looked at; `removed` are the stamps up to which
    /// retention has removed orders.
    pub(super) fn new(
        rules: &'m ReplayRules<'m>,
        only: &'m BTreeSet<String>,
        (begun, validity): (Begun, Validity<'m>),
        removed: &'m BTreeMap<AppId, UpdateTime>,
        (share, bytes_max): (Share, usize),
    ) -> Self {
        let (units, rows, left) = (&rules.units, HashMap::default(), Vec::new());
        Self { rows, begun, units, only, validity, removed, share, bytes: 0, bytes_max, left }
    }

    /// The row of an order, where this pass is for it.
    pub(super) fn row(&mut self, identity: Identity) -> Option<&mut Row> {
        let is_wanted = self.only.is_empty() || self.only.contains(&*identity.order_id);
        let is_mine = self.share == Share::ALL || self.share.has(self.rows.hasher().hash_one(&identity));
        if !(is_wanted && is_mine) {
            return None;
        }
        if !self.rows.contains_key(&identity) {
            self.bytes += 2 * size_of::<(Identity, Row)>() + identity.order_id.len();
        }
        Some(self.rows.entry(identity).or_default())
    }

    /// Folds an event into its order.
    pub(super) fn fold(&mut self, event: OrderEvent<'_>, offset: i64, way: FoldAs) -> Result<(), Fault> {
        let unit = self.units.get(&event.app_id).copied().unwrap_or(TimeUnit::Seconds);
        let removed = self.removed.get(&event.app_id).copied().unwrap_or(UpdateTime::ZERO);
        let begun = self.begun;
        let mapper: &dyn MapOrder = match self.validity {
            Validity::AsLogged => &Anything,
            Validity::Mapped(mapper) => mapper,
        };
        let identity = Identity::new(event.app_id.clone(), event.order_id.as_ref());
        let Some(row) = self.row(identity) else { return Ok(()) };
        let before = row.state.as_deref().map_or(0, bytes_of);
        row.may_have_left |=
            row.state.as_ref().is_some_and(|state| state.status.is_final() && state.update_time <= removed);
        let event = match begun {
            Begun::AtFirst => event,
            Begun::Between => {
                if let Some(state) = &mut row.state {
                    state.document = "{}".into();
                }
                // The type that earlier events have named is not known: none is as good as another, and none is compared.
                OrderEvent { order_type: row.state.is_none().then_some(OrderType::Normal), ..event }
            }
        };
        // What retention has removed has left letters behind where it mattered: they are taken as the log gives them.
        let rules = FoldRules { unit, removed_stamp: UpdateTime::ZERO };
        let state = row.state.as_deref();
        if let Transition::Advanced(advanced) | Transition::Unchanged(advanced) =
            fold_as(way, state, &event, offset, rules, mapper)?
        {
            let after = bytes_of(&advanced.state);
            row.state = Some(Box::new(advanced.state));
            self.bytes = self.bytes + after - before;
        }
        self.hold_bound();
        Ok(())
    }

    /// Lets the half of the orders go while there are too many.
    fn hold_bound(&mut self) {
        while self.bytes > self.bytes_max && self.rows.len() > 1 && self.share.bits < 63 {
            let Share { bits, value } = self.share;
            self.left.push(Share { bits: bits + 1, value: value | 1 << bits });
            self.share = Share { bits: bits + 1, value };
            let (share, hasher) = (self.share, FixedState::default());
            self.rows.retain(|identity, _| share.has(hasher.hash_one(identity)));
            let row = |(identity, row): (&Identity, &Row)| {
                2 * size_of::<(Identity, Row)>() + identity.order_id.len() + row.state.as_deref().map_or(0, bytes_of)
            };
            self.bytes = self.rows.iter().map(row).sum();
            self.rows.shrink_to_fit();
        }
    }
}

fn bytes_of(state: &OrderState) -> usize {
    size_of::<OrderState>()
        + 64
        + state.document.len()
        + state.event_ids.iter().map(|id| id.len() + size_of::<Box<str>>()).sum::<usize>()
}

/// Takes every order as one that can be sent.
struct Anything;

impl MapOrder for Anything {
    fn map(&self, _: &MapInput<'_>) -> Result<Mapped, Fault> {
        Ok(Mapped { draft: b"{}".to_vec(), ..Mapped::default() })
    }
}
