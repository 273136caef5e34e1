//! The settings in force as TOML, for people: `order-sync check --print` and the first log line of a run.
//!
//! No secret stands in it: secrets, proxy credentials and properties that may hold a password are replaced by words.

use secrecy::ExposeSecret as _;
use toml_edit::{Array, Value};

use super::value::{NEVER, size};
use super::{
    App, Circuit, Config, Douyin, GoodsEntryType, Kafka, LogFormat, Secret, StartFrom, TextLimit, TicketLists,
    TokenKind, format_duration, is_hidden,
};
use crate::order::TimeUnit;

/// What stands for a value that is not shown.
const HIDDEN: &str = "(hidden)";

impl Config {
    /// The settings in force as TOML, without any secret. It is for reading; hidden values keep it from being loaded.
    pub fn to_redacted_toml(&self) -> String {
        let mut dump = Dump(String::new());
        dump.put("shutdown_timeout", format_duration(self.shutdown_timeout));
        dump.kafka(&self.kafka);
        dump.head("[store]");
        dump.put("path", self.store.path.display().to_string());
        dump.put("cache_bytes", size(self.store.cache_bytes));
        dump.put("retain", self.store.retain.map_or_else(|| NEVER.to_owned(), format_duration));
        for app in &self.apps {
            dump.app(app);
        }
        dump.douyin(&self.douyin);
        dump.head("[delivery]");
        dump.put("max_in_flight", count(self.delivery.max_in_flight));
        dump.put("max_owed", count(self.delivery.max_owed));
        dump.put("max_buffered_bytes", size(self.delivery.max_buffered_bytes.try_into().unwrap_or(u64::MAX)));
        dump.maybe("requests_per_second", self.delivery.requests_per_second.map(|rate| i64::from(rate.get())));
        dump.put("initial_interval", format_duration(self.delivery.initial_interval));
        dump.put("max_interval", format_duration(self.delivery.max_interval));
        dump.put("give_up_after", format_duration(self.delivery.give_up_after));
        dump.circuit(&self.circuit);
        dump.head("[limits]");
        dump.put(
            "text",
            match self.limits.text {
                TextLimit::Truncate => "truncate",
                TextLimit::Strict => "strict",
            },
        );
        dump.put("max_clock_skew", format_duration(self.limits.max_clock_skew));
        dump.head("[admin]");
        dump.put("listen", self.admin.listen.map_or_else(|| "off".to_owned(), |address| address.to_string()));
        dump.head("[log]");
        dump.put(
            "format",
            match self.log.format {
                LogFormat::Auto => "auto",
                LogFormat::Pretty => "pretty",
                LogFormat::Json => "json",
            },
        );
        dump.put("level", self.log.level.as_str());
        dump.0
    }
}

struct Dump(String);

impl Dump {
    fn head(&mut self, head: &str) {
        self.line(&format!("\n{head}"));
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.line(&format!("{key} = {}", value.into()));
    }

    fn maybe(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn kafka(&mut self, kafka: &Kafka) {
        self.head("[kafka]");
        self.put("brokers", kafka.brokers.as_str());
        self.put("group_id", kafka.group_id.as_str());
        self.put("topics", kafka.topics.iter().collect::<Array>());
        self.put("dead_letter_topic", kafka.dead_letter_topic.as_str());
        self.put("changelog_topic", kafka.changelog_topic.as_str());
        self.put("create_topics", kafka.create_topics);
        self.put("exactly_once", kafka.exactly_once);
        self.put("revoke_timeout", format_duration(kafka.revoke_timeout));
        self.put("commit_interval", format_duration(kafka.commit_interval));
        match kafka.start_from {
            StartFrom::Earliest => self.put("start_from", "earliest"),
            StartFrom::Latest => self.put("start_from", "latest"),
            StartFrom::Time(millis) => self.put("start_from", millis),
        }
        if !kafka.properties.is_empty() {
            self.head("[kafka.properties]");
        }
        for (name, value) in &kafka.properties {
            let shown = if is_hidden(name) { HIDDEN } else { value.expose_secret() };
            self.put(&Value::from(name.as_str()).to_string(), shown);
        }
    }

    fn app(&mut self, app: &App) {
        self.head("[[apps]]");
        self.put("app_id", app.app_id.as_str());
        match &app.secret {
            Secret::Inline(_) => self.put("secret", HIDDEN),
            Secret::File(path) => self.put("secret_file", path.display().to_string()),
        }
        self.maybe("client_key", app.client_key.as_deref());
        self.put("order_types", app.order_types.iter().map(|kind| kind.as_str()).collect::<Array>());
        self.put(
            "update_time_unit",
            match app.update_time_unit {
                TimeUnit::Seconds => "seconds",
                TimeUnit::Milliseconds => "milliseconds",
            },
        );
    }

    fn circuit(&mut self, circuit: &Circuit) {
        self.head("[circuit]");
        self.put("window", format_duration(circuit.window));
        self.put("failed_orders", count(circuit.failed_orders));
        self.put("failed_attempts", i64::from(circuit.failed_attempts));
        self.put("probe_initial_interval", format_duration(circuit.probe_initial_interval));
        self.put("probe_max_interval", format_duration(circuit.probe_max_interval));
        self.put("ramp_interval", format_duration(circuit.ramp_interval));
        self.put("suspended_probe_interval", format_duration(circuit.suspended_probe_interval));
        self.put("rejected_orders", count(circuit.rejected_orders));
        self.put("partial_orders", count(circuit.partial_orders));
        self.put("partial_percent", i64::from(circuit.partial_percent));
    }

    fn douyin(&mut self, douyin: &Douyin) {
        self.head("[douyin]");
        self.put("base_url", douyin.base_url.as_str());
        self.put("open_base_url", douyin.open_base_url.as_str());
        self.put("request_timeout", format_duration(douyin.request_timeout));
        self.put("connect_timeout", format_duration(douyin.connect_timeout));
        self.put(
            "token",
            match douyin.token {
                TokenKind::AccessToken => "access_token",
                TokenKind::ClientToken => "client_token",
                TokenKind::StableClientToken => "stable_client_token",
            },
        );
        self.maybe("token_url", douyin.token_url.clone());
        self.maybe("token_file", douyin.token_file.clone());
        self.put("share_tokens", douyin.share_tokens);
        self.maybe("proxy", douyin.proxy.as_ref().map(|proxy| without_user(proxy.expose_secret())));
        self.maybe("ca_file", douyin.ca_file.as_ref().map(|path| path.display().to_string()));
        self.put(
            "ticket_lists",
            match douyin.ticket_lists {
                TicketLists::Text => "text",
                TicketLists::Array => "array",
            },
        );
        self.put(
            "goods_entry_type",
            match douyin.goods_entry_type {
                GoodsEntryType::String => "string",
                GoodsEntryType::Integer => "integer",
            },
        );
        for rule in &douyin.error_codes {
            self.head("[[douyin.error_codes]]");
            self.put("code", rule.code);
            self.maybe("message_contains", rule.message_contains.as_deref());
            self.put("verdict", rule.verdict.as_str());
            self.maybe("meaning", Some(rule.meaning.as_str()).filter(|meaning| !meaning.is_empty()));
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A proxy address without what stands before its last `@`.
fn without_user(proxy: &str) -> String {
    match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{HIDDEN}@{host}"),
        (_, None) => proxy.to_owned(),
        (None, Some(_)) => HIDDEN.to_owned(),
    }
}
