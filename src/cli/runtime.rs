//! The async runtime of a command, and the signals that end it.
//!
//! It carries out no command: a command gives a future and gets a [`CancellationToken`].

use std::future::Future;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::render;

/// Runs a command's future on a multi-threaded runtime.
///
/// SIGTERM (sent by service managers) and SIGINT (Ctrl-C) cancel the token, and the future is to end by itself; a second
/// signal ends the process at once with 130, for a person who does not want to wait.
pub fn block_on<T, F>(command: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let stop = CancellationToken::new();
    let result = runtime.block_on(async {
        // A task of its own, so that a second signal is heard while the command's future is busy; it ends with the set.
        let mut signals = JoinSet::new();
        signals.spawn(watch_signals(stop.clone()));
        command(stop).await
    });
    // What still runs on a blocking thread (a DNS look-up, a poll) must not hold up the end of the process.
    runtime.shutdown_background();
    result
}

async fn watch_signals(stop: CancellationToken) {
    let Ok(mut signals) = Signals::new() else {
        render::note("warning: signals cannot be watched; end the process with SIGKILL");
        return;
    };
    signals.next().await;
    stop.cancel();
    signals.next().await;
    std::process::exit(130);
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
