//! What an order's state may be at a place in the log. As a rule there is one possibility; there are several where the log
//! no longer says what happened: whether an order had left by retention, or which settings were in force.

use std::collections::VecDeque;

use super::evidence::Brief;
use super::outcome::Kind;
use crate::order::{Identity, OrderState};

/// More possibilities than this are as good as none.
const WORLDS_MAX: usize = 64;
/// So many of an order's newest records are remembered.
const RECENT_MAX: usize = 16;

/// One possibility.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum World {
    /// The order is not known.
    New,
    /// It has this state.
    Known(Box<OrderState>),
    /// It has a state that events have made which are gone from the source.
    Unknown,
}

impl World {
    pub(super) fn known(state: OrderState) -> Self {
        // Whether a delivery is a dead letter is the platform's word, and no part of what is folded.
        Self::Known(Box::new(OrderState { dead_letter: None, ..state }))
    }

    pub(super) fn state(&self) -> Option<&OrderState> {
        match self {
            Self::Known(state) => Some(state),
            Self::New | Self::Unknown => None,
        }
    }
}

/// One order on its way through the log.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) identity: Identity,
    pub(super) worlds: Vec<World>,
    /// The newest records, and what each was counted as.
    pub(super) recent: VecDeque<(i64, Kind)>,
    /// Whether there were more.
    pub(super) is_cut: bool,
}

impl Track {
    pub(super) fn new(identity: Identity, worlds: Vec<World>) -> Self {
        Self { identity, worlds, recent: VecDeque::new(), is_cut: false }
    }

    /// Goes on with these possibilities, each once.
    pub(super) fn go_on(&mut self, worlds: impl IntoIterator<Item = World>) {
        let mut next: Vec<World> = Vec::with_capacity(1);
        for world in worlds {
            if next.len() >= WORLDS_MAX {
                next = vec![World::Unknown];
                break;
            }
            if !next.contains(&world) {
                next.push(world);
            }
        }
        self.worlds = next;
    }

    pub(super) fn note(&mut self, offset: i64, kind: Kind) {
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
            self.is_cut = true;
        }
        self.recent.push_back((offset, kind));
    }

    /// What the record was counted as.
    pub(super) fn counted(&self, offset: i64) -> Option<Kind> {
        self.recent.iter().find(|(at, _)| *at == offset).map(|(_, kind)| *kind)
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.worlds.contains(&World::Unknown)
    }

    /// Whether one of the possibilities is this state.
    pub(super) fn may_be(&self, state: &Brief) -> bool {
        self.worlds.iter().filter_map(World::state).any(|world| Brief::of(world) == *state)
    }

    /// Of what it may be, that which is the nearest to a state that it is not.
    pub(super) fn nearest(&self, found: &Brief) -> Option<Brief> {
        let all = || self.worlds.iter().filter_map(World::state).map(Brief::of);
        let by_stamp = all().find(|world| found.differs_by_stamp_alone(world));
        by_stamp.or_else(|| all().find(|world| world.applied_offset == found.applied_offset)).or_else(|| all().next())
    }

    /// The state that is the most likely one.
    pub(super) fn likely(&self) -> Option<&OrderState> {
        self.worlds.iter().find_map(World::state)
    }
}
