//! A consumer that reads what it is told to and never joins its group, which ends as soon as it can.
//!
//! The binding looks a tenth of a second apart whether a consumer is closed, and a start makes a dozen of them one after the
//! other.

use std::ops::Deref;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;

use super::chatter::Chatter;

/// Between two looks whether it is closed.
const LOOK: Duration = Duration::from_millis(1);

/// The consumer, from [`super::client::reader`].
pub(super) struct Unjoined(BaseConsumer<Chatter>);

impl FromClientConfigAndContext<Chatter> for Unjoined {
    fn from_config_and_context(config: &ClientConfig, context: Chatter) -> KafkaResult<Self> {
        BaseConsumer::from_config_and_context(config, context).map(Self)
    }
}

impl Deref for Unjoined {
    type Target = BaseConsumer<Chatter>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Unjoined {
    fn drop(&mut self) {
        // One that has failed for good is left to the binding.
        if self.0.close_queue().is_ok() {
            while !self.0.closed() {
                self.0.poll(Duration::ZERO);
                std::thread::park_timeout(LOOK);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rdkafka::TopicPartitionList;
    use rdkafka::consumer::Consumer as _;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::kafka::client::{reader, tests::settings};
    use crate::kafka::status::Status;

    /// No time is asked for but to be sooner than the binding by itself: a busy machine is slow now and then, that always.
    #[test]
    fn one_that_knows_its_coordinator_ends_sooner_than_by_the_binding() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        let config = settings(&cluster.bootstrap_servers());
        let end = |by_the_binding: bool| {
            let context = Chatter::new(&config, Status::new());
            let consumer: BaseConsumer<Chatter> = reader(&config).unwrap().create_with_context(context).unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition("orders", 0);
            consumer.committed_offsets(list, Duration::from_secs(20)).unwrap();
            let began = Instant::now();
            if by_the_binding {
                drop(consumer);
            } else {
                drop(Unjoined(consumer));
            }
            began.elapsed()
        };
        let soonest = |by_the_binding| (0..10).map(|_| end(by_the_binding)).min().unwrap();
        let (ours, theirs) = (soonest(false), soonest(true));
        assert!(ours < theirs / 2, "{ours:?} {theirs:?}");
    }
}
