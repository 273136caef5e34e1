//! The topics around the worker: how many partitions the source has, and whether the dead-letter topic fits it. The
//! changelog is in `changelog_topic.rs`; what each of its own is made with, and has to keep, in `own_topics.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _};

use super::chatter::Chatter;
use super::client::{self, ASK_TIMEOUT};
use super::consumer::lookup;
use super::copies::Copies;
use super::failure::port_error;
use super::own_topics::OwnTopic;
use super::status::{Problem, Status};
use super::wait::{block_on, drain_producer};
use crate::config;
use crate::sync::ports::PortError;

/// Asks the brokers about topics, and creates the worker's own. Every call is bounded by a few seconds.
pub struct Topics {
    /// Asks; it can say why brokers do not answer, which an admin client cannot, as nothing reads its events.
    asker: BaseProducer<Chatter>,
    client: ClientConfig,
    chatter: Chatter,
    /// Reads settings and makes topics. It takes a tenth of a second to end, so that one does for all questions.
    admin: Mutex<Option<Arc<AdminClient<Chatter>>>>,
    missing: Missing,
}

/// What is done about a topic of the worker's own that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// It is made, unless `kafka.create_topics` says otherwise.
    Made,
    /// It is told, whatever the settings say.
    Told,
}

/// A topic counts as gone when this many looks have not found it: a broker that has just started hears of its topics one
/// after another.
const LOOKS: usize = 3;
/// The wait between two of them.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long the reason of a failed question is waited for; it stands in the queue by then.
const REASON_TIMEOUT: Duration = Duration::from_millis(50);

/// What became of a topic of the worker's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was there, with this many partitions.
    Present(i32),
    /// It was created with this many partitions.
    Created(i32),
}

impl Topics {
    /// Makes the client; talks to nobody yet.
    pub fn connect(config: &config::Kafka) -> Result<Self, PortError> {
        let mut client = client::common(config)?;
        // The question of a producer about a topic may create it: never a mistyped one.
        client.set("allow.auto.create.topics", "false");
        let chatter = Chatter::new(config, Status::new());
        let asker = client
            .create_with_context(chatter.clone())
            .map_err(|e| port_error("cannot make a client that asks about topics", &e))?;
        Ok(Self { asker, client, chatter, admin: Mutex::default(), missing: Missing::Made })
    }

    /// Makes nothing from here on: what is missing is told.
    #[must_use]
    pub fn looking(self) -> Self {
        Self { missing: Missing::Told, ..self }
    }

    /// Nothing is asked for a while: takes in what the client was told meanwhile.
    pub(super) fn rest(&self) {
        drain_producer(&self.asker);
        self.leave_admin();
    }

    /// The cluster's id; `None` while no broker answers, or where it has none.
    pub fn cluster_id(&self) -> Option<String> {
        self.asker.client().fetch_cluster_id(ASK_TIMEOUT)
    }

    /// The same for those who must not go on without it: an error while no broker answers. `None` where the cluster has none.
    pub fn known_cluster_id(&self, config: &config::Kafka) -> Result<Option<String>, PortError> {
        // Who answers this has told it.
        if let Some(topic) = config.topics.first() {
            self.partition_count(topic)?;
        }
        Ok(self.cluster_id())
    }

    /// How many partitions a topic has; `None` where it does not exist. [`PortError::Passing`] while no broker answers.
    pub fn partition_count(&self, topic: &str) -> Result<Option<i32>, PortError> {
        let found = lookup::partition_count(self.asker.client(), topic);
        let doing = format!("cannot look up topic {topic}");
        if found.is_ok() {
            // What kept them from answering once is not the reason of what fails later.
            self.chatter.status().clear(&Problem::Brokers);
        }
        found.map_err(|error| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => PortError::Passing(format!(
                "{doing}: the brokers deny this user the operation Describe on it; grant it, and Read, and Write on topics of \
                 the worker's own"
            )),
            _ => self.with_reason(&port_error(&doing, &error)),
        })
    }

    /// Whether any broker answers so soon.
    pub(super) fn answers(&self, topic: &str, within: Duration) -> bool {
        self.asker.client().fetch_metadata(Some(topic), within).is_ok()
    }

    /// Whether a topic is gone for certain. Takes a second where it is not there.
    pub fn is_gone(&self, topic: &str) -> Result<bool, PortError> {
        for look in 0..LOOKS {
            if look > 0 {
                std::thread::park_timeout(LOOK_AGAIN);
            }
            if self.partition_count(topic)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// "Transport failure" is all that a question is answered with; a wrong password or certificate is told beside it.
    fn with_reason(&self, error: &PortError) -> PortError {
        self.asker.poll(REASON_TIMEOUT);
        self.leave_admin();
        let said = self.chatter.status().problems();
        let words = |words: &str| said.first().map_or_else(|| words.to_owned(), |reason| format!("{words}: {reason}"));
        match error {
            PortError::Passing(error) => PortError::Passing(words(error)),
            PortError::Fatal(error) | PortError::Damaged(error) | PortError::Refused(_, error) => {
                PortError::Fatal(words(error))
            }
        }
    }

    /// Who is in a group: client id and host of each member. Not told: members under group.protocol = "consumer".
    pub fn members(&self, group: &str) -> Result<Vec<String>, PortError> {
        let found = self.asker.client().fetch_group_list(Some(group), ASK_TIMEOUT);
        let found = found.map_err(|error| port_error("cannot learn who is in the group", &error))?;
        let groups = found.groups().iter().filter(|info| info.name() == group);
        let members = groups.flat_map(rdkafka::groups::GroupInfo::members);
        Ok(members.map(|member| format!("{} at {}", member.client_id(), member.client_host())).collect())
    }

    /// The partition count of every source topic that is there.
    pub fn sources(&self, config: &config::Kafka) -> Result<BTreeMap<String, Option<i32>>, PortError> {
        config.topics.iter().map(|topic| Ok((topic.clone(), self.partition_count(topic)?))).collect()
    }

    /// Sees to it that the dead-letter topic is there with at least as many partitions as the widest source topic, as a
    /// dead letter goes to the partition of its record's number. Passing while a source topic or every broker is
    /// missing: try again later.
    pub fn ensure_dead_letters(&self, config: &config::Kafka) -> Result<Ensured, PortError> {
        let (source, needed) = self.widest(config)?;
        let topic = &config.dead_letter_topic;
        match self.partition_count(topic)? {
            Some(there) if there >= needed => Ok(Ensured::Present(there)),
            Some(there) => Err(PortError::Fatal(format!(
                "the dead-letter topic {topic} has {there} partitions, but {source} has {needed}: a dead letter goes to the \
                 partition of the same number. Add partitions: {}",
                widen_command(config, needed)
            ))),
            None if self.makes(config) => self.create(config, OwnTopic::DeadLetters, needed),
            None => Err(self.missing(&format!("the dead-letter topic {topic}"), &create_command(config, needed))),
        }
    }

    /// Sees to it that the topic through which workers share tokens is there.
    pub fn ensure_tokens(&self, config: &config::Kafka) -> Result<Ensured, PortError> {
        let topic = config.token_topic();
        match self.partition_count(&topic)? {
            Some(there) => Ok(Ensured::Present(there)),
            None if self.makes(config) => self.create(config, OwnTopic::Tokens, 1),
            None => Err(self.missing(
                &format!("the token topic {topic} (needed unless douyin.share_tokens = false, with one worker)"),
                &create_tokens_command(config),
            )),
        }
    }

    /// The source topic with the most partitions, and how many they are.
    pub fn widest(&self, config: &config::Kafka) -> Result<(String, i32), PortError> {
        let mut widest: Option<(String, i32)> = None;
        for (topic, count) in self.sources(config)? {
            let Some(count) = count else {
                return Err(PortError::Passing(no_source(&topic)));
            };
            if widest.as_ref().is_none_or(|(_, most)| count > *most) {
                widest = Some((topic, count));
            }
        }
        widest.ok_or_else(|| PortError::Fatal("kafka.topics names no topic".to_owned()))
    }

    /// Whether a topic of the worker's own that is not there is made.
    pub(super) fn makes(&self, config: &config::Kafka) -> bool {
        config.create_topics && self.missing == Missing::Made
    }

    /// A topic is not there and is not made; `command` would make it.
    pub(super) fn missing(&self, what: &str, command: &str) -> PortError {
        PortError::Fatal(match self.missing {
            Missing::Made => {
                format!("{what} does not exist and kafka.create_topics is false. Create it: {command}")
            }
            Missing::Told => format!("{what} does not exist. `order-sync topics create` makes it, or: {command}"),
        })
    }

    pub(super) fn admin(&self) -> Result<Arc<AdminClient<Chatter>>, PortError> {
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(admin) = &*admin {
            return Ok(Arc::clone(admin));
        }
        let made = self.client.create_with_context(self.chatter.clone());
        let made = Arc::new(made.map_err(|e| port_error("cannot make an admin client", &e))?);
        *admin = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Nobody reads what the library tells an admin client: it is kept for no time in which brokers may be away.
    fn leave_admin(&self) {
        self.admin.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The copies of each partition of a topic.
    pub(super) fn copies(&self, topic: &str) -> Result<Vec<Copies>, PortError> {
        let doing = format!("cannot look up topic {topic}");
        let metadata = self.asker.client().fetch_metadata(Some(topic), ASK_TIMEOUT);
        let metadata = metadata.map_err(|error| port_error(&doing, &error))?;
        let partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
        Ok(partitions.map(Copies::from).collect())
    }

    pub(super) fn create(&self, config: &config::Kafka, own: OwnTopic, partitions: i32) -> Result<Ensured, PortError> {
        let topic = &own.name(config);
        let doing = format!("cannot create the topic {topic}");
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
        for (name, value) in own.made_with() {
            new = new.set(name, value);
        }
        let results = block_on(self.admin()?.create_topics([&new], &options())).map_err(|e| port_error(&doing, &e))?;
        for result in results {
            match result {
                Ok(_) => {}
                // Another worker was faster, or this broker had not heard of it yet: its width is yet to be checked.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                    return Err(PortError::Passing(format!("{topic} was created a moment ago; looking at it again")));
                }
                Err((_, code)) => return Err(port_error(&doing, &KafkaError::AdminOp(code))),
            }
        }
        Ok(Ensured::Created(partitions))
    }
}

/// A source topic is not there, in words.
pub fn no_source(topic: &str) -> String {
    format!(
        "the source topic {topic} does not exist, or this user may not see it: create it, or correct kafka.topics; the \
         partitions of the worker's own topics follow from it"
    )
}

pub(super) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK_TIMEOUT)).operation_timeout(Some(ASK_TIMEOUT))
}

/// The command that creates the dead-letter topic as the worker itself would.
pub fn create_command(config: &config::Kafka, partitions: i32) -> String {
    creation(config, OwnTopic::DeadLetters, partitions)
}

/// The command that creates a topic as the worker itself would.
pub(super) fn creation(config: &config::Kafka, own: OwnTopic, partitions: i32) -> String {
    let settings: Vec<String> = own.made_with().map(|(name, value)| format!("--config {name}={value}")).collect();
    let topic = own.name(config);
    command(config, &format!("--create --topic {topic} --partitions {partitions} {}", settings.join(" ")))
}

/// The command that creates the token topic as the worker itself would.
pub fn create_tokens_command(config: &config::Kafka) -> String {
    creation(config, OwnTopic::Tokens, 1)
}

/// The command that gives the dead-letter topic as many partitions as it needs.
pub fn widen_command(config: &config::Kafka, partitions: i32) -> String {
    widening(config, &config.dead_letter_topic, partitions)
}

/// The command that gives a topic more partitions.
pub(super) fn widening(config: &config::Kafka, topic: &str, partitions: i32) -> String {
    command(config, &format!("--alter --topic {topic} --partitions {partitions}"))
}

fn command(config: &config::Kafka, what: &str) -> String {
    tool(config, "kafka-topics.sh", what)
}

/// A command of Kafka's own tools.
pub(super) fn tool(config: &config::Kafka, name: &str, what: &str) -> String {
    // Java's tools take the way in, TLS and password, from a file of their own.
    let secured = config.properties.contains_key("security.protocol");
    let way_in = if secured { " --command-config client.properties" } else { "" };
    format!("{name} --bootstrap-server {}{way_in} {what}", config.brokers)
}
