//! A thread that runs only while the simulation waits for it: what waits in the real worker stops here, in the middle of
//! a commit, while everybody else goes on, and is always resumed at the same place of the same seed.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use order_sync::sync::commit::{CommitCut, CutCommit};
use order_sync::sync::ports::{Closed, PortError};

enum Go {
    Commit(CommitCut),
    On,
    Close,
    Die,
}

/// What the thread says when it stops.
#[derive(Debug)]
pub(crate) enum Back {
    /// It wants to go on after this time.
    Waits(Duration),
    /// The commit has ended.
    Done(Result<(), PortError>),
}

/// The thread's side: where its ports wait.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Mutex<Ends>>);

struct Ends {
    go: Receiver<Go>,
    back: SyncSender<Back>,
    is_dead: bool,
}

impl Gate {
    /// Lets the others go on for `time`; an error where the process dies meanwhile.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Closed> {
        let mut ends = self.0.lock().unwrap();
        if ends.is_dead {
            return Err(Closed);
        }
        ends.back.send(Back::Waits(time)).map_err(|_| Closed)?;
        if let Ok(Go::On) = ends.go.recv() {
            return Ok(());
        }
        ends.is_dead = true;
        Err(Closed)
    }

    /// Whether the process has died: nothing that it does is done.
    pub(crate) fn is_dead(&self) -> bool {
        self.0.lock().unwrap().is_dead
    }
}

/// The simulation's side.
pub(crate) struct Turnstile {
    go: SyncSender<Go>,
    back: Receiver<Back>,
    thread: Option<JoinHandle<()>>,
}

impl Turnstile {
    /// A thread for the commits that `make` makes.
    pub(crate) fn new(make: impl FnOnce(Gate) -> Box<dyn CutCommit>) -> Self {
        let (go, orders) = sync_channel(1);
        let (answers, back) = sync_channel(1);
        let gate = Gate(Arc::new(Mutex::new(Ends { go: orders, back: answers, is_dead: false })));
        let mut commit = make(gate.clone());
        let run = move || {
            loop {
                let order = gate.0.lock().unwrap().go.recv();
                match order {
                    Ok(Go::Commit(cut)) => {
                        let result = commit.commit(&cut);
                        drop(gate.0.lock().unwrap().back.send(Back::Done(result)));
                        if gate.is_dead() {
                            return;
                        }
                    }
                    Ok(Go::Close) => return commit.close(),
                    Ok(Go::On | Go::Die) | Err(_) => return,
                }
            }
        };
        Self { go, back, thread: Some(std::thread::spawn(run)) }
    }

    /// Begins a commit.
    pub(crate) fn commit(&self, cut: CommitCut) -> Back {
        self.tell(Go::Commit(cut))
    }

    /// Goes on.
    pub(crate) fn resume(&self) -> Back {
        self.tell(Go::On)
    }

    fn tell(&self, go: Go) -> Back {
        self.go.send(go).expect("the thread waits");
        self.back.recv().expect("the thread answers")
    }

    /// Ends the thread as a clean stop does; it must not be in a commit.
    pub(crate) fn close(mut self) {
        self.end(Go::Close);
    }

    fn end(&mut self, go: Go) {
        let Some(thread) = self.thread.take() else { return };
        self.go.send(go).ok();
        // A commit under way ends with an error, as every port fails from here on.
        let ended = thread.join();
        // Its panic has been told already where this is its world's end.
        if !std::thread::panicking() {
            ended.expect("the thread does not panic");
        }
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        self.end(Go::Die);
    }
}
