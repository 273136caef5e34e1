//! Starts the transactions of a producer that was just made.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

/// Ends every earlier transaction of the producer's id. Where no broker is connected at that moment the library sleeps half a
/// second before it asks for the coordinator, so one is asked about `topic` first; what it says of it is of no interest.
pub(super) fn start<C: ProducerContext>(producer: &BaseProducer<C>, topic: &str, within: Duration) -> KafkaResult<()> {
    let began = Instant::now();
    let asks = || producer.client().fetch_metadata(Some(topic), (within / 2).saturating_sub(began.elapsed())).is_ok();
    // The connection that brings the first answer is given up for one to the broker by its number, which brings the second.
    let _ = asks() && asks();
    producer.init_transactions(within.saturating_sub(began.elapsed()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rdkafka::ClientContext;
    use rdkafka::config::RDKafkaLogLevel;
    use rdkafka::message::DeliveryResult;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::kafka::client::{self, tests::settings};
    use crate::kafka::wait::drain_producer;

    /// What the library says.
    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<String>>>);

    impl ClientContext for Said {
        fn log(&self, _level: RDKafkaLogLevel, _facility: &str, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }

    impl ProducerContext for Said {
        type DeliveryOpaque = ();

        fn delivery(&self, _result: &DeliveryResult<'_>, _opaque: Self::DeliveryOpaque) {}
    }

    #[test]
    fn a_broker_is_there_to_be_asked_for_the_coordinator() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("group.changelog", 1, 1).unwrap();
        let config = settings(&cluster.bootstrap_servers());
        let said = Said::default();
        // Without the questions it is half of them, as it happens.
        for number in 0..10 {
            let mut client = client::transactions(&config, &format!("id-{number}"), Duration::from_secs(10)).unwrap();
            client.set("debug", "eos").set_log_level(RDKafkaLogLevel::Debug);
            let producer: BaseProducer<Said> = client.create_with_context(said.clone()).unwrap();
            start(&producer, &config.changelog_topic, Duration::from_secs(20)).unwrap();
            drain_producer(&producer);
        }
        let said = said.0.lock().unwrap();
        let count = |words: &str| said.iter().filter(|line| line.contains(words)).count();
        assert!(count("Querying for transaction coordinator") >= 10, "{said:?}");
        assert_eq!(count("Unable to query for transaction coordinator"), 0, "{said:?}");
    }
}
