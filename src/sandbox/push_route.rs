//! `POST /api/apps/order/v2/push`: from the request to the answer, and what the order centre keeps of it.
//!
//! The checks stand in `check`, the order's past in `order_record`, the faces of faults in `answer`.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::answer::{self, Answer};
use super::centre::OrderName;
use super::documented::NORMAL_TYPE;
use super::fault::{Fault, FaultKind};
use super::order_record::{Arrival, Ending, Fate};
use super::outage::OutageMode;
use super::push::{self, Push};
use super::refusal::Refusal;
use super::report::RecentRefusal;
use super::shard::AnsweredLater;
use super::state::State;
use super::token::Lookup;

/// An answer and when it is due.
pub(super) struct Due {
    pub(super) answer: Answer,
    pub(super) after: Duration,
    pub(super) in_flight: Option<InFlight>,
}

/// A push whose answer waits. Dropped before its end, its pusher has gone away.
pub(super) struct InFlight {
    state: Arc<State>,
    name: OrderName,
    number: u64,
    ending: Ending,
}

impl InFlight {
    /// The answer goes out now.
    pub(super) fn answered(mut self) {
        self.ending = Ending::Answered;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.centre.finish(&self.name, self.number, self.ending, self.state.clock.now_ms());
    }
}

/// A fault that was drawn for a push, with the name it is reported under.
struct Drawn {
    fault: Fault,
    name: Arc<str>,
}

/// An app by place and id.
type AppName = (usize, Arc<str>);

/// Takes a push; `None` is the bare HTTP 400 for what is no JSON object.
pub(super) fn take(state: &Arc<State>, body: &str, outage: Option<OutageMode>) -> Option<Due> {
    let push = push::read(body)?;
    let now_ms = state.clock.now_ms();
    let (app, checked) = identify(state, &push, now_ms);
    let outage = match outage {
        Some(OutageMode::Fault(fault)) => Some(Drawn { name: format!("outage:{fault}").into(), fault }),
        Some(OutageMode::Refuse) | None => None,
    };
    Some(match (app, &push.order_id) {
        (Some((app, app_id)), Some(order_id)) => {
            let name = OrderName { app, app_id, order_id: order_id.as_ref().into() };
            file(state, &name, body, &push, Judged { at_ms: now_ms, outcome: checked, outage })
        }
        (app, order_id) => {
            let app_id = app.as_ref().map_or("", |(_, id)| id);
            let judged = Judged { at_ms: now_ms, outcome: checked, outage };
            unattributed(state, app_id, order_id.as_deref().unwrap_or_default(), judged)
        }
    })
}

/// The judgement of a push but for its order's past.
struct Judged {
    at_ms: u64,
    outcome: Result<(), Refusal>,
    outage: Option<Drawn>,
}

/// Whose push it is, and the judgement of everything but the order's past. The token comes first, as on the platform.
fn identify(state: &State, push: &Push<'_>, now_ms: u64) -> (Option<AppName>, Result<(), Refusal>) {
    let tokens = state.tokens.read().unwrap_or_else(PoisonError::into_inner);
    let lookup = push.token.as_ref().map_or(Lookup::Unknown, |token| tokens.lookup(token, now_ms));
    match lookup {
        Lookup::Unknown => (None, Err(Refusal::UNKNOWN_TOKEN)),
        Lookup::Dead(app) => (Some((app, tokens.app_id(app))), Err(Refusal::DEAD_TOKEN)),
        Lookup::Live(app) => {
            let key_is_right = push.client_key.as_ref().is_none_or(|key| tokens.takes_client_key(app, key));
            let name = (app, tokens.app_id(app));
            drop(tokens);
            let checked = match &push.checked {
                Ok(_) if !key_is_right => Err(Refusal::parameter(&"client_key is not this app's")),
                Ok(remarks) => {
                    state.count_remarks(*remarks);
                    Ok(())
                }
                Err(refusal) => Err(refusal.clone()),
            };
            (Some(name), checked)
        }
    }
}

fn file(state: &Arc<State>, name: &OrderName, body: &str, push: &Push<'_>, judged: Judged) -> Due {
    let Judged { at_ms, outcome: checked, outage } = judged;
    let bare = push.without_token(body);
    let arrival = Arrival {
        at_ms,
        order_type: push.order_type,
        order_status: push.order_status,
        stamp: push.stamp,
        digest: push::digest(&bare),
        body: bare,
        checked,
    };
    let plan = state.faults();
    let (mut drawn, mut after, mut nth) = (outage, Duration::ZERO, 0);
    let (receipt, number) = state.centre.receive(name, arrival, |n| {
        nth = n;
        if drawn.is_none() {
            let rule = plan.pick(state.chance, &name.app_id, &name.order_id, n);
            drawn = rule.map(|rule| Drawn { fault: rule.fault.clone(), name: rule.name().clone() });
        }
        drawn = drawn.take().filter(|drawn| touches(&drawn.fault.kind, push.order_type));
        after = plan.delay(state.chance, &name.order_id, n) + lateness(drawn.as_ref());
        let silent = drawn.as_ref().is_some_and(|drawn| drawn.fault.kind == FaultKind::Silent);
        let later = if after.is_zero() && !silent { AnsweredLater::No } else { AnsweredLater::Yes };
        (fate(drawn.as_ref()), later)
    });
    if let Err(refusal) = &receipt.judged {
        remember(state, at_ms, &name.app_id, &name.order_id, refusal);
    }
    let log_id = state.log_id(&name.app_id, &name.order_id, nth);
    let truth = truth(&receipt.judged, push.order_type, &name.order_id, log_id.as_deref());
    let answer = finish(state, drawn.as_ref(), truth, (&name.order_id, log_id.as_deref()), push);
    let in_flight =
        number.map(|number| InFlight { state: state.clone(), name: name.clone(), number, ending: Ending::PusherLeft });
    Due { answer, after, in_flight }
}

/// The inner result exists for POI orders only.
const fn touches(kind: &FaultKind, order_type: i64) -> bool {
    order_type != NORMAL_TYPE || !matches!(kind, FaultKind::Inner(_))
}

const fn lateness(drawn: Option<&Drawn>) -> Duration {
    match drawn {
        Some(Drawn { fault: Fault { kind: FaultKind::Late(late), .. }, .. }) => *late,
        _ => Duration::ZERO,
    }
}

fn fate(drawn: Option<&Drawn>) -> Fate {
    drawn.map_or(Fate { name: None, lets_through: true, http_status: Some(200), err_code: None }, |drawn| Fate {
        name: Some(drawn.name.clone()),
        lets_through: drawn.fault.lets_through(),
        http_status: answer::status_of(&drawn.fault.kind),
        err_code: answer::err_code_of(&drawn.fault.kind),
    })
}

fn truth(judged: &Result<(), Refusal>, order_type: i64, order_id: &str, log_id: Option<&str>) -> Bytes {
    match judged {
        Ok(()) if order_type == NORMAL_TYPE => answer::accepted(log_id),
        Ok(()) => answer::accepted_poi(order_id, 0, log_id),
        Err(refusal) => answer::refused(refusal, log_id),
    }
}

fn finish(
    state: &State,
    drawn: Option<&Drawn>,
    truth: Bytes,
    (order_id, log_id): (&str, Option<&str>),
    push: &Push<'_>,
) -> Answer {
    let Some(Drawn { fault, .. }) = drawn else { return Answer::json(truth) };
    if let (FaultKind::Evict, Some(token)) = (&fault.kind, &push.token) {
        let now_ms = state.clock.now_ms();
        state.tokens.write().unwrap_or_else(PoisonError::into_inner).evict(token, now_ms);
    }
    answer::of_fault(&fault.kind, &truth, order_id, log_id).unwrap_or_else(|| Answer::json(truth))
}

/// A push without a known app or a readable order id is refused, but cannot be filed.
fn unattributed(state: &State, app_id: &str, order_id: &str, judged: Judged) -> Due {
    let Judged { at_ms, outcome, outage } = judged;
    // A push that passed every check has an order id, and an app by its token.
    let refusal = outcome.err().unwrap_or(Refusal::of_code(-1));
    remember(state, at_ms, app_id, order_id, &refusal);
    let n = state.count_unattributed(format!("err_code {}", refusal.code));
    let plan = state.faults();
    let drawn = outage.or_else(|| {
        let rule = plan.pick(state.chance, app_id, order_id, n)?;
        Some(Drawn { fault: rule.fault.clone(), name: rule.name().clone() })
    });
    let after = plan.delay(state.chance, "", n) + lateness(drawn.as_ref());
    let log_id = state.log_id(app_id, order_id, n);
    let truth = answer::refused(&refusal, log_id.as_deref());
    let answer = match &drawn {
        Some(drawn) => {
            *state.tallies().faults.entry(drawn.name.clone()).or_default() += 1;
            answer::of_fault(&drawn.fault.kind, &truth, "", log_id.as_deref()).unwrap_or_else(|| Answer::json(truth))
        }
        None => Answer::json(truth),
    };
    Due { answer, after, in_flight: None }
}

fn remember(state: &State, at_ms: u64, app_id: &str, order_id: &str, refusal: &Refusal) {
    state.remember_refusal(RecentRefusal {
        at_ms,
        app_id: app_id.to_owned(),
        order_id: order_id.to_owned(),
        status: 200,
        err_code: Some(refusal.code),
        message: refusal.text.to_string(),
    });
}
