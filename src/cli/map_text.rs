//! What became of an event, as text for a person at a terminal.

use serde_json::Value;

use super::map_log::Mapped;
use super::render::printable;

/// A line that says it, and for a push the request, indented, with the texts of `order_detail` unfolded.
pub(super) fn describe(number: i64, mapped: &Mapped) -> String {
    let order = mapped.order_id.as_deref().map_or_else(|| "-".to_owned(), printable);
    let update_time = mapped.update_time.map(|update_time| format!("  update_time {update_time}"));
    let fault = mapped.reason.zip(mapped.message.as_ref());
    let fault = fault.map(|(reason, message)| format!("  {reason}: {}", printable(message)));
    let request = mapped.request.as_ref().and_then(|request| serde_json::from_str(request.get()).ok());
    let request = request.map(|mut request| {
        unfold(&mut request);
        let pretty = serde_json::to_string_pretty(&request).unwrap_or_default();
        format!("\n  {}", pretty.replace('\n', "\n  "))
    });
    let rest = [update_time, fault, request].map(Option::unwrap_or_default).concat();
    format!("line {number}  order {order}  {}{rest}", mapped.outcome)
}

/// Puts JSON in place of the strings that hold JSON.
pub(super) fn unfold(value: &mut Value) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        let is_text = matches!(
            name.as_str(),
            "order_detail" | "entry_schema" | "goods_entry_schema" | "params" | "ext_ticket_ids" | "ticket_description"
        );
        let inner = member.as_str().filter(|_| is_text).and_then(|text| serde_json::from_str(text).ok());
        if let Some(inner) = inner {
            *member = inner;
            unfold(member);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::order::{DeadLetterReason, UpdateTime};

    #[test]
    fn a_push_is_shown_unfolded_and_a_dead_letter_in_one_line() {
        let request = r#"{"order_type":9101,"order_detail":"{\"goods_name\":\"麻花\",\"entry_schema\":\"{\\\"path\\\":\\\"p\\\",\\\"params\\\":\\\"{}\\\"}\"}"}"#;
        let advanced = Mapped {
            order_id: Some("D1".to_owned()),
            outcome: "advanced",
            reason: None,
            message: None,
            update_time: Some(UpdateTime(1_694_761_323)),
            request: Some(RawValue::from_string(request.to_owned()).unwrap()),
        };
        insta::assert_snapshot!(describe(1, &advanced), @r#"
        line 1  order D1  advanced  update_time 1694761323
          {
            "order_detail": {
              "entry_schema": {
                "params": {},
                "path": "p"
              },
              "goods_name": "麻花"
            },
            "order_type": 9101
          }
        "#);
        let dead = Mapped {
            order_id: Some("\u{1b}[2J".to_owned()),
            outcome: "dead_letter",
            reason: Some(DeadLetterReason::MalformedEvent),
            message: Some("status is missing".to_owned()),
            update_time: None,
            request: None,
        };
        insta::assert_snapshot!(describe(2, &dead), @r"line 2  order \u{1b}[2J  dead_letter  malformed_event: status is missing");
    }
}
