//! What an answer to a commit means, on librdkafka's mock cluster: it gives any answer that is asked for.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::kafka::client::tests::settings;

/// How a commit ends to which the coordinator gives these answers, one after another.
fn answered(answers: &[RDKafkaRespErr]) -> KafkaError {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let config = settings(&cluster.bootstrap_servers());
    let producer: BaseProducer<DefaultProducerContext> =
        client::transactions(&config, "id", TRANSACTION_TIMEOUT).unwrap().create().unwrap();
    producer.init_transactions(Duration::from_secs(15)).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), [u8]>::to("orders").payload(b"a state")).unwrap();
    cluster.request_errors(RDKafkaApiKey::EndTxn, answers);
    producer.commit_transaction(Duration::from_secs(2)).unwrap_err()
}

#[test]
fn a_commit_was_not_made_where_a_broker_says_so_and_only_there() {
    use RDKafkaRespErr::*;
    let says_no = answered(&[RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING]);
    assert!(nothing_was_committed(&says_no), "{says_no:?}");
    // Asked for an abort all the same: the answer to what was sent is missing.
    for missing in [
        RD_KAFKA_RESP_ERR__SSL,
        RD_KAFKA_RESP_ERR__AUTHENTICATION,
        RD_KAFKA_RESP_ERR__BAD_MSG,
        RD_KAFKA_RESP_ERR_UNKNOWN,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
    ] {
        let error = answered(&[missing]);
        let KafkaError::Transaction(inner) = &error else { panic!("{error:?}") };
        assert!(inner.txn_requires_abort(), "else it proves nothing: {error:?}");
        assert!(!nothing_was_committed(&error), "{error:?}");
    }
    // The connection is cut each time.
    let silence = answered(&[RD_KAFKA_RESP_ERR__TRANSPORT; 100]);
    assert!(!nothing_was_committed(&silence), "{silence:?}");
    let fenced = answered(&[RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    assert!(!nothing_was_committed(&fenced), "by whom, and since when, is not known: {fenced:?}");
    assert!(nothing_was_committed(&KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)), "it was not asked for");
}
