//! How a sandbox is set up.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::app_text::AppCredentials;
use super::fault_plan::Faults;
use super::outage::Outage;

/// Everything that can be set; the default is a strict Douyin without faults on a free loopback port.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Listen on an address that other machines reach, too. Everybody who reaches it may read orders and set faults.
    pub allow_public: bool,
    /// The apps that get tokens; with none, every app does, whatever its secret.
    pub apps: Vec<AppCredentials>,
    /// How long a token lives (2 h).
    pub token_lifetime: Duration,
    /// How long a token lives on after a newer one was fetched (5 min).
    pub token_retirement: Duration,
    /// History entries that are kept per order (200).
    pub keep: usize,
    /// Bytes that orders and history may take together (256 MiB); the oldest go first.
    pub memory_bytes: usize,
    /// The seed of every choice by chance.
    pub seed: u64,
    /// The faults from the start on.
    pub faults: Faults,
    /// The outages, counted from the start.
    pub outages: Vec<Outage>,
    /// Whether answers to pushes carry a log id (none: the documented answer has none).
    pub log_ids: LogIds,
    /// Threads that serve (as many as there are CPUs, at most 4).
    pub threads: usize,
}

/// Whether an answer names itself, so that the platform's support can find the call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogIds {
    /// It does not.
    None,
    /// In `extra.logid`, as the platform's other endpoints do: of the n-th push of an order always the same.
    InExtra,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_public: false,
            apps: Vec::new(),
            token_lifetime: Duration::from_secs(7200),
            token_retirement: Duration::from_secs(300),
            keep: 200,
            memory_bytes: 256 * 1024 * 1024,
            seed: 1,
            faults: Faults::default(),
            outages: Vec::new(),
            log_ids: LogIds::None,
            threads: std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(4)),
        }
    }
}

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is reachable from other machines.
    #[error(
        "{0} is not a loopback address: other machines could read orders and set faults; \
         listen on 127.0.0.1, or allow it with --allow-public"
    )]
    Public(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}; choose another port, or 0 for a free one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A thread or its event loop cannot be had.
    #[error("cannot start the sandbox's threads")]
    Threads(#[source] io::Error),
}
