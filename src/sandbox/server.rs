//! Threads, event loops and connections.
//!
//! Each thread has an event loop of its own, so that the sandbox serves synchronous and asynchronous tests alike, and
//! its CPU time can be told from theirs. The first thread accepts and deals connections out in turn.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cpu::ThreadClock;
use super::gate::Gate;
use super::outage::OutageMode;
use super::routes;
use super::socket::{ResetSwitch, Socket};
use super::state::State;

/// Connections that wait for one thread; more are closed at once.
const WAITING: usize = 1024;
/// How often the gate looks whether an outage began or ended.
const GATE_LOOKS: Duration = Duration::from_millis(20);

type Door = mpsc::Sender<std::net::TcpStream>;

/// An event loop of one thread.
pub(super) fn event_loop() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

/// Starts the serving threads. The gate was opened on `first`.
pub(super) fn start(
    state: &Arc<State>,
    first: Runtime,
    gate: Gate,
    threads: usize,
    stop: &CancellationToken,
) -> io::Result<Vec<JoinHandle<()>>> {
    let mut doors = Vec::new();
    let mut handles = Vec::new();
    let mut loops = vec![first];
    for _ in 1..threads.max(1) {
        loops.push(event_loop()?);
    }
    let mut gate = Some(gate);
    // The accepting thread comes last, when all doors are known.
    for (number, event_loop) in loops.into_iter().enumerate().rev() {
        let (door, connections) = mpsc::channel(WAITING);
        doors.push(door);
        let (state, stop) = (state.clone(), stop.clone());
        let gate = if number == 0 { gate.take() } else { None };
        let doors = if number == 0 { std::mem::take(&mut doors) } else { Vec::new() };
        let thread = std::thread::Builder::new().name(format!("sandbox-{number}"));
        handles.push(thread.spawn(move || {
            if let Some(clock) = ThreadClock::of_this_thread() {
                state.threads.lock().unwrap_or_else(PoisonError::into_inner).push(clock);
            }
            event_loop.block_on(async {
                let accepting = async {
                    if let Some(gate) = gate {
                        accept(&state, gate, &doors).await;
                    }
                };
                stop.run_until_cancelled(async { tokio::join!(accepting, serve(&state, connections)) }).await;
            });
        })?);
    }
    Ok(handles)
}

/// Accepts, as long as no outage closes the gate.
async fn accept(state: &Arc<State>, mut gate: Gate, doors: &[Door]) {
    let mut turn = 0;
    loop {
        if matches!(state.outage(), Some(OutageMode::Refuse)) {
            gate.close();
        } else if gate.reopen().is_err() {
            // The port is held by our own second socket, so this heals.
            gate.close();
        }
        let Some(listener) = gate.listener() else {
            look_again(state).await;
            continue;
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    deal(stream, &doors[turn % doors.len()]);
                    turn += 1;
                }
                // Out of file descriptors, most likely: give others time to close some.
                Err(_) => look_again(state).await,
            },
            () = look_again(state) => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the accepting loop ends with the sandbox, this wait included")]
async fn look_again(state: &State) {
    tokio::select! {
        () = state.outages_changed.notified() => {}
        () = tokio::time::sleep(GATE_LOOKS) => {}
    }
}

/// Hands a connection to a thread; one that cannot be handed over is closed.
fn deal(stream: TcpStream, door: &Door) {
    if let Ok(stream) = stream.into_std() {
        drop(door.try_send(stream));
    }
}

async fn serve(state: &Arc<State>, mut connections: mpsc::Receiver<std::net::TcpStream>) {
    let tasks = TaskTracker::new();
    while let Some(stream) = connections.recv().await {
        if let Ok(stream) = TcpStream::from_std(stream) {
            // Small answers go out at once; a socket without the option is slower and no worse.
            drop(stream.set_nodelay(true));
            tasks.spawn(connection(state.clone(), stream));
        }
    }
}

/// Serves one connection to its end. Its errors are the pusher's affair, or a fault of our own making.
async fn connection(state: Arc<State>, stream: TcpStream) {
    let switch = ResetSwitch::default();
    let io = TokioIo::new(Socket::new(stream, switch.clone()));
    let service = service_fn(|request| routes::serve(&state, &switch, request));
    drop(http1::Builder::new().serve_connection(io, service).await);
}
