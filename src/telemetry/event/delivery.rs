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

/// An app's deliveries go on.
#[derive(Debug)]
pub struct AppResumed<'a> {
    /// The app.
    pub app_id: &'a AppId,
}

impl AppResumed<'_> {
    /// Says so and sets the app's state.
    pub fn emit(self, meters: &Meters) {
        meters.circuit(self.app_id, CircuitState::Closed);
        info!(app_id = %self.app_id, "the app's deliveries go on");
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
        meters.token_fetched(self.app_id);
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
        meters.token_refused(self.app_id);
        warn!(app_id = %self.app_id, verdict = self.verdict, error = self.message, "no access token");
    }
}
