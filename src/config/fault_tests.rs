//! What a fault says, and what it does not say because it would only follow from another.

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
