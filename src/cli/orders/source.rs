//! The events of one order in its source partition: around those that are known, within bounds.

use std::ops::ControlFlow;

use crate::cli::reading::{Reading, kafka};
use crate::inspect::OrderLog;
use crate::order::{Identity, Json, time};
use crate::record::{NextOffset, Record, TopicPartition};
use crate::sync::scan::{LogScan as _, Span};

/// So many offsets are read on either side of the order's last applied event.
const AROUND: i64 = 150_000;
/// An event may be written so long before the order was created, by the clocks of two machines.
const EARLIER_MS: i64 = 3_600_000;
/// Events of one order that are kept, in number and in bytes.
const EVENTS_MAX: usize = 10_000;
const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How far the source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Not at all.
    Nothing,
    /// Around the last applied event.
    Near,
    /// From the order's creation to the end.
    All,
}

/// Events of an order, and where they were looked for.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) records: Vec<Record>,
    /// What was read of the partition.
    pub(super) within: Option<Span>,
    /// Whether there is more from the order's creation on that was not read.
    pub(super) is_cut: bool,
}

/// Reads the events of an order. Where producers key by order id, others' records cost no more than a look at their key.
pub(super) fn events(
    reading: &mut Reading,
    place: &TopicPartition,
    identity: &Identity,
    log: &OrderLog,
    reach: Reach,
    since_ms: Option<i64>,
) -> anyhow::Result<Events> {
    if reach == Reach::Nothing {
        return Ok(Events::default());
    }
    let Some(spans) = reading.extents(&place.topic, Some(place.partition))? else { return Ok(Events::default()) };
    let mut spans: Vec<Span> = spans;
    if let Some(since_ms) = since_ms.or_else(|| created_ms(log).map(|at| at - EARLIER_MS)) {
        reading.begin_at(&place.topic, &mut spans, since_ms)?;
    }
    let Some(whole) = spans.first().copied() else { return Ok(Events::default()) };
    let within = if reach == Reach::All { whole } else { near(whole, log) };
    let bar = reading.bar.clone();
    bar.set_message(place.to_string());
    let (mut records, mut bytes, mut is_full) = (Vec::new(), 0, false);
    let order_id = identity.order_id.as_bytes();
    let read = reading.scan.read(&place.topic, &[within], &mut |seen| {
        if seen.offset().get() % 4096 == 0 {
            let read = seen.offset().get() - within.from.get();
            Reading::progress(&bar, (u64::try_from(read).unwrap_or(0), within.offsets()));
        }
        // A record without a key is nobody's: it was set aside. One under another key is the order's where its event says so,
        // and is told; only what names the order is taken apart.
        let Some((key, value)) = seen.key().zip(seen.value()) else { return ControlFlow::Continue(()) };
        if key != order_id && memchr::memmem::find(value, order_id).is_none() {
            return ControlFlow::Continue(());
        }
        let record = seen.record();
        bytes += record.content_bytes();
        records.push(record);
        is_full = records.len() >= EVENTS_MAX || bytes >= EVENT_BYTES_MAX;
        if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    read.map_err(kafka)?;
    Ok(Events { records, within: Some(within), is_cut: is_full || within != whole })
}

fn near(whole: Span, log: &OrderLog) -> Span {
    let last = log.state.as_ref().map_or(whole.until.get(), |state| state.applied_offset);
    let from = NextOffset::new(last.saturating_sub(AROUND)).clamp(whole.from, whole.until);
    let until = NextOffset::new(last.saturating_add(AROUND)).clamp(from, whole.until);
    Span { from, until, ..whole }
}

/// When the order was created, by its document.
fn created_ms(log: &OrderLog) -> Option<i64> {
    let document = Json::parse(&log.state.as_ref()?.document).ok()?;
    time::from_json(document.get("created_at")?).map(|time| time.0)
}
