//! How faults are written: `code:-1`, `reset+applied`, `late:6s`.

use std::fmt;
use std::str::FromStr;

use super::duration_text::{parse_duration, show};
use super::fault::{Fault, FaultKind};

/// All forms, for messages and help.
pub(super) const FORMS: &str = "code:N[/text], inner:N, http:N, throttle:SECONDS, silent, reset, html, cut-json, \
     cut-body, huge, string-code, late:DURATION, slow:DURATION, evict; +applied takes the push first";

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, applied) = text.strip_suffix("+applied").map_or((text, false), |kind| (kind, true));
        let kind = kind.parse()?;
        if applied && matches!(kind, FaultKind::Late(_) | FaultKind::Slow(_)) {
            return Err(format!("{text:?}: late and slow delay the true answer and need no +applied"));
        }
        Ok(Self { kind, applied })
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no fault; there are {FORMS}");
        let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
        Ok(match (name, value) {
            ("code", Some(value)) => {
                let (code, message) = value.split_once('/').map_or((value, None), |(code, text)| (code, Some(text)));
                let code = code.parse().ok().filter(|code| *code != 0).ok_or_else(bad)?;
                Self::Code(code, message.map(str::to_owned))
            }
            ("inner", Some(value)) => Self::Inner(value.parse().map_err(|_| bad())?),
            ("http", Some(value)) => {
                Self::Http(value.parse().ok().filter(|status| (200..600).contains(status)).ok_or_else(bad)?)
            }
            ("throttle", Some(value)) => Self::Throttle(value.parse().map_err(|_| bad())?),
            ("late", Some(value)) => Self::Late(parse_duration(value)?),
            ("slow", Some(value)) => Self::Slow(parse_duration(value)?),
            ("silent", None) => Self::Silent,
            ("reset", None) => Self::Reset,
            ("html", None) => Self::Html,
            ("cut-json", None) => Self::CutJson,
            ("cut-body", None) => Self::CutBody,
            ("huge", None) => Self::Huge,
            ("string-code", None) => Self::StringCode,
            ("evict", None) => Self::Evict,
            _ => return Err(bad()),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::Code(code, None) => write!(f, "code:{code}")?,
            FaultKind::Code(code, Some(text)) => write!(f, "code:{code}/{text}")?,
            FaultKind::Inner(code) => write!(f, "inner:{code}")?,
            FaultKind::Http(status) => write!(f, "http:{status}")?,
            FaultKind::Throttle(seconds) => write!(f, "throttle:{seconds}")?,
            FaultKind::Silent => f.write_str("silent")?,
            FaultKind::Reset => f.write_str("reset")?,
            FaultKind::Html => f.write_str("html")?,
            FaultKind::CutJson => f.write_str("cut-json")?,
            FaultKind::CutBody => f.write_str("cut-body")?,
            FaultKind::Huge => f.write_str("huge")?,
            FaultKind::StringCode => f.write_str("string-code")?,
            FaultKind::Late(delay) => write!(f, "late:{}", show(*delay))?,
            FaultKind::Slow(delay) => write!(f, "slow:{}", show(*delay))?,
            FaultKind::Evict => f.write_str("evict")?,
        }
        f.write_str(if self.applied { "+applied" } else { "" })
    }
}
