//! Without transactions a second worker of a group is refused before it joins: looked for at the start, where the brokers
//! tell who is in the group. A worker that was killed stays there until its session ends, so that is waited for.

use std::time::{Duration, Instant};

use crate::config;
use crate::kafka::topics::Topics;
use crate::sync::ports::PortError;

/// librdkafka's own session.timeout.ms.
const SESSION: Duration = Duration::from_secs(45);
/// How much later than its session a member may be seen.
const GRACE: Duration = Duration::from_secs(5);

/// The look-out for other members.
#[derive(Debug, Default)]
pub(super) struct Company {
    seen: Option<Instant>,
}

impl Company {
    /// [`PortError::Passing`] while a member is in the group that may be gone, [`PortError::Fatal`] when it stays for
    /// longer than a session. Brokers that do not tell are not waited for.
    pub(super) fn look(&mut self, topics: &Topics, config: &config::Kafka) -> Result<(), PortError> {
        let members = match topics.members(&config.group_id) {
            Ok(members) => members,
            Err(error) => {
                tracing::debug!(%error, "the group's members are not known");
                return Ok(());
            }
        };
        if members.is_empty() {
            return Ok(());
        }
        let since = *self.seen.get_or_insert_with(Instant::now);
        let words = format!(
            "the group {} has a member, {}, and without transactions (kafka.exactly_once = false) one worker works for a group",
            config.group_id,
            members.join(", ")
        );
        if since.elapsed() <= session(config) + GRACE {
            return Err(PortError::Passing(format!("{words}; waiting for it to leave, or its session to end")));
        }
        Err(PortError::Fatal(format!("{words}: stop it first; or set kafka.exactly_once = true for several")))
    }
}

/// How long the brokers keep a member that is not heard of.
fn session(config: &config::Kafka) -> Duration {
    use secrecy::ExposeSecret as _;
    let set = config.properties.get("session.timeout.ms").and_then(|text| text.expose_secret().parse().ok());
    set.map_or(SESSION, Duration::from_millis)
}
