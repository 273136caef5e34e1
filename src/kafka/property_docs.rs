//! The list of refused properties in docs/configuration.md, made from the rules, and the test that keeps it so.
//! `ORDER_SYNC_BLESS=1 cargo test --lib kafka::property_docs` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use super::properties::{RULES, Rule};

const BEGIN: &str = "<!-- refused: begin, made from src/kafka/properties.rs -->\n";
const END: &str = "<!-- refused: end -->\n";

fn table() -> String {
    let mut text = "| property | refused | why, and what to do instead |\n|---|---|---|\n".to_owned();
    for (name, rule, reason) in RULES {
        let when = match rule {
            Rule::Always => "always".to_owned(),
            Rule::Unless(values) => {
                let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
                format!("unless {}", values.join(", "))
            }
            Rule::Below(least) => format!("below {least}"),
        };
        writeln!(text, "| `{name}` | {when} | {reason} |").unwrap();
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a switch of this test, no setting of the program")]
fn the_reference_names_every_refused_property() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/configuration.md has lost its begin mark");
    let (_, after) = rest.split_once(END).expect("docs/configuration.md has lost its end mark");
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    if text != expected {
        assert!(
            std::env::var_os("ORDER_SYNC_BLESS").is_some(),
            "docs/configuration.md is not what src/kafka/properties.rs says; write it anew: make docs"
        );
        std::fs::write(&path, expected).unwrap();
    }
}
