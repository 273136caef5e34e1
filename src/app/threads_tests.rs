//! A thread that dies beside a real engine: the worker ends, and says which one it was.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::*;
use crate::app::settings;
use crate::order::AppId;
use crate::record::{NextOffset, Record, RecordOffset, TopicPartition};
use crate::store::MemoryStore;
use crate::sync::commit::CommitCut;
use crate::sync::engine::Ports;
use crate::sync::intake::IntakeBudget;
use crate::sync::ports::{Assigned, AttemptStart, Attempts, Epoch, Intake, StartAt, TokenGeneration};
use crate::sync::rules::End;
use crate::sync::status::StatusBoard;
use crate::telemetry::Meters;

/// A consumer and a platform that nobody hears of again.
struct Mute;

impl Intake for Mute {
    fn pause(&mut self, _: &[TopicPartition]) {}
    fn begin(&mut self, _: Epoch, _: &TopicPartition, _: StartAt) {}
    fn resume(&mut self, _: &[TopicPartition]) {}
}

impl Attempts for Mute {
    fn start(&mut self, _: AttemptStart) {}
    fn fetch_token(&mut self, _: &AppId, _: TokenGeneration) {}
}

/// A commit with a fault of ours.
struct Faulty;

impl CutCommit for Faulty {
    fn commit(&mut self, cut: &CommitCut) -> Result<(), PortError> {
        panic!("a cut of {} partitions is too much", cut.parts.len());
    }

    fn is_at_end(&mut self, _: &TopicPartition, _: NextOffset) -> Result<bool, PortError> {
        Ok(true)
    }

    fn close(&mut self) {
        unreachable!("it has died");
    }
}

fn config() -> crate::config::Config {
    let flags =
        ["kafka.brokers=b:1", "kafka.group_id=g", "kafka.topics=orders", "apps.tt1.client_key=ck", "apps.tt1.secret=s"];
    let flags = flags.map(str::to_owned);
    let sources = crate::config::Sources {
        file: None,
        environment: &std::collections::BTreeMap::new(),
        flags: &flags,
        need: crate::config::Need::Run,
        read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        judge_properties: &|_| Vec::new(),
        judge_kafka: &|_| Vec::new(),
    };
    crate::config::load(&sources).unwrap().config
}

fn engine(commits: CommitThread, budget: &Arc<IntakeBudget>) -> Engine {
    let config = config();
    let outcomes = Arc::new(settings::outcomes(&config).unwrap());
    let ports = Ports {
        reader: Arc::new(MemoryStore::new()),
        intake: Box::new(Mute),
        attempts: Box::new(Mute),
        commits: Box::new(commits),
        restore: None,
        membership: None,
        sweeper: None,
        commands: None,
        budget: Arc::clone(budget),
    };
    let rules = settings::rules(&config, outcomes, End::WhenTold);
    Engine::new(rules, ports, Meters::default(), fastrand::Rng::with_seed(1), Arc::new(StatusBoard::default()))
}

/// A partition comes, with one record that cannot be read: there is something to commit.
fn something_to_commit(inbox: &dyn Inbox, budget: &IntakeBudget) {
    let (source, epoch) = (TopicPartition::new("orders", 0), Epoch(1));
    let (reply, _answer) = sync_channel(1);
    let partitions = vec![Assigned { source: source.clone(), partitions_of_topic: 1, partitions_of_group: 1 }];
    inbox.send(Input::Assigned { epoch, partitions, reply }).unwrap();
    let (at, high_watermark) = (NextOffset::new(0), NextOffset::new(1));
    inbox.send(Input::Started { epoch, source: source.clone(), at, high_watermark }).unwrap();
    let (offset, value) = (RecordOffset::new(0), Some(b"{".to_vec().into_boxed_slice()));
    let record = Record { offset, timestamp_ms: Some(1), key: None, value, headers: Vec::new() };
    assert!(budget.try_draw(IntakeBudget::cost(&record)));
    inbox.send(Input::Records { epoch, source, records: vec![record] }).unwrap();
}

#[test]
fn a_commit_thread_that_panics_ends_the_worker_by_its_name() {
    let (told, ended) = sync_channel(1);
    std::thread::spawn(move || {
        let (queue, inputs) = runner::queue(16);
        let inbox: Arc<dyn Inbox> = queue;
        let (commits, committer) = spawn_commit(Box::new(Faulty), &inbox).unwrap();
        let budget = Arc::new(IntakeBudget::new(1 << 20));
        let engine = engine(commits, &budget);
        something_to_commit(inbox.as_ref(), &budget);
        let ended = run_beside(engine, inputs, &Closing::default(), vec![committer]);
        // The consumer and the platform's edge hold it for as long as the worker runs.
        drop(inbox);
        told.send(ended).unwrap();
    });
    let ended = ended.recv_timeout(Duration::from_secs(30)).expect("the worker ends, and all of its threads");
    let Ended::Failed(error) = ended else { panic!("{ended:?}") };
    assert_eq!(error.to_string(), "the commit thread has panicked; please report it");
}

#[test]
fn a_thread_that_does_not_end_is_left_behind_by_its_name() {
    let (release, released) = sync_channel::<()>(1);
    let inbox: Arc<dyn Inbox> = runner::queue(1).0;
    let stuck = spawn("commit", move || released.recv().unwrap_or(()), &inbox).unwrap();
    let done = spawn("restore", || {}, &inbox).unwrap();
    assert_eq!(join(vec![stuck, done], Duration::from_millis(50)), ["commit"]);
    drop(release);
    let patient = spawn("restore", || std::thread::park_timeout(Duration::from_millis(50)), &inbox).unwrap();
    assert!(join(vec![patient], Duration::from_secs(30)).is_empty());
}
