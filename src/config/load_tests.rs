//! Whole loads: what layers make of one another, and the exact words for what is wrong.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use secrecy::ExposeSecret as _;

use super::*;
use crate::order::{OrderType, TimeUnit};

pub(super) const GOOD: &str = r#"
[kafka]
brokers = "kafka-1:9092"
group_id = "shop"
topics = ["orders"]
[[apps]]
app_id = "tt1"
secret_file = "/secret"
client_key = "ck1"
"#;

pub(super) struct Given<'a> {
    pub(super) file: Option<&'a str>,
    pub(super) environment: &'a [(&'a str, &'a str)],
    pub(super) flags: &'a [&'a str],
    pub(super) need: Need,
}

pub(super) const NOTHING: Given<'static> = Given { file: None, environment: &[], flags: &[], need: Need::Run };

fn load_given(given: &Given<'_>) -> Result<Loaded, Faults> {
    let environment: BTreeMap<OsString, OsString> =
        given.environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    let flags: Vec<String> = given.flags.iter().map(ToString::to_string).collect();
    load(&Sources {
        file: given.file.map(|text| ("order-sync.toml", text)),
        environment: &environment,
        flags: &flags,
        need: given.need,
        read_file: &|path| match path.to_str() {
            Some("/secret") => Ok(" hush\n".to_owned()),
            Some("/empty") => Ok("\n".to_owned()),
            Some("/kafka.properties" | "/run/secrets/kafka.properties") => {
                Ok("sasl.password=from-file\nclient.id=from-file\n".to_owned())
            }
            Some("/bad.properties") => Ok("a=1\nCANARY\n\nenable.auto.commit=CANARY\n".to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        },
        judge_properties: &|properties| {
            let named = properties.keys().filter(|name| ["acks", "enable.auto.commit"].contains(&name.as_str()));
            named.map(|name| (name.clone(), "is refused: the worker commits".to_owned())).collect()
        },
        judge_kafka: &|kafka| {
            let given = ["linger.ms", "sasl.mechanism"].into_iter().filter(|it| kafka.properties.contains_key(*it));
            let at = given.map(|name| (name == "linger.ms").then(|| name.to_owned()));
            at.map(|at| (at, "does not go together".to_owned())).collect()
        },
    })
}

fn good(given: &Given<'_>) -> Config {
    load_given(given).unwrap_or_else(|faults| panic!("{faults}")).config
}

/// All faults, then all warnings, one per line.
pub(super) fn told(given: &Given<'_>) -> String {
    let lines = match load_given(given) {
        Ok(loaded) => loaded.warnings.iter().map(|warning| format!("warning: {warning}")).collect(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
    };
    lines.join("\n")
}

#[test]
fn a_small_file_gets_the_documented_defaults() {
    let config = good(&Given { file: Some(GOOD), ..NOTHING });
    assert_eq!(config.kafka.dead_letter_topic, "shop.dead-letters");
    assert_eq!((config.kafka.create_topics, config.kafka.exactly_once), (true, true));
    assert_eq!(config.kafka.commit_interval.as_millis(), 100);
    assert_eq!(config.kafka.start_from, StartFrom::Earliest);
    assert_eq!(config.store.cache_bytes, 32 << 20);
    assert_eq!(config.apps.len(), 1);
    assert_eq!(config.apps[0].order_types, OrderType::ALL);
    assert_eq!(config.apps[0].update_time_unit, TimeUnit::Seconds);
    assert_eq!(config.douyin.base_url, "https://developer.toutiao.com");
    assert_eq!(config.douyin.open_base_url, "https://open.douyin.com");
    assert_eq!((config.douyin.request_timeout.as_secs(), config.douyin.connect_timeout.as_secs()), (5, 3));
    assert_eq!(config.douyin.token, TokenKind::AccessToken);
    assert_eq!((config.delivery.max_in_flight, config.delivery.max_owed), (256, 1_000_000));
    assert_eq!(config.delivery.max_buffered_bytes, 64 << 20);
    assert_eq!(config.delivery.requests_per_second, None);
    assert_eq!(config.delivery.initial_interval.as_millis(), 200);
    assert_eq!((config.delivery.max_interval.as_secs(), config.delivery.give_up_after.as_secs()), (60, 900));
    assert_eq!((config.limits.text, config.limits.max_clock_skew.as_secs()), (TextLimit::Truncate, 600));
    assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:9600");
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Auto, "info"));
    assert_eq!(config.shutdown_timeout.as_secs(), 10);
}

#[test]
fn each_layer_stands_over_the_one_before() {
    let file = format!("{GOOD}[delivery]\nmax_in_flight = 10\nmax_owed = 20\nrequests_per_second = 30\n");
    let config = good(&Given {
        file: Some(&file),
        environment: &[
            ("ORDER_SYNC__DELIVERY__MAX_OWED", "21"),
            ("ORDER_SYNC__DELIVERY__REQUESTS_PER_SECOND", "31"),
            ("ORDER_SYNC__KAFKA__TOPICS", "a, b"),
            ("ORDER_SYNC__KAFKA__BROKERS", "x:1,y:2"),
            ("ORDER_SYNC__APPS__TT1__UPDATE_TIME_UNIT", "milliseconds"),
            ("ORDER_SYNC__APPS__tt2__SECRET", "hush\n"),
            ("ORDER_SYNC__APPS__tt2__ORDER_TYPES", "[\"normal\"]"),
            ("ORDER_SYNC__DOUYIN__PROXY", ""),
            ("ORDER_SYNC_CONFIG", "not ours"),
            ("HOME", "/"),
        ],
        flags: &[
            "delivery.requests_per_second=32",
            "shutdown_timeout=3s",
            "apps.tt1.client_key=other",
            "log.level=debug",
        ],
        ..NOTHING
    });
    let delivery = &config.delivery;
    assert_eq!((delivery.max_in_flight, delivery.max_owed), (10, 21));
    assert_eq!(delivery.requests_per_second.unwrap().get(), 32);
    assert_eq!((config.kafka.topics.join("+"), config.kafka.brokers.as_str()), ("a+b".to_owned(), "x:1,y:2"));
    assert_eq!(config.shutdown_timeout.as_secs(), 3);
    let [one, two] = config.apps.as_slice() else { panic!("two apps") };
    assert_eq!((one.update_time_unit, one.client_key.as_deref()), (TimeUnit::Milliseconds, Some("other")));
    assert_eq!((two.app_id.as_str(), two.order_types.as_slice()), ("tt2", [OrderType::Normal].as_slice()));
    assert!(matches!(&two.secret, Secret::Inline(secret) if secret.expose_secret() == "hush"));
}

#[test]
fn everything_may_come_from_the_environment() {
    let config = good(&Given {
        environment: &[
            ("ORDER_SYNC__KAFKA__BROKERS", "k:9092"),
            ("ORDER_SYNC__KAFKA__GROUP_ID", "g"),
            ("ORDER_SYNC__KAFKA__TOPICS", "[\"orders\"]"),
            ("ORDER_SYNC__APPS", "[{app_id = \"tt1\", secret_file = \"/secret\", client_key = \"ck\"}]"),
            ("ORDER_SYNC__DOUYIN__ERROR_CODES", "[{code = -7, verdict = \"retry\"}]"),
        ],
        ..NOTHING
    });
    assert_eq!((config.apps.len(), config.douyin.error_codes[0].code), (1, -7));
}

#[test]
fn properties_are_merged_name_by_name() {
    let file = GOOD.replace(
        "[[apps]]",
        "properties_file = \"/kafka.properties\"\n[kafka.properties]\nsecurity.protocol = \"SSL\"\n\
         \"session.timeout.ms\" = 9000\nclient.id = \"from-table\"\n[[apps]]",
    );
    let config = good(&Given {
        file: Some(&file),
        environment: &[("ORDER_SYNC__KAFKA__PROPERTIES__SASL_USERNAME", "me")],
        flags: &["kafka.properties.socket.keepalive.enable=true"],
        ..NOTHING
    });
    let plain: Vec<_> = config.kafka.properties.iter().map(|(k, v)| format!("{k}={}", v.expose_secret())).collect();
    insta::assert_snapshot!(plain.join("\n"), @r"
    client.id=from-table
    sasl.password=from-file
    sasl.username=me
    security.protocol=SSL
    session.timeout.ms=9000
    socket.keepalive.enable=true
    ");
}

#[test]
fn a_changed_base_url_takes_the_token_endpoints_along() {
    let file = format!("{GOOD}[douyin]\nbase_url = \"http://127.0.0.1:9700/\"\n");
    let douyin = good(&Given { file: Some(&file), ..NOTHING }).douyin;
    assert_eq!(
        (douyin.base_url.as_str(), douyin.open_base_url.as_str()),
        ("http://127.0.0.1:9700", "http://127.0.0.1:9700")
    );
}

#[test]
fn mapping_needs_apps_only() {
    let file = "[[apps]]\napp_id = \"tt1\"\nclient_key = \"ck\"\n";
    assert_eq!(good(&Given { file: Some(file), need: Need::Map, ..NOTHING }).apps.len(), 1);
    insta::assert_snapshot!(told(&Given { file: Some(""), need: Need::Map, ..NOTHING }));
}

#[test]
fn nothing_at_all() {
    insta::assert_snapshot!(told(&NOTHING));
}

#[test]
fn every_fault_is_told_at_once() {
    insta::assert_snapshot!(told(&Given {
        file: Some(include_str!("faulty.toml")),
        environment: &[
            ("ORDER_SYNC__KAFKA__GRUOP_ID", "x"),
            ("ORDER_SYNC__DELIVER__MAX_OWED", "1"),
            ("ORDER_SYNC__DELIVERY__MAX_IN_FLIGHT", "many"),
            ("ORDER_SYNC__APPS__tt1__SECRETS", "CANARY"),
        ],
        flags: &["delivery.max_in_flight", "log.format=jsn", "apps.tt4.secret=CANARY"],
        ..NOTHING
    }));
}

#[test]
fn contradictions_and_bounds() {
    let cases = [
        ("later issue", "douyin.shop=1"),
        ("too short a memory", "store.retain=6d"),
        ("never is a word", "store.retain=0"),
        ("changelog into the source", "kafka.changelog_topic=orders"),
        ("dead letters into the source", "kafka.dead_letter_topic=orders"),
        ("topic twice", "kafka.topics=orders,orders"),
        ("no topic", "kafka.topics=[]"),
        ("topic name", "kafka.topics=a b"),
        ("empty group", "kafka.group_id= "),
        ("group that makes no topic", "kafka.group_id=a/b"),
        ("broker", "kafka.brokers=kafka:port"),
        ("start", "kafka.start_from=yesterday"),
        ("ten digits", "kafka.start_from=1700000000"),
        ("intervals", "delivery.max_interval=100ms"),
        ("intervals the other way", "delivery.initial_interval=2m"),
        ("too many", "delivery.max_in_flight=65537"),
        ("none", "delivery.requests_per_second=0"),
        ("bytes", "delivery.max_buffered_bytes=64MB"),
        ("few bytes", "delivery.max_buffered_bytes=1KiB"),
        ("a storm of one order", "circuit.rejected_orders=1"),
        ("url", "douyin.base_url=developer.toutiao.com"),
        ("proxy", "douyin.proxy=ftp://CANARY"),
        ("ca", "douyin.ca_file=/secret"),
        ("address", "admin.listen=localhost:9600"),
        ("level", "log.level=inof"),
        ("module", "log.level=info, order_sync"),
        ("secret file", "apps.tt1.secret_file=/empty"),
        ("no secret file", "apps.tt1.secret_file=/nowhere"),
        ("both", "apps.tt1.secret=CANARY"),
        ("no types", "apps.tt1.order_types=[]"),
        ("properties file", "kafka.properties_file=/bad.properties"),
        ("refused property", "kafka.properties.enable.auto.commit=true"),
        ("token", "douyin.token=CANARY"),
    ];
    let lines = cases
        .iter()
        .map(|(what, flag)| format!("{what}: {}", told(&Given { file: Some(GOOD), flags: &[flag], ..NOTHING })));
    let text = lines.collect::<Vec<_>>().join("\n");
    assert!(!text.contains("CANARY"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn warnings_stand_beside_the_settings() {
    let file = GOOD.replace("secret_file = \"/secret\"", "secret = \"CANARY\"");
    let file = format!("{file}[admin]\nlisten = \"0.0.0.0:9600\"\n[douyin]\nbase_url = \"http://example.com\"\n");
    insta::assert_snapshot!(told(&Given { file: Some(&file), flags: &["apps.tt1.secret=CANARY"], ..NOTHING }));
}

#[test]
fn no_secret_in_debug_or_faults() {
    let file = GOOD.replace("secret_file = \"/secret\"", "secret = \"CANARY\"");
    let file = format!(
        "{file}[douyin]\nproxy = \"http://CANARY:CANARY@proxy:1\"\n[kafka.properties]\nsasl.password = \"CANARY\"\n"
    );
    let loaded = load_given(&Given { file: Some(&file), ..NOTHING }).unwrap();
    assert!(!format!("{loaded:?}").contains("CANARY"));
    for broken in ["secret = CANARY", "secret = [\"CANARY\"]", "secret = \"CANARY", "secret = {a = \"CANARY\"}"] {
        let file = GOOD.replace("secret_file = \"/secret\"", broken);
        let faults = load_given(&Given { file: Some(&file), ..NOTHING }).unwrap_err();
        assert!(!format!("{faults} {faults:?}").contains("CANARY"), "{faults}");
        assert!(faults.to_string().contains("order-sync.toml:8"), "{faults}");
    }
}

#[test]
fn the_shipped_files_load() {
    for name in ["config/production.example.toml", "config/demo.toml"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        good(&Given { file: Some(&text), need: Need::Map, ..NOTHING });
    }
}

#[test]
fn the_dump_shows_every_key_and_no_secret() {
    let file = GOOD.replace("secret_file = \"/secret\"", "secret = \"CANARY\"");
    let file = format!(
        "{file}[douyin]\nproxy = \"http://CANARY:CAN@ARY@proxy:1\"\nca_file = \"/ca\"\n[[douyin.error_codes]]\ncode = -3\n\
         verdict = \"retry\"\n[kafka.properties]\nsasl.password = \"CANARY\"\nsession.timeout.ms = 9000\n"
    );
    let dump = good(&Given { file: Some(&file), need: Need::Map, ..NOTHING }).to_redacted_toml();
    assert!(!dump.contains("CANARY") && !dump.contains("CAN@ARY"), "{dump}");
    insta::assert_snapshot!(dump);
    let paths = key_paths().map(|path| path.rsplit('.').next().unwrap_or_default().to_owned());
    let absent: Vec<_> = paths.filter(|name| !dump.contains(&format!("{name} = "))).collect();
    // Left out where nothing is set, merged into `properties`, or another form of `secret`.
    assert_eq!(
        absent,
        [
            "properties_file",
            "properties",
            "secret_file",
            "token_url",
            "token_file",
            "message_contains",
            "meaning",
            "requests_per_second",
        ]
    );
}

fn sharing(kafka: &str, douyin: &str) -> bool {
    let file = format!("{}[douyin]\n{douyin}\n", GOOD.replace("[kafka]\n", &format!("[kafka]\n{kafka}\n")));
    good(&Given { file: Some(&file), ..NOTHING }).douyin.share_tokens
}

#[test]
fn tokens_are_shared_where_asked_for_and_never_beside_a_token_server() {
    assert!(sharing("", ""));
    assert!(!sharing("exactly_once = false", ""), "one worker per group");
    assert!(sharing("exactly_once = false", "share_tokens = true"));
    assert!(!sharing("", "token_url = \"https://tokens.example/{app_id}/\""));
    let faulty = |douyin: &str, part: &str| {
        let file = format!("{GOOD}[douyin]\n{douyin}\n");
        let told = told(&Given { file: Some(&file), ..NOTHING });
        assert!(told.contains(part), "{told}");
    };
    faulty("share_tokens = true\ntoken_file = \"/t\"", "share_tokens: is of no use beside token_url or token_file");
    faulty("token_url = \"https://a\"\ntoken_file = \"/t\"", "token_file: stands beside token_url");
    faulty("token_url = \"ftp://a\"", "token_url: is no http:// or https:// address");
}
