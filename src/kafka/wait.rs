//! Waits for librdkafka without a runtime: the callers are plain threads.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

/// How long a producer that has nothing to tell is left alone.
const LOOK: Duration = Duration::from_millis(1);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until the future is done; the admin client bounds its own answers in time.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(std::thread::current())).into();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Takes what a producer has to tell, or waits a moment where that is nothing. The poll of this binding is no wait: it goes on
/// until its time is up, whatever has come, and spins through the last millisecond of it.
pub(super) fn serve<C: ProducerContext>(producer: &BaseProducer<C>) {
    let under_way = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == under_way {
        std::thread::park_timeout(LOOK);
    }
}

/// Events that are taken in at a time. While no broker answers, the library reports so about three times a second and broker.
const EVENTS_AT_ONCE: usize = 256;

/// Takes in what the library has told a consumer that has nothing assigned: what nobody polls for piles up in its queue, at a
/// megabyte a minute while no broker answers. A poll takes in one event, and tells of some of them only.
pub(super) fn drain<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    for _ in 0..EVENTS_AT_ONCE {
        consumer.poll(Duration::ZERO);
    }
}

/// The same for a producer.
pub(super) fn drain_producer<C: ProducerContext>(producer: &BaseProducer<C>) {
    for _ in 0..EVENTS_AT_ONCE {
        producer.poll(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_another_thread() {
        let (send, receive) = tokio::sync::oneshot::channel();
        let sender = std::thread::spawn(move || send.send(7).unwrap());
        assert_eq!(block_on(receive).unwrap(), 7);
        sender.join().unwrap();
    }
}
