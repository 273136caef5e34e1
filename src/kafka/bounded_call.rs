//! Calls of the client that need not come back, whatever time they are given: librdkafka's transactions wait without an end
//! for a coordinator's answer that has got lost on the way, as when a broker ends in that moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crate::sync::ports::PortError;

/// So many calls may be lost at once: each holds a client with its threads and some MiB for as long as it does not return.
const LOST_MAX: usize = 8;

/// Makes calls on threads of their own, and gives up those that do not come back.
#[derive(Debug, Default)]
pub(super) struct BoundedCalls {
    lost: Arc<AtomicUsize>,
}

impl BoundedCalls {
    /// Makes `call` on `subject`, which comes back with its answer. After `longest` both are given up: should it come back
    /// after all, its subject is dropped there. An error says that the subject is gone.
    pub(super) fn make<S: Send + 'static, T: Send + 'static>(
        &self,
        doing: &str,
        subject: S,
        longest: Duration,
        call: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Result<(S, T), PortError> {
        let (tell, told) = sync_channel(0);
        let lost = Arc::clone(&self.lost);
        let run = move || {
            let answer = call(&subject);
            // Nobody takes it where it was given up; then it is dropped, and with it the count of one that is lost.
            if let Err(unheard) = tell.send((subject, answer)) {
                drop(unheard);
                lost.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let cannot = |error| PortError::Passing(format!("{doing}: cannot start a thread: {error}"));
        std::thread::Builder::new().name("commit-call".to_owned()).spawn(run).map_err(cannot)?;
        match told.recv_timeout(longest) {
            Ok(answered) => Ok(answered),
            Err(_) => Err(self.lose(doing, longest)),
        }
    }

    fn lose(&self, doing: &str, longest: Duration) -> PortError {
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        let words = format!("{doing}: the Kafka client has not come back within {} s", longest.as_secs());
        if lost < LOST_MAX {
            return PortError::Passing(format!("{words}; going on with a new one"));
        }
        PortError::Fatal(format!(
            "{words}, and {} calls before it have not come back yet; look whether all brokers are reachable, and start this \
             worker anew",
            lost - 1
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender};

    use super::*;

    /// Tells when it is dropped.
    struct Subject(SyncSender<()>);

    impl Drop for Subject {
        fn drop(&mut self) {
            self.0.send(()).ok();
        }
    }

    fn hang(calls: &BoundedCalls) -> (PortError, SyncSender<()>, Receiver<()>) {
        let ((release, released), (tell, dropped)) = (sync_channel::<()>(1), sync_channel(1));
        let wait = move |_: &Subject| released.recv().ok();
        let Err(error) = calls.make("a commit", Subject(tell), Duration::from_millis(20), wait) else {
            panic!("it came back");
        };
        (error, release, dropped)
    }

    #[test]
    fn what_comes_back_in_time_is_handed_back_with_its_answer() {
        let (tell, dropped) = sync_channel(1);
        let calls = BoundedCalls::default();
        let made = calls.make("a commit", Subject(tell), Duration::from_secs(30), |_| 7);
        assert!(matches!(&made, Ok((_, 7))) && dropped.try_recv().is_err());
    }

    #[test]
    fn what_does_not_come_back_is_given_up_and_dropped_when_it_does() {
        let calls = BoundedCalls::default();
        let (error, release, dropped) = hang(&calls);
        assert!(matches!(&error, PortError::Passing(words) if words.contains("has not come back")), "{error}");
        assert!(dropped.try_recv().is_err());
        release.send(()).unwrap();
        dropped.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn many_that_are_lost_at_once_end_the_worker_and_those_that_came_back_do_not_count() {
        let calls = BoundedCalls::default();
        let (_, release, dropped) = hang(&calls);
        release.send(()).unwrap();
        dropped.recv_timeout(Duration::from_secs(30)).unwrap();
        let since = std::time::Instant::now();
        while calls.lost.load(Ordering::Relaxed) > 0 {
            assert!(since.elapsed() < Duration::from_secs(30), "one that came back is counted");
            std::thread::yield_now();
        }
        let held: Vec<_> = (1..LOST_MAX).map(|_| hang(&calls)).collect();
        assert!(held.iter().all(|(error, ..)| matches!(error, PortError::Passing(_))));
        let (error, ..) = hang(&calls);
        assert!(matches!(&error, PortError::Fatal(words) if words.contains("start this worker anew")), "{error}");
    }
}
