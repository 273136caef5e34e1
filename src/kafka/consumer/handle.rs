//! Starts and stops the consumer thread, and hands out what the engine holds it by.

use std::sync::Arc;
use std::thread::JoinHandle;

use rdkafka::ClientConfig;

use super::context::GroupContext;
use super::fence::GroupFence;
use super::partition::GroupConsumer;
use super::shared::{GroupCommits, IntakeControl, Shared};
use super::silence::GroupMembership;
use super::worker::Worker;
use crate::config;
use crate::kafka::chatter::Chatter;
use crate::kafka::client;
use crate::kafka::failure::port_error;
use crate::kafka::status::Status;
use crate::sync::intake::IntakeBudget;
use crate::sync::ports::{Inbox, PortError};

/// The running consumer. Dropping it stops it as [`Consumer::stop`] does.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    status: Status,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    /// Starts to read `config.topics` as a member of `config.group_id`. Brokers or topics that are not there are
    /// waited for and shown in [`Consumer::status`]; an error is a property that librdkafka does not take.
    ///
    /// Every record handed over has drawn [`IntakeBudget::cost`] from `budget`, to be put back when it is folded or
    /// dropped.
    pub fn start(config: &config::Kafka, inbox: Arc<dyn Inbox>, budget: Arc<IntakeBudget>) -> Result<Self, PortError> {
        let status = Status::new();
        let shared = Arc::new(Shared::new(config));
        let context = GroupContext::new(config, Chatter::new(config, status.clone()), Arc::clone(&shared));
        let consumer = open(&client::member(config)?, context, &shared)?;
        let worker = Worker::new(config, consumer, Arc::clone(&shared), status.clone(), inbox, budget);
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || worker.run())
            .map_err(|e| PortError::Fatal(format!("cannot start the consumer's thread: {e}")))?;
        Ok(Self { shared, status, thread: Some(thread) })
    }

    /// Holds intake back, for the engine.
    pub fn intake(&self) -> IntakeControl {
        IntakeControl(Arc::clone(&self.shared))
    }

    /// Commits offsets, for the engine.
    pub fn commits(&self) -> GroupCommits {
        GroupCommits(Arc::clone(&self.shared))
    }

    /// Whether this worker can be sure of its partitions, for the engine.
    pub fn membership(&self) -> GroupMembership {
        GroupMembership(Arc::clone(&self.shared))
    }

    /// Takes the fences of commits, for the transactions.
    pub fn fence(&self) -> GroupFence {
        GroupFence(Arc::clone(&self.shared))
    }

    /// What stands between the worker and its records, for readiness.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Leaves the group and ends the thread: queued offset commits go out first, and an engine that still listens is
    /// told that its partitions are revoked. Waits for that, 10 s for the engine at most.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.shared.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the consumer's thread had panicked");
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.halt();
    }
}

fn open(client: &ClientConfig, context: GroupContext, shared: &Arc<Shared>) -> Result<Arc<GroupConsumer>, PortError> {
    let mut consumer: GroupConsumer =
        client.create_with_context(context).map_err(|e| port_error("cannot make a consumer", &e))?;
    let shared = Arc::clone(shared);
    consumer.set_nonempty_callback(move || shared.bell.ring());
    Ok(Arc::new(consumer))
}
