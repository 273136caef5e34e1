//! A process under measurement: what the platform has applied so far, and what the process has used so far.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::figures::Figures;
use crate::platform::Platform;

const EVERY: Duration = Duration::from_millis(20);
/// A process that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// A running process; it is ended with this value.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

struct Sample {
    at: Instant,
    applied: u64,
    cpu: Duration,
}

/// Watches a process until it ends, which must be well and with every push applied.
pub(crate) fn watch(mut process: Running, platform: &Platform, pushes: u64) -> Figures {
    let (since, id) = (Instant::now(), process.0.id());
    let (mut first, mut last): (Option<Sample>, Option<Sample>) = (None, None);
    let mut peak_kib = 0;
    let cpu_in_all = loop {
        assert!(since.elapsed() < LIMIT, "not done after {LIMIT:?}");
        let (has_ended, cpu) = stat(id);
        if has_ended {
            break cpu;
        }
        peak_kib = peak(id).unwrap_or(peak_kib);
        if last.is_none() {
            let applied = platform.report()["applied"].as_u64().unwrap();
            let sample = Sample { at: Instant::now(), applied, cpu };
            match &first {
                None if applied > 0 => first = Some(sample),
                Some(_) if applied >= pushes => last = Some(sample),
                None | Some(_) => {}
            }
        }
        std::thread::park_timeout(EVERY);
    };
    let status = process.0.wait().unwrap();
    assert!(status.success(), "the process ended with {status}");
    let report = platform.report();
    assert_eq!(report["applied"].as_u64(), Some(pushes), "{report}");
    let first = first.unwrap();
    // The last pushes may have come between the last look and the end.
    let last = last.unwrap_or_else(|| Sample { at: Instant::now(), applied: pushes, cpu: cpu_in_all });
    let counted = last.applied - first.applied;
    Figures {
        per_second: ratio(counted, last.at.duration_since(first.at).as_secs_f64()),
        cpu_us_in_all: cpu_in_all.as_secs_f64() * 1e6 / ratio(pushes, 1.0),
        cpu_us_pushing: last.cpu.saturating_sub(first.cpu).as_secs_f64() * 1e6 / ratio(counted, 1.0),
        peak_mb: ratio(peak_kib * 1024, 1e6),
        sandbox_us: report["cpu"]["micros_per_push"].as_f64().unwrap(),
    }
}

fn ratio(count: u64, by: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / by
}

/// Whether the process has ended and was not waited for yet, and its user and system time; a tick is 10 ms.
pub(crate) fn stat(id: u32) -> (bool, Duration) {
    times(&std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap())
}

fn times(stat: &str) -> (bool, Duration) {
    let after_name = stat.rsplit_once(')').unwrap().1;
    let mut fields = after_name.split_whitespace();
    let state = fields.next().unwrap();
    let ticks: u64 = fields.skip(10).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    (state == "Z", Duration::from_millis(ticks * 10))
}

/// The greatest resident size so far, KiB; `None` once the process has ended.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The resident size now, KiB; 0 once the process has ended.
pub(crate) fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// User and system time of a process's threads of this name.
pub(crate) fn cpu_of(id: u32, thread: &str) -> Duration {
    let mut all = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{id}/task")).unwrap().map(Result::unwrap) {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        if stat.split_once('(').is_some_and(|(_, name)| name.starts_with(thread)) {
            all += times(&stat).1;
        }
    }
    all
}
