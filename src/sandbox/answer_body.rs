//! The body of an answer: whole, dribbling, or cut off.
//!
//! It knows bytes only.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// Pieces of a slow body.
const PIECES: usize = 8;
/// Lets the first half reach the wire before the connection ends.
const CUT_PAUSE: Duration = Duration::from_millis(5);

/// A body whose end may be late, or never come.
pub(super) struct AnswerBody {
    left: Bytes,
    promised: u64,
    piece: usize,
    pause: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    cut: bool,
}

impl AnswerBody {
    fn new(left: Bytes, piece: usize, pause: Duration) -> Self {
        Self { promised: left.len() as u64, left, piece, pause, sleep: None, cut: false }
    }

    /// All at once.
    pub(super) fn whole(bytes: Bytes) -> Self {
        let piece = bytes.len();
        Self::new(bytes, piece, Duration::ZERO)
    }

    /// In a few pieces over this time.
    pub(super) fn slow(bytes: Bytes, over: Duration) -> Self {
        let piece = bytes.len().div_ceil(PIECES).max(1);
        Self::new(bytes, piece, over / 8)
    }

    /// Promises twice as much as it sends, then fails.
    pub(super) fn cut(bytes: Bytes) -> Self {
        let piece = bytes.len().max(1);
        let promised = 2 * bytes.len() as u64 + 1;
        Self { promised, cut: true, ..Self::new(bytes, piece, CUT_PAUSE) }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        if self.left.is_empty() {
            let end = self.cut.then(|| Err(io::Error::from(io::ErrorKind::ConnectionAborted)));
            return Poll::Ready(end);
        }
        let piece = self.piece.min(self.left.len());
        let piece = self.left.split_to(piece);
        if !self.pause.is_zero() {
            self.sleep = Some(pause(self.pause));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        // Nothing was sent yet when it is asked for.
        SizeHint::with_exact(self.promised)
    }
}

#[expect(clippy::disallowed_methods, reason = "it ends with its connection, which ends with the sandbox")]
fn pause(duration: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(duration))
}
