//! Reads partitions of a topic backwards: windows of offsets from their ends, the newest record first over all of them.
//!
//! Kafka reads forward only. A window is read forward and given out from its end; what is kept of its records is the
//! caller's, and lies in memory for so many records at a time, however long the topic is.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::record::NextOffset;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// The first window of a partition: little, so that the first rows come soon.
const WINDOW_MIN: i64 = 256;
/// What all windows that lie in memory together may hold, in records.
const KEPT_MAX: i64 = 32_768;
/// The longest window of one partition.
const WINDOW_MAX: i64 = 16_384;

/// What is kept of a record.
struct Kept<T> {
    timestamp_ms: i64,
    what: T,
}

/// One partition, from its end to its beginning.
struct Tail<T> {
    partition: i32,
    low: i64,
    /// Everything from here on has been read.
    read_from: i64,
    window: i64,
    /// The newest first.
    kept: VecDeque<Kept<T>>,
}

/// Records of a topic, the newest first.
pub struct Backward<T> {
    topic: String,
    tails: Vec<Tail<T>>,
    window_max: i64,
    read: u64,
    total: u64,
}

impl<T> Backward<T> {
    /// The records of these spans, each partition once.
    pub fn new(topic: &str, spans: &[Span]) -> Self {
        let tail = |span: &Span| Tail {
            partition: span.partition,
            low: span.from.get(),
            read_from: span.until.get().max(span.from.get()),
            window: WINDOW_MIN,
            kept: VecDeque::new(),
        };
        let partitions = i64::try_from(spans.len().max(1)).unwrap_or(i64::MAX);
        Self {
            topic: topic.to_owned(),
            tails: spans.iter().map(tail).collect(),
            window_max: (KEPT_MAX / 2 / partitions).clamp(16, WINDOW_MAX),
            read: 0,
            total: spans.iter().map(Span::offsets).sum(),
        }
    }

    /// How many offsets have been read, and how many there are.
    pub fn progress(&self) -> (u64, u64) {
        (self.read, self.total)
    }

    /// The partition and what was kept of the newest record that is left, by its timestamp; within a partition the order is
    /// that of the log. `keep` sees records as they are read, those of a window forward; `choose` sees what it kept
    /// backwards, and says whether it stays. Where windows have to be read first, it reads one of each partition and is to
    /// be asked again; `None` behind the oldest.
    pub fn step(
        &mut self,
        scan: &mut dyn LogScan,
        keep: &mut dyn FnMut(&dyn Seen) -> Option<T>,
        choose: &mut dyn FnMut(&T) -> bool,
    ) -> Result<ControlFlow<Option<(i32, T)>>, ScanError> {
        if self.tails.iter().any(|tail| tail.kept.is_empty() && tail.low < tail.read_from) {
            self.refill(scan, keep, choose)?;
            return Ok(ControlFlow::Continue(()));
        }
        let newest = self.tails.iter_mut().filter(|tail| !tail.kept.is_empty());
        let newest = newest.max_by_key(|tail| tail.kept.front().map(|kept| kept.timestamp_ms));
        Ok(ControlFlow::Break(newest.and_then(|tail| Some((tail.partition, tail.kept.pop_front()?.what)))))
    }

    /// Reads the next window of every partition that has little left, so that partitions which run dry at about the same
    /// time are read together.
    fn refill(
        &mut self,
        scan: &mut dyn LogScan,
        keep: &mut dyn FnMut(&dyn Seen) -> Option<T>,
        choose: &mut dyn FnMut(&T) -> bool,
    ) -> Result<(), ScanError> {
        let window_max = self.window_max;
        let little = |tail: &Tail<T>| {
            let kept = i64::try_from(tail.kept.len()).unwrap_or(i64::MAX);
            tail.low < tail.read_from && kept <= tail.window.min(window_max) / 2
        };
        let mut spans = Vec::new();
        let mut windows: Vec<(usize, Vec<Kept<T>>)> = Vec::new();
        for (at, tail) in self.tails.iter_mut().enumerate().filter(|(_, tail)| little(tail)) {
            let until = tail.read_from;
            tail.read_from = (until - tail.window.min(window_max)).max(tail.low);
            tail.window = (tail.window * 2).min(window_max);
            let (from, until) = (NextOffset::new(tail.read_from), NextOffset::new(until));
            spans.push(Span { partition: tail.partition, from, until });
            windows.push((at, Vec::new()));
        }
        scan.read(&self.topic, &spans, &mut |seen| {
            let place = spans.iter().position(|span| span.partition == seen.partition());
            if let Some((_, window)) = place.and_then(|place| windows.get_mut(place))
                && let Some(what) = keep(seen)
            {
                window.push(Kept { timestamp_ms: seen.timestamp_ms().unwrap_or_default(), what });
            }
            ControlFlow::Continue(())
        })?;
        for (at, window) in windows {
            let chosen = window.into_iter().rev().filter(|kept| choose(&kept.what));
            self.tails[at].kept.extend(chosen);
        }
        self.read += spans.iter().map(Span::offsets).sum::<u64>();
        Ok(())
    }
}
