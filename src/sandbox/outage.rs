//! Outage windows: a time in which every call of the platform fails in one way.
//!
//! The sandbox's own endpoints under `/_sandbox/` go on, except that a refused connection is refused to everybody.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::clock::millis;
use super::duration_text::{parse_duration, show};
use super::fault::Fault;

/// A window, written `MODE[ after DURATION][ for DURATION]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// How calls fail.
    pub mode: OutageMode,
    /// When it begins, from the moment it is set.
    pub after: Duration,
    /// How long it lasts; none is until it is switched off.
    pub lasts: Option<Duration>,
}

/// How calls fail in an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutageMode {
    /// `refuse`: nothing listens; open connections are reset.
    Refuse,
    /// Any fault: `http:503`, `code:-1`, `silent`, `reset`…
    Fault(Fault),
}

/// An outage on the sandbox's clock.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) mode: OutageMode,
    from_ms: u64,
    until_ms: Option<u64>,
}

impl Outage {
    /// An outage that begins now and lasts until it is switched off.
    pub const fn now(mode: OutageMode) -> Self {
        Self { mode, after: Duration::ZERO, lasts: None }
    }

    pub(super) fn at(&self, now_ms: u64) -> Window {
        let from_ms = now_ms + millis(self.after);
        Window { mode: self.mode.clone(), from_ms, until_ms: self.lasts.map(|lasts| from_ms + millis(lasts)) }
    }
}

impl Window {
    pub(super) fn holds(&self, now_ms: u64) -> bool {
        self.from_ms <= now_ms && self.until_ms.is_none_or(|until| now_ms < until)
    }

    /// What is left of it, for people.
    pub(super) fn describe(&self, now_ms: u64) -> String {
        Outage {
            mode: self.mode.clone(),
            after: Duration::from_millis(self.from_ms.saturating_sub(now_ms)),
            lasts: self.until_ms.map(|until| Duration::from_millis(until.saturating_sub(now_ms.max(self.from_ms)))),
        }
        .to_string()
    }
}

impl FromStr for Outage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let mode = match words.next() {
            Some("refuse") => OutageMode::Refuse,
            Some(fault) => OutageMode::Fault(fault.parse()?),
            None => return Err("an outage needs a mode: refuse, http:503, code:-1, silent, reset…".to_owned()),
        };
        let mut outage = Self::now(mode);
        while let Some(word) = words.next() {
            let duration = parse_duration(words.next().unwrap_or_default())?;
            match word {
                "after" => outage.after = duration,
                "for" => outage.lasts = Some(duration),
                _ => return Err(format!("{text:?}: write MODE after DURATION for DURATION")),
            }
        }
        Ok(outage)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mode {
            OutageMode::Refuse => f.write_str("refuse")?,
            OutageMode::Fault(fault) => write!(f, "{fault}")?,
        }
        if !self.after.is_zero() {
            write!(f, " after {}", show(self.after))?;
        }
        self.lasts.map_or(Ok(()), |lasts| write!(f, " for {}", show(lasts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        for text in ["refuse for 3s", "http:503 after 5s for 30s", "code:-1", "silent after 1m"] {
            assert_eq!(text.parse::<Outage>().unwrap().to_string(), text);
        }
        for text in ["", "refuse for", "refuse in 3s", "boom for 3s"] {
            assert!(text.parse::<Outage>().is_err(), "{text}");
        }
        let window = "reset after 5s for 30s".parse::<Outage>().unwrap().at(1_000);
        for (now, holds) in [(1_000, false), (5_999, false), (6_000, true), (35_999, true), (36_000, false)] {
            assert_eq!(window.holds(now), holds, "{now}");
        }
        assert!(Outage::now(OutageMode::Refuse).at(1).holds(u64::MAX));
    }
}
