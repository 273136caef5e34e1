//! How an owed delivery was accepted: what the changelog keeps of it for people, in the headers of its tombstone.
//!
//! A reader that does not know them leaves them alone: the tombstone says all that a restore needs. One without them settles
//! a delivery that became a dead letter, whose letter says more, or was written by a release that noted nothing.

use crate::douyin::log_id;
use crate::douyin::verdict::Break;

/// How many attempts there were since the worker took the delivery up, the accepted one included.
const ATTEMPTS: &str = "attempts";
/// What the last one before that came to.
const LAST_ERROR: &str = "last_error";
/// The platform's name for its answer.
const LOG_ID: &str = "log_id";

/// What became of the last attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastError {
    /// The platform's code.
    Code(i64),
    /// An HTTP status, where there was no code.
    Status(u16),
    /// There was no whole answer.
    Broken(Break),
}

impl LastError {
    /// In short, and never longer than 25 bytes.
    pub fn text(self) -> String {
        match self {
            Self::Code(code) => format!("code {code}"),
            Self::Status(status) => format!("status {status}"),
            Self::Broken(broken) => broken.as_str().to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some(("code", code)) => code.parse().ok().map(Self::Code),
            Some(("status", status)) => status.parse().ok().map(Self::Status),
            Some(_) => None,
            None => Break::from_word(text).map(Self::Broken),
        }
    }
}

/// How a delivery was accepted. At most 150 bytes in its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Attempts since the worker took the delivery up, the accepted one included.
    pub attempts: u32,
    /// What the last one before it came to, where there was one.
    pub last_error: Option<LastError>,
    /// The platform's name for its answer, where it gave one.
    pub log_id: Option<Box<str>>,
}

impl Acceptance {
    /// What it takes beside itself.
    pub fn heap_bytes(&self) -> usize {
        self.log_id.as_ref().map_or(0, |id| id.len())
    }

    /// Visits its headers.
    pub fn write(&self, put: &mut dyn FnMut(&'static str, &[u8])) {
        put(ATTEMPTS, itoa::Buffer::new().format(self.attempts).as_bytes());
        if let Some(error) = self.last_error {
            put(LAST_ERROR, error.text().as_bytes());
        }
        if let Some(id) = &self.log_id {
            put(LOG_ID, id.as_bytes());
        }
    }

    /// Takes one header that was read; `None` as long as the number of attempts has not come. What this release does not
    /// know is left alone.
    pub fn take(read: &mut Option<Self>, name: &str, value: Option<&[u8]>) {
        let Some(value) = value.and_then(|value| std::str::from_utf8(value).ok()) else { return };
        match (name, read) {
            (ATTEMPTS, read @ None) => {
                *read = value.parse().ok().map(|attempts| Self { attempts, last_error: None, log_id: None });
            }
            (LAST_ERROR, Some(read)) => read.last_error = LastError::parse(value),
            (LOG_ID, Some(read)) if log_id::is_one(value) => read.log_id = Some(value.into()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(acceptance: &Acceptance) -> (usize, Option<Acceptance>) {
        let (mut read, mut bytes) = (None, 0);
        acceptance.write(&mut |name, value| {
            bytes += name.len() + value.len();
            Acceptance::take(&mut read, name, Some(value));
        });
        (bytes, read)
    }

    #[test]
    fn what_is_written_comes_back_and_is_small() {
        let errors = [LastError::Code(i64::MIN), LastError::Status(503)].into_iter();
        let errors = errors.chain(Break::ALL.map(LastError::Broken)).map(Some).chain([None]);
        for last_error in errors {
            for log_id in [None, Some("x".repeat(log_id::BYTES_MAX).into())] {
                let acceptance = Acceptance { attempts: u32::MAX, last_error, log_id };
                let (bytes, read) = round_trip(&acceptance);
                assert_eq!(read.as_ref(), Some(&acceptance));
                assert!(bytes <= 150, "{bytes}: {acceptance:?}");
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let read = |headers: &[(&str, &[u8])]| {
            let mut read = None;
            for (name, value) in headers {
                Acceptance::take(&mut read, name, Some(value));
            }
            read
        };
        let plain = Acceptance { attempts: 2, last_error: None, log_id: None };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("attempts", b"many"), ("log_id", b"a")]), None);
        assert_eq!(read(&[("trace", b"1"), ("attempts", b"2"), ("new", b"\xff")]), Some(plain.clone()));
        assert_eq!(read(&[("attempts", b"2"), ("last_error", b"broken glass"), ("log_id", b"a b\x1b")]), Some(plain));
    }
}
