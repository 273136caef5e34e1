//! What a fault says, and what it does not say because it would only follow from another.

use super::Need;
use super::load_tests::{GOOD, Given, NOTHING, told};

#[test]
fn what_cannot_be_read_is_not_told_as_missing() {
    let file = |text: &str| told(&Given { file: Some(text), ..NOTHING });
    assert_eq!(
        file("[kafka]\nbrokers = \"a:1\"\nbrokers = \"b:1\"\n"),
        "order-sync.toml:3: is not TOML: duplicate key"
    );
    let text = GOOD.replace("[kafka]\n", "kafka = 5\n[store]\n");
    let text = text.replace("brokers =", "# ").replace("group_id =", "# ").replace("topics =", "# ");
    assert_eq!(file(&text), "order-sync.toml:2: kafka: must be a table; write [kafka]");
    let kafka = GOOD.split("[[apps]]").next().unwrap();
    assert_eq!(
        file(&format!("apps = 5\n{kafka}")),
        "order-sync.toml:1: apps: must be a list of tables; write [[apps]]"
    );
    // Another section is read all the same.
    assert!(
        file("kafka = 5\n[[apps]]\napp_id = \"tt1\"\nsecret_file = \"/secret\"\n")
            .contains("apps.client_key: is missing")
    );
    let outside = Given { file: Some(kafka), environment: &[("ORDER_SYNC__APPS", "[{app_id")], ..NOTHING };
    assert_eq!(told(&outside), "ORDER_SYNC__APPS: apps: is not TOML; write [{key = \"value\", …}]");
}

#[test]
fn only_a_secret_in_a_flag_is_warned_of() {
    let flags = |flags: &[&str]| told(&Given { file: Some(GOOD), flags, ..NOTHING });
    let warning = "a secret on the command line is seen by every user of the machine; use a file or a variable";
    assert_eq!(flags(&["douyin.proxy=http://127.0.0.1:9"]), "");
    assert_eq!(
        flags(&["douyin.proxy=http://CANARY:CANARY@127.0.0.1:9"]),
        format!("warning: --set: douyin.proxy: {warning}")
    );
    let app = "apps=[{app_id = \"tt1\", secret = \"CANARY\", client_key = \"ck\"}]";
    assert_eq!(flags(&[app]), format!("warning: --set: apps.tt1.secret: {warning}"));
    let variable = [("ORDER_SYNC__DOUYIN__PROXY", "http://CANARY:CANARY@127.0.0.1:9")];
    assert_eq!(told(&Given { file: Some(GOOD), environment: &variable, ..NOTHING }), "");
}

#[test]
fn an_app_without_an_id_has_no_variable_yet() {
    let text = told(&Given { file: Some(&GOOD.replace("app_id = \"tt1\"\nsecret_file", "# ")), ..NOTHING });
    assert!(text.contains("apps.secret: is missing; set ORDER_SYNC__APPS__<app_id>__SECRET, or secret_file"), "{text}");
    assert!(!text.contains("APPS____"), "{text}");
}

#[test]
fn an_unknown_section_is_answered_with_the_sections() {
    let known = "known here: shutdown_timeout, kafka, store, apps, douyin, delivery, circuit, limits, admin, log; ";
    let text = told(&Given { file: Some(GOOD), flags: &["a.b=1"], ..NOTHING });
    assert!(text.contains(&format!("a.b: unknown section; {known}")), "{text}");
    let text = told(&Given { file: Some(&format!("{GOOD}[zzz]\n")), ..NOTHING });
    assert!(text.contains(&format!("zzz: unknown key; {known}")), "{text}");
}

#[test]
fn an_app_that_the_file_does_not_have_is_told_beside_those_it_has() {
    let misspelt = [("ORDER_SYNC__APPS__tt9__SECRET", "CANARY")];
    let text = told(&Given { file: Some(GOOD), environment: &misspelt, ..NOTHING });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("apps.tt9.client_key: is missing; "), "{text}");
    let hint = "\"tt9\" is not in the settings file, which has tt1: if one of them is meant, correct the id";
    assert!(text.ends_with(hint), "{text}");
    let text = told(&Given { environment: &misspelt, ..NOTHING });
    assert!(text.contains("apps.tt9.client_key") && !text.contains("which has"), "{text}");
    let text = told(&Given { file: Some(GOOD), flags: &["apps.tt9.client_key=ck"], ..NOTHING });
    assert!(text.contains("apps.tt9.secret: is missing; ") && text.ends_with(hint), "{text}");
}

#[test]
fn what_does_not_go_together_is_told_where_it_stands_to_those_who_need_kafka() {
    let text = GOOD.replace("topics =", "properties = { \"linger.ms\" = 5 }\ntopics =");
    let given = Given { file: Some(&text), flags: &["kafka.properties.sasl.mechanism=PLAIN"], ..NOTHING };
    let both = "order-sync.toml:5: kafka.properties.linger.ms: does not go together\n\
                --set: kafka.properties: does not go together";
    assert_eq!(told(&given), both);
    assert_eq!(told(&Given { need: Need::Inspect, ..given }), both);
    assert_eq!(told(&Given { need: Need::Map, ..given }), "");
}
