//! What happens to a fleet, and when: drawn from the seed.

use std::time::Duration;

/// One thing that happens to one worker, to a broker, or to the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `kill -9`, and a start on the same directory.
    Kill,
    /// `kill -9`, and a start on an empty directory.
    KillOntoEmpty,
    /// Stopped for longer than its session and its transaction last, then it goes on where it was.
    Stop,
    /// Asked to end, and a start on the same directory.
    Terminate,
    /// Asked to end, and a start on an empty directory.
    TerminateOntoEmpty,
    /// A broker stops and starts again.
    Broker,
    /// The platform is away for so long; one worker is killed meanwhile.
    Outage(Duration),
}

/// The acts in the seed's order, each with the share of the work that is done when it comes.
pub fn script(seed: u64, acts: &[Act]) -> Vec<(f64, Act)> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut acts = acts.to_vec();
    rng.shuffle(&mut acts);
    let slots = f64::from(u32::try_from(acts.len()).unwrap()) + 0.5;
    let mut places = 0_u32..;
    acts.into_iter().map(|act| ((f64::from(places.next().unwrap()) + 0.2 + 0.7 * rng.f64()) / slots, act)).collect()
}
