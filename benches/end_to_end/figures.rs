//! What was measured, and how it is printed.

use crate::options::Setup;

/// What one run of one process came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Pushes per second from the first to the last.
    pub(crate) per_second: f64,
    /// CPU time per push of the whole run, start and end included.
    pub(crate) cpu_us_in_all: f64,
    /// CPU time per push from the first to the last.
    pub(crate) cpu_us_pushing: f64,
    /// The greatest resident size, millions of bytes.
    pub(crate) peak_mb: f64,
    /// CPU time of the sandbox per push.
    pub(crate) sandbox_us: f64,
}

impl Figures {
    /// Keeps the best of both, figure by figure; of the memory the worst.
    pub(crate) fn better(best: &mut Option<Self>, other: Self) {
        *best = Some(best.map_or(other, |best| Self {
            per_second: best.per_second.max(other.per_second),
            cpu_us_in_all: best.cpu_us_in_all.min(other.cpu_us_in_all),
            cpu_us_pushing: best.cpu_us_pushing.min(other.cpu_us_pushing),
            peak_mb: best.peak_mb.max(other.peak_mb),
            sandbox_us: best.sandbox_us.min(other.sandbox_us),
        }));
    }
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) records: usize,
    pub(crate) value_bytes: usize,
    pub(crate) body_bytes: usize,
    pub(crate) bare: Option<Figures>,
    pub(crate) worker: Option<Figures>,
}

impl Row {
    pub(crate) fn head() {
        println!("CPU in us per record: of the whole run, and (pushing) from the first to the last push");
        println!(
            "latency in flight records  bytes in/out   worker/s     bare/s  ratio   worker CPU (pushing)  bare CPU  sandbox CPU  peak MB"
        );
    }

    pub(crate) fn print(&self, setup: &Setup) {
        let (Some(worker), Some(bare)) = (self.worker, self.bare) else { return };
        println!(
            "{:>7} {:>9} {:>7} {:>6}/{:<6} {:>10.0} {:>10.0} {:>6.2} {:>12.1} {:>9.1} {:>9.1} {:>12.1} {:>8.1}",
            setup.latency,
            setup.in_flight,
            self.records,
            self.value_bytes,
            self.body_bytes,
            worker.per_second,
            bare.per_second,
            worker.per_second / bare.per_second,
            worker.cpu_us_in_all,
            worker.cpu_us_pushing,
            bare.cpu_us_pushing,
            worker.sandbox_us,
            worker.peak_mb,
        );
    }
}
