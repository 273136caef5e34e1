//! What the probes are told: liveness means progress, readiness says what stands in the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::admin::Health;
use crate::kafka::status::Status as KafkaStatus;
use crate::sync::status::{AppStatus, Status, StatusBoard};

/// The engine renews its snapshot several times a second; one that is this old says that it hangs.
const SNAPSHOT_STALE: Duration = Duration::from_secs(20);
/// Records that wait to be folded for so long, while nothing moves, say that it hangs.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// A commit that is under way for longer waits for an answer of Kafka's, or is asking what became of it.
const COMMIT_LONG: Duration = Duration::from_secs(20);

/// The worker as the probes see it.
#[derive(Debug)]
pub struct WorkerHealth {
    board: Arc<StatusBoard>,
    watch: Mutex<Watch>,
}

#[derive(Debug)]
struct Watch {
    phase: Phase,
    last: Status,
    renewed: Instant,
    moved: Instant,
}

/// How far the worker has come.
#[derive(Clone, Debug)]
pub enum Phase {
    /// Starting; what it waits for.
    Starting(String),
    /// The engine runs over this consumer.
    Running(KafkaStatus),
    /// It has ended.
    Ended,
}

impl WorkerHealth {
    /// A worker that has just been started.
    pub fn new(board: Arc<StatusBoard>) -> Self {
        let now = Instant::now();
        let watch = Watch {
            phase: Phase::Starting("the worker is starting".to_owned()),
            last: Status::default(),
            renewed: now,
            moved: now,
        };
        Self { board, watch: Mutex::new(watch) }
    }

    /// The worker has come further.
    pub fn set_phase(&self, phase: Phase) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.phase = phase;
        watch.renewed = Instant::now();
        watch.moved = Instant::now();
    }

    /// Takes the latest snapshot, and notes since when nothing has moved.
    fn look(&self) -> (Phase, Status, Duration, Duration) {
        let status = self.board.read();
        let now = Instant::now();
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if status.at != watch.last.at {
            watch.renewed = now;
        }
        if status.progress != watch.last.progress || may_stand_still(&status) {
            watch.moved = now;
        }
        watch.last = status.clone();
        (watch.phase.clone(), status, now - watch.renewed, now - watch.moved)
    }
}

/// Whether records may wait with a good reason, so that it would be no help to start the worker again: what becomes of a commit
/// is waited for as long as the brokers are away.
fn may_stand_still(status: &Status) -> bool {
    let is_long = status.commit_under_way.is_some_and(|time| time >= COMMIT_LONG);
    status.unfolded == 0 || status.intake_held || status.commit_failing || is_long
}

impl Health for WorkerHealth {
    fn live(&self) -> Result<(), Vec<String>> {
        let (phase, status, unrenewed, unmoved) = self.look();
        let mut reasons = Vec::new();
        match phase {
            Phase::Starting(_) | Phase::Ended => {}
            Phase::Running(_) => {
                if unrenewed > SNAPSHOT_STALE {
                    reasons.push(format!("the engine has not taken a turn for {} s", unrenewed.as_secs()));
                }
                if unmoved > STUCK_AFTER {
                    let waiting = status.unfolded;
                    reasons.push(format!("{waiting} records wait and nothing has moved for {} s", unmoved.as_secs()));
                }
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        let (phase, status, _, _) = self.look();
        let mut reasons = Vec::new();
        match phase {
            Phase::Starting(what) => reasons.push(what),
            Phase::Ended => reasons.push("the worker has ended".to_owned()),
            Phase::Running(kafka) => {
                reasons.extend(kafka.problems());
                if !kafka.joined() {
                    reasons.push("not yet a member of the consumer group".to_owned());
                }
                reasons.extend(status_reasons(&status));
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn circuits(&self) -> BTreeMap<String, &'static str> {
        self.board.read().apps.into_iter().map(|app| (app.app_id, app.circuit)).collect()
    }

    fn no_tokens(&self) -> BTreeMap<String, String> {
        self.board.read().apps.into_iter().filter_map(|app| Some((app.app_id, app.no_token?))).collect()
    }

    fn token_ages(&self) -> BTreeMap<String, u64> {
        let age = |app: AppStatus| Some((app.app_id, app.token_age?.as_secs()));
        self.board.read().apps.into_iter().filter_map(age).collect()
    }

    fn paused(&self) -> BTreeMap<String, usize> {
        let apps = self.board.read().apps.into_iter().filter(|app| app.paused > 0);
        apps.map(|app| (app.app_id, app.paused)).collect()
    }
}

fn status_reasons(status: &Status) -> Vec<String> {
    let mut reasons = Vec::new();
    let Status { restoring, partitions, .. } = *status;
    if restoring > 0 && restoring == partitions {
        reasons.push(format!("all {partitions} partitions are being restored from the changelog"));
    } else if restoring > 0 {
        reasons.push(format!(
            "{restoring} of {partitions} partitions are being restored from the changelog; the others run"
        ));
    }
    if status.commit_failing {
        reasons.push("commits are failing; nothing new is delivered until one succeeds".to_owned());
    }
    if let Some(time) = status.commit_under_way.filter(|time| *time >= COMMIT_LONG) {
        reasons.push(format!(
            "a commit has been under way for {} s; nothing new is delivered until it is known what became of it",
            time.as_secs()
        ));
    }
    if status.draining {
        reasons.push("the worker is shutting down".to_owned());
    }
    for app in &status.apps {
        let why = app.no_token.as_deref().unwrap_or("one is being fetched");
        if let Some(cause) = &app.suspended {
            reasons.push(format!("app {} is suspended: {cause}", app.app_id));
        } else if !app.has_token && (app.circuit != "open" || app.token_is_ours) {
            reasons.push(format!("app {} has no usable token: {why}", app.app_id));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(circuit: &'static str, token_is_ours: bool, expect: &[&str]) {
        let app_id = "tt1".to_owned();
        let app =
            AppStatus { app_id, circuit, token_is_ours, no_token: Some("no answer".into()), ..AppStatus::default() };
        let status = Status { apps: vec![app], ..Status::default() };
        assert_eq!(status_reasons(&status), expect, "{circuit}");
    }

    #[test]
    fn a_token_that_an_outage_keeps_away_is_no_reason_of_this_worker() {
        check("open", false, &[]);
        for (circuit, is_ours) in [("open", true), ("closed", true), ("closed", false)] {
            check(circuit, is_ours, &["app tt1 has no usable token: no answer"]);
        }
    }

    #[test]
    fn others_run_only_where_there_are_others() {
        let reasons = |restoring| status_reasons(&Status { restoring, partitions: 12, ..Status::default() });
        assert_eq!(reasons(12), ["all 12 partitions are being restored from the changelog"]);
        assert_eq!(reasons(11), ["11 of 12 partitions are being restored from the changelog; the others run"]);
        assert!(reasons(0).is_empty());
    }

    #[test]
    fn records_may_wait_for_a_commit_that_does_not_end() {
        let waits = |seconds| {
            let commit_under_way = Some(Duration::from_secs(seconds));
            may_stand_still(&Status { unfolded: 9, commit_under_way, ..Status::default() })
        };
        assert!(!waits(3) && waits(45));
        assert!(!may_stand_still(&Status { unfolded: 9, ..Status::default() }));
    }

    #[test]
    fn a_commit_that_does_not_end_is_a_reason() {
        let reasons = |seconds| {
            let commit_under_way = Some(Duration::from_secs(seconds));
            status_reasons(&Status { commit_under_way, ..Status::default() })
        };
        assert!(reasons(3).is_empty());
        let expect =
            "a commit has been under way for 45 s; nothing new is delivered until it is known what became of it";
        assert_eq!(reasons(45), [expect]);
    }
}
