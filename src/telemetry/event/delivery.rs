//! What happens to deliveries and to the apps that they are for.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::order::AppId;
use crate::record::{RecordOffset, TopicPartition};
use crate::telemetry::meters::{CircuitState, Meters};

/// A record was set aside, and its letter is acknowledged.
#[derive(Debug)]
pub struct DeadLettered<'a> {
    /// The record's partition.
    pub source: &'a TopicPartition,
    /// The record's offset.
    pub offset: RecordOffset,
    /// The stable code, as in the letter's header.
    pub reason: &'static str,
    /// The order, where the event could be read so far.
    pub order_id: Option<&'a str>,
    /// The letter's message: names fields, never values.
    pub message: &'a str,
}

impl DeadLettered<'_> {
    /// Says so and counts it.
    pub fn emit(self, meters: &Meters) {
        meters.dead_letter(self.reason);
        warn!(
            topic = %self.source.topic,
            partition = self.source.partition,
            offset = self.offset.get(),
            order_id = self.order_id,
            reason = self.reason,
            detail = self.message,
            "dead letter"
        );
    }
}

/// The platform's configuration for an app is wrong; its deliveries wait.
#[derive(Debug)]
pub struct AppSuspended<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// The rule of the outcome table that says so.
    pub rule: &'a str,
    /// The platform's code.
    pub err_code: Option<i64>,
}

impl AppSuspended<'_> {
    /// Says so and sets the app's state.
    pub fn emit(self, meters: &Meters) {
        meters.circuit(self.app_id, CircuitState::Suspended);
        error!(
            app_id = %self.app_id,
            rule = self.rule,
            err_code = self.err_code,
            "the platform refuses this app; its deliveries wait until a person has put it right"
        );
    }
}

/// The platform rejects every order of an app; its deliveries wait before the dead-letter topic fills.
#[derive(Debug)]
pub struct RejectStorm<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Distinct orders rejected in a row.
    pub orders: usize,
    /// The last one's code.
    pub err_code: Option<i64>,
}

impl RejectStorm<'_> {
    /// Says so and sets the app's state.
    pub fn emit(self, meters: &Meters) {
        meters.circuit(self.app_id, CircuitState::Suspended);
        error!(
            app_id = %self.app_id,
            orders = self.orders,
            err_code = self.err_code,
            "the platform rejects every order of this app; its deliveries wait until one is accepted: look at its last \
             dead letters"
        );
    }
}

/// The platform is away for an app: its orders wait, and one at a time probes.
#[derive(Debug)]
pub struct CircuitOpened<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Deliveries owed.
    pub owed: usize,
}

impl CircuitOpened<'_> {
    /// Says so and sets the app's state.
    pub fn emit(self, meters: &Meters) {
        meters.circuit(self.app_id, CircuitState::Open);
        warn!(app_id = %self.app_id, owed = self.owed, "the platform is away: the app's orders wait and probe in turn");
    }
}

/// An app has no token, and none can be fetched: as good as a platform that is away.
#[derive(Debug)]
pub struct TokenAway<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Deliveries owed.
    pub owed: usize,
    /// What the last fetch came to, for people; holds no secret.
    pub why: &'a str,
}

impl TokenAway<'_> {
    /// Says so and sets the app's state.
    pub fn emit(self, meters: &Meters) {
        meters.circuit(self.app_id, CircuitState::Open);
        warn!(
            app_id = %self.app_id,
            owed = self.owed,
            "the app has no usable token, and none can be fetched because of an outage: its orders wait until one comes ({})",
            self.why
        );
    }
}

/// The platform has answered for an app that waited: the rate ramps up.
#[derive(Debug)]
pub struct CircuitHalfOpened<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Deliveries owed.
    pub owed: usize,
}

impl CircuitHalfOpened<'_> {
    /// Says so and sets the app's state.
    pub fn emit(self, meters: &Meters) {
        meters.circuit(self.app_id, CircuitState::HalfOpen);
        info!(app_id = %self.app_id, owed = self.owed, "the platform answers again: the app's rate ramps up");
    }
}

/// An app's deliveries run as before.
#[derive(Debug)]
pub struct CircuitClosed<'a> {
    /// The app.
    pub app_id: &'a AppId,
}

impl CircuitClosed<'_> {
    /// Says so and sets the app's state.
    pub fn emit(self, meters: &Meters) {
        meters.circuit(self.app_id, CircuitState::Closed);
        info!(app_id = %self.app_id, "the app's deliveries run as before");
    }
}

/// A token is at hand.
#[derive(Debug)]
pub struct TokenFetched<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// Its number in this process, from 1.
    pub generation: u64,
    /// How long it lives, by the platform's word.
    pub lifetime: Duration,
}

impl TokenFetched<'_> {
    /// Says so and counts it.
    pub fn emit(self, meters: &Meters) {
        meters.token(self.app_id, super::TokenResult::Fetched);
        info!(
            app_id = %self.app_id,
            generation = self.generation,
            lifetime_seconds = self.lifetime.as_secs(),
            "fetched an access token"
        );
    }
}

/// No token was given.
#[derive(Debug)]
pub struct TokenRefused<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// The verdict's word.
    pub verdict: &'a str,
    /// What the fetch came to, for people; holds no secret.
    pub message: &'a str,
}

impl TokenRefused<'_> {
    /// Says so and counts it.
    pub fn emit(self, meters: &Meters) {
        meters.token(self.app_id, super::TokenResult::Refused);
        warn!(app_id = %self.app_id, verdict = self.verdict, error = self.message, "no access token");
    }
}
