//! The demo's embedded broker: librdkafka's mock cluster, in a thread that owns it.
//!
//! It is no Kafka: no transactions, no compaction, no offsets for times, no creation of topics by clients, and
//! [`EMBEDDED_PARTITION_BYTES`] per partition, beyond which it drops the oldest records in silence. Every client must
//! be gone before it is: keep it until last.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::failure::port_error;
use crate::sync::ports::PortError;

/// What one partition of the embedded broker keeps (5 MiB, and at most 100,000 records).
pub const EMBEDDED_PARTITION_BYTES: usize = 5 * 1024 * 1024;

type Cluster = MockCluster<'static, DefaultProducerContext>;
type Job = Box<dyn FnOnce(&Cluster) + Send>;

/// A running embedded broker on loopback. Dropping it ends it.
#[derive(Debug)]
pub struct EmbeddedBroker {
    brokers: String,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts one broker with these topics and partition counts. Other processes can connect to it.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, PortError> {
        let (jobs, todo) = sync_channel::<Job>(16);
        let (ready, started) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("embedded-broker".to_owned())
            .spawn(move || {
                let cluster = match MockCluster::new(1) {
                    Ok(cluster) => cluster,
                    Err(error) => {
                        ready.send(Err(port_error("cannot start the embedded broker", &error))).ok();
                        return;
                    }
                };
                ready.send(Ok(cluster.bootstrap_servers())).ok();
                while let Ok(job) = todo.recv() {
                    job(&cluster);
                }
            })
            .map_err(|e| PortError::Fatal(format!("cannot start the embedded broker's thread: {e}")))?;
        let brokers =
            started.recv().map_err(|_| PortError::Fatal("the embedded broker ended at once".to_owned()))??;
        let broker = Self { brokers, jobs: Some(jobs), thread: Some(thread) };
        for (topic, partitions) in topics {
            broker.create_topic(topic, *partitions)?;
        }
        Ok(broker)
    }

    /// Its address, for `kafka.brokers`.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Creates a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), PortError> {
        let topic = topic.to_owned();
        self.run(move |cluster| {
            cluster.create_topic(&topic, partitions, 1).map_err(|e| port_error(&format!("cannot create {topic}"), &e))
        })
    }

    /// Cuts every connection and takes no new one until [`EmbeddedBroker::up`].
    pub fn down(&self) -> Result<(), PortError> {
        self.run(|cluster| cluster.broker_down(-1).map_err(|e| port_error("cannot take the broker down", &e)))
    }

    /// Takes connections again.
    pub fn up(&self) -> Result<(), PortError> {
        self.run(|cluster| cluster.broker_up(-1).map_err(|e| port_error("cannot bring the broker up", &e)))
    }

    /// Lets every answer take this long.
    pub fn delay(&self, round_trip: Duration) -> Result<(), PortError> {
        self.run(move |cluster| {
            cluster.broker_round_trip_time(-1, round_trip).map_err(|e| port_error("cannot delay the broker", &e))
        })
    }

    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Cluster) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let gone = || PortError::Fatal("the embedded broker has ended".to_owned());
        let (reply, answer) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        let job: Job = Box::new(move |cluster| {
            reply.send(job(cluster)).ok();
        });
        jobs.send(job).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the embedded broker's thread had panicked");
        }
    }
}
