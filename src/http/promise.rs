//! The word that the engine waits for: exactly one input per attempt or fetch, whatever becomes of its task.

use std::sync::Arc;

use crate::sync::ports::{Inbox, Input};

/// Owes the engine one input. Dropped without it (a panic, or a runtime that ends), the fallback goes out instead, so
/// that no permit of the engine is lost.
pub(super) struct Promise {
    inbox: Arc<dyn Inbox>,
    fallback: Option<Input>,
}

impl Promise {
    pub(super) fn new(inbox: Arc<dyn Inbox>, fallback: Input) -> Self {
        Self { inbox, fallback: Some(fallback) }
    }

    /// Sends `input`, and owes nothing any more.
    pub(super) fn keep(mut self, input: Input) {
        self.fallback = Some(input);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(input) = self.fallback.take() {
            // Without an engine there is nobody left to tell.
            self.inbox.send(input).unwrap_or(());
        }
    }
}
