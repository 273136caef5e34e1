//! Runs the engine on the thread that calls it: inputs in, turns taken, until it ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::engine::{Ended, Engine, Turn};
use super::ports::{Closed, Inbox, Input, PortError};
use super::rules::Now;

/// Inputs taken between two turns.
const INPUTS_MAX: usize = 256;
/// With this many attempts in flight answers come one upon the other: they are gathered for a moment and taken
/// together, as waking this thread and a runtime's for each would cost more than the work.
const GATHER_FROM: usize = 32;
/// That moment. It delays an answer's successor by so much, and is short beside any answer of the platform.
const GATHER: Duration = Duration::from_micros(200);

/// The sending end of the engine's queue.
#[derive(Clone, Debug)]
pub struct Queue(SyncSender<Input>);

impl Inbox for Queue {
    fn send(&self, input: Input) -> Result<(), Closed> {
        self.0.send(input).map_err(|_| Closed)
    }
}

/// A queue of at most `capacity` inputs. It must hold an answer of every attempt that may be in flight, so that no
/// answer ever waits.
pub fn queue(capacity: usize) -> (Arc<Queue>, Receiver<Input>) {
    let (sender, receiver) = sync_channel(capacity);
    (Arc::new(Queue(sender)), receiver)
}

/// Runs the engine until it ends. `wall_ms` reads the wall clock, milliseconds since the epoch.
pub fn run(mut engine: Engine, inputs: &Receiver<Input>, wall_ms: impl Fn() -> i64) -> Ended {
    let start = Instant::now();
    let now = || Now { mono: start.elapsed(), wall_ms: wall_ms() };
    loop {
        let mut time = now();
        for input in inputs.try_iter().take(INPUTS_MAX) {
            engine.handle(input, time);
        }
        let until = match engine.turn(time) {
            Turn::Busy => continue,
            Turn::Ended(ended) => return ended,
            Turn::Until(at) => at,
        };
        let wait = until.saturating_sub(start.elapsed()).max(Duration::from_micros(50));
        if engine.in_flight() >= GATHER_FROM {
            std::thread::park_timeout(wait.min(GATHER));
            continue;
        }
        match inputs.recv_timeout(wait) {
            Ok(input) => {
                time = now();
                engine.handle(input, time);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Ended::Failed(PortError::Fatal("every edge has ended".to_owned()));
            }
        }
    }
}
