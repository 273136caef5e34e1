//! The vouchers of a POI order: their number, their ids and their rules, as lists in one of two forms.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

use crate::douyin::fields::{Field, Findings, Object};
use crate::douyin::json_text::JsonText;
use crate::douyin::limits;

/// How `ext_ticket_ids` and `ticket_description` are sent (`douyin.ticket_lists`, D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketLists {
    /// JSON text of an array, the Go SDK's form.
    Text,
    /// A JSON array.
    Array,
}

/// A list of strings in one of two forms.
#[derive(Clone, Debug)]
pub enum TicketList<'a> {
    /// JSON text of an array of strings, without white space.
    Text(Vec<&'a str>),
    /// An array of strings.
    Array(Vec<&'a str>),
}

impl<'a> TicketList<'a> {
    pub(in crate::douyin) fn new(form: TicketLists, list: Vec<&'a str>) -> Self {
        match form {
            TicketLists::Text => Self::Text(list),
            TicketLists::Array => Self::Array(list),
        }
    }

    pub(in crate::douyin) fn write(&self, out: &mut JsonText) {
        let array = |out: &mut JsonText, list: &[&str]| {
            out.array(|out| {
                for text in list {
                    out.element();
                    out.string(text);
                }
            });
        };
        match self {
            Self::Text(list) => out.nested(|out| array(out, list)),
            Self::Array(list) => array(out, list),
        }
    }
}

impl Serialize for TicketList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(list) => serializer.serialize_str(&serde_json::to_string(list).map_err(S::Error::custom)?),
            Self::Array(list) => list.serialize(serializer),
        }
    }
}

impl JsonSchema for TicketList<'_> {
    fn schema_name() -> Cow<'static, str> {
        "TicketList".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let array = json_schema!({ "type": "array", "items": { "type": "string" } });
        json_schema!({
            "description": "Strings, as JSON text of an array or as an array (douyin.ticket_lists).",
            "oneOf": [
                { "type": "string", "contentMediaType": "application/json", "contentSchema": array },
                array,
            ],
        })
    }
}

/// Reads `count`, `ids` and `rules`. A rule over the documented 50 bytes is counted and sent as it is (D11).
pub(in crate::douyin) fn vouchers<'a>(
    document: &Object<'a, '_>,
    found: &mut Findings,
) -> (i64, Vec<&'a str>, Vec<&'a str>) {
    let field = document.required("vouchers", found);
    let Some(vouchers) = field.and_then(|field| field.object(found)) else { return (0, Vec::new(), Vec::new()) };
    let count = vouchers.integer("count", 0, found);
    let ids = vouchers.required("ids", found).map_or_else(Vec::new, |list| {
        strings(list, found, |field, found| field.text_within(limits::EXT_TICKET_ID, found))
    });
    let rules = vouchers.required("rules", found).map_or_else(Vec::new, |list| {
        let rules = strings(list, found, |field, found| field.text(found));
        if rules.len() > limits::RULES_MAX {
            let bound = limits::Bound::AtMost(limits::RULES_MAX);
            found.over(list.path, limits::RULE.field, rules.len(), "entries", bound);
        }
        rules
    });
    found.long_rules += rules.iter().map(|rule| u32::from(!limits::RULE.fits(rule.len()))).sum::<u32>();
    (count, ids, rules)
}

fn strings<'a>(
    list: Field<'a, '_>,
    found: &mut Findings,
    read: impl Fn(Field<'a, '_>, &mut Findings) -> &'a str,
) -> Vec<&'a str> {
    let elements = list.elements(found).iter().enumerate();
    elements.map(|(index, element)| read(list.element(element, index), found)).collect()
}
