//! An app's standing changes: its circuit opens, closes, or the app is suspended. One log line each, and its lanes are
//! put where the new state wants them.

use std::time::Duration;

use super::circuit::{Cause, CircuitState, OpenedBy};
use super::engine::Engine;
use super::lane::LanePhase;
use crate::telemetry::event;

impl Engine {
    /// Follows every app's circuit; the end of a ramp comes with time alone.
    pub(super) fn tell_circuits(&mut self, now: Duration) {
        let share = self.share();
        for index in 0..self.desks.len() {
            let desk = &mut self.desks[index];
            if desk.owed == 0 && desk.in_flight == 0 {
                desk.circuit.nothing_to_probe_with(now);
            }
            desk.circuit.tick(now, share, desk.in_flight);
            self.look_for_token(index, now);
            self.tell_circuit(index, now);
        }
    }

    /// Follows an app's circuit where it has changed since it was last looked at.
    pub(super) fn tell_circuit(&mut self, index: usize, now: Duration) {
        let desk = &mut self.desks[index];
        let (was, is) = (desk.told, desk.circuit.state());
        if was == is {
            return;
        }
        desk.told = is;
        desk.patience.follow(is, now);
        // The probes are told at once.
        self.next_status = Duration::ZERO;
        let app_id = &desk.app_id;
        match (is, desk.circuit.cause()) {
            (CircuitState::Open, _) if desk.circuit.opened_by() == Some(OpenedBy::Fetches) => {
                let why = desk.token.missing(now).map(|(why, _)| why).unwrap_or_default();
                event::TokenAway { app_id, owed: desk.owed, why: &why }.emit(&self.meters);
            }
            (CircuitState::Open, _) => event::CircuitOpened { app_id, owed: desk.owed }.emit(&self.meters),
            (CircuitState::HalfOpen, _) => event::CircuitHalfOpened { app_id, owed: desk.owed }.emit(&self.meters),
            (CircuitState::Closed, _) | (CircuitState::Suspended, None) => {
                event::CircuitClosed { app_id }.emit(&self.meters);
            }
            (CircuitState::Suspended, Some(Cause::Rejections { orders, err_code })) => {
                event::RejectStorm { app_id, orders: *orders, err_code: *err_code }.emit(&self.meters);
            }
            (CircuitState::Suspended, Some(Cause::Refused { rule, err_code } | Cause::NoToken { rule, err_code })) => {
                event::AppSuspended { app_id, rule, err_code: *err_code }.emit(&self.meters);
            }
        }
        match (was.is_waiting(), is.is_waiting()) {
            (false, true) => self.gather_waiting(index),
            (true, false) => self.desks[index].end_rotation(),
            (false, false) | (true, true) => {}
        }
        if is == CircuitState::Suspended {
            self.lanes.drop_requests_of(index);
        }
    }

    /// The waits of an app's lanes are over: they probe in turn now, and none of them may be passed over because its
    /// own wait is long.
    fn gather_waiting(&mut self, index: usize) {
        let (desk, lanes) = (&mut self.desks[index], &mut self.lanes);
        self.timers.retain(|timer| {
            let waiting = lanes.get_mut(timer.lane).filter(|lane| lane.phase == LanePhase::Backoff(timer.number));
            let Some(lane) = waiting.filter(|lane| lane.app == index) else { return true };
            lane.phase = LanePhase::Ready;
            desk.rotate(timer.lane);
            false
        });
    }
}
