//! What is logged while something is done, on this thread alone.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::Subscriber;

/// Where a subscriber of [`heard`] writes.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that a subscriber writes while `act` is at it.
pub fn heard<S: Subscriber + Send + Sync + 'static>(subscriber: impl FnOnce(Said) -> S, act: impl FnOnce()) -> String {
    let said = Said::default();
    let subscriber = subscriber(said.clone());
    // Where only one subscriber lives, a thread that has none switches an event off for all.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    tracing::subscriber::with_default(subscriber, act);
    let bytes = said.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}
