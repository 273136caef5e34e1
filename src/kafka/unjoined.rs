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
        close(&self.0);
    }
}

/// Closes it, so that the binding finds nothing left to wait for. One that has failed for good is left to the binding.
fn close(consumer: &BaseConsumer<Chatter>) {
    if consumer.close_queue().is_ok() {
        while !consumer.closed() {
            consumer.poll(Duration::ZERO);
            std::thread::park_timeout(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::TopicPartitionList;
    use rdkafka::consumer::Consumer as _;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::kafka::client::{reader, tests::settings};
    use crate::kafka::status::Status;

    #[test]
    fn nothing_is_left_for_the_binding_to_wait_for() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        let config = settings(&cluster.bootstrap_servers());
        let context = Chatter::new(&config, Status::new());
        let consumer: BaseConsumer<Chatter> = reader(&config).unwrap().create_with_context(context).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition("orders", 0);
        consumer.committed_offsets(list, Duration::from_secs(20)).unwrap();
        assert!(!consumer.closed());
        close(&consumer);
        assert!(consumer.closed());
    }
}
