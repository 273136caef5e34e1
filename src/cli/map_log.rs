//! Folds lines as the worker folds records, in memory, and says what became of each.
//!
//! There is no Kafka here: no key is judged, nothing was removed by retention, and the line's number is its offset.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::value::RawValue;

use super::map_lines::LINE_BYTES_MAX;
use crate::app::memory_fold::{Folded, MemoryFold};
use crate::order::event::{EventRules, decode};
use crate::order::{AppId, DeadLetterReason, Fault, Identity, MapOrder, OrderEvent, TimeUnit, UpdateTime};

/// One line of the output.
#[derive(Serialize)]
pub(super) struct Mapped {
    /// `null` where it could not be read.
    pub(super) order_id: Option<String>,
    /// A word of order-events §9.
    pub(super) outcome: &'static str,
    /// For dead letters only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<DeadLetterReason>,
    /// For dead letters only: what the worker writes into the dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// The order's stamp after an event that was folded; `null` for all others.
    pub(super) update_time: Option<UpdateTime>,
    /// What would be sent, without `access_token`; `null` where nothing would be.
    pub(super) request: Option<Box<RawValue>>,
}

/// Which apps there are.
pub(super) enum Apps {
    /// Those of the settings.
    Configured(EventRules),
    /// Without settings: every event's own app is the only one.
    Any {
        /// See [`EventRules::max_clock_skew_ms`].
        max_clock_skew_ms: i64,
    },
}

impl Apps {
    fn decode<'a>(&self, line: &'a [u8], now_ms: i64) -> Result<OrderEvent<'a>, Fault> {
        match self {
            Self::Configured(rules) => decode(line, rules, now_ms),
            Self::Any { max_clock_skew_ms } => {
                let apps = vec![AppId::new(own_app(line))];
                decode(line, &EventRules { apps, max_clock_skew_ms: *max_clock_skew_ms }, now_ms)
            }
        }
    }
}

/// The app that an event names, whatever else may be wrong with it.
fn own_app(line: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Named {
        app_id: Option<String>,
    }
    serde_json::from_slice(line).ok().and_then(|named: Named| named.app_id).unwrap_or_default()
}

/// The orders seen so far, and the settings.
pub(super) struct Log<M> {
    apps: Apps,
    orders: MemoryFold<M>,
}

impl<M: MapOrder> Log<M> {
    /// Nothing folded yet. The unit of an app that `units` does not hold is seconds.
    pub(super) fn new(apps: Apps, units: BTreeMap<AppId, TimeUnit>, mapper: M) -> Self {
        Self { apps, orders: MemoryFold::new(units, mapper) }
    }

    /// Folds the event on line `number`. `now_ms` is the wall clock.
    pub(super) fn fold_line(&mut self, line: &[u8], number: i64, now_ms: i64) -> anyhow::Result<Mapped> {
        match self.apps.decode(line, now_ms) {
            Ok(event) => self.fold_event(&event, number),
            Err(fault) => Ok(dead_letter(fault)),
        }
    }

    fn fold_event(&mut self, event: &OrderEvent<'_>, number: i64) -> anyhow::Result<Mapped> {
        let identity = Identity::new(event.app_id.clone(), &*event.order_id);
        let said = |outcome| Mapped {
            order_id: Some(event.order_id.as_ref().to_owned()),
            outcome,
            reason: None,
            message: None,
            update_time: None,
            request: None,
        };
        match self.orders.fold(&identity, event, number) {
            Err(fault) => Ok(dead_letter(fault)),
            Ok(Folded::Duplicate) => Ok(said("duplicate")),
            Ok(Folded::Stale) => Ok(said("stale")),
            Ok(Folded::Unchanged { update_time }) => Ok(Mapped { update_time: Some(update_time), ..said("unchanged") }),
            Ok(Folded::Advanced { update_time, request }) => {
                let text = String::from_utf8(request).context("the mapped request is not text")?;
                let request = Some(RawValue::from_string(text).context("the mapped request is not JSON")?);
                Ok(Mapped { update_time: Some(update_time), request, ..said("advanced") })
            }
        }
    }
}

/// What is said of a line that is longer than a record may be.
pub(super) fn too_large(bytes: usize) -> Mapped {
    let message = format!("key, value and headers are {bytes} bytes; at most {LINE_BYTES_MAX}");
    dead_letter(Fault::new(DeadLetterReason::RecordTooLarge, message))
}

fn dead_letter(fault: Fault) -> Mapped {
    Mapped {
        order_id: fault.order_id,
        outcome: "dead_letter",
        reason: Some(fault.reason),
        message: Some(fault.message),
        update_time: None,
        request: None,
    }
}
