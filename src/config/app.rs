//! `[[apps]]`: the mini-programs whose orders are synced, and their secrets.

use std::path::PathBuf;

use secrecy::SecretString;

use super::Need;
use super::key::{Absent, Key, Kind, Section, Shape};
use super::origin::Layer;
use super::reader::Reader;
use crate::order::{AppId, OrderType, TimeUnit};

/// One of `[[apps]]`
#[derive(Clone, Debug)]
pub struct App {
    /// `app_id`
    pub app_id: AppId,
    /// `secret` or `secret_file`
    pub secret: Secret,
    /// `client_key`: for group coupons and tickets.
    pub client_key: Option<String>,
    /// `order_types`: all, unless narrowed.
    pub order_types: Vec<OrderType>,
    /// `update_time_unit` (seconds).
    pub update_time_unit: TimeUnit,
}

/// Where an app's secret comes from.
#[derive(Clone, Debug)]
pub enum Secret {
    /// Given as it is (environment, or the file, with a warning).
    Inline(SecretString),
    /// A file that is read again when it changes; surrounding white space is cut.
    File(PathBuf),
}

pub(super) const SECTION: Section = Section {
    path: "apps",
    shape: Shape::Rows,
    doc: "The mini-programs, one [[apps]] table each. ORDER_SYNC__APPS__<app_id>__<KEY> sets a key of one app.",
    keys: &[
        Key {
            name: "app_id",
            kind: Kind::Text,
            absent: Absent::Fault("\"tt0123456789abcdef01\""),
            doc: "The mini-program's app id, as the developer console shows it.",
        },
        Key {
            name: "secret",
            kind: Kind::Secret,
            absent: Absent::Nothing("\"…\""),
            doc: "The app's secret. In this file it draws a warning; better ORDER_SYNC__APPS__<app_id>__SECRET, or \
                  `secret_file`. One of the two is required to run.",
        },
        Key {
            name: "secret_file",
            kind: Kind::Text,
            absent: Absent::Nothing("\"/run/secrets/douyin\""),
            doc: "A file that holds the secret and nothing else. It is read again when it changes, so that a new secret \
                  needs no restart.",
        },
        Key {
            name: "client_key",
            kind: Kind::Text,
            absent: Absent::Nothing("\"aw0123456789abcd\""),
            doc: "The client key of the open platform, sent with group coupons and tickets; required unless \
                  `order_types = [\"normal\"]`.",
        },
        Key {
            name: "order_types",
            kind: Kind::Words(&["normal", "group_coupon", "ticket"]),
            absent: Absent::Default("[\"normal\", \"group_coupon\", \"ticket\"]"),
            doc: "The order types that the app may sync. An event of another type becomes a dead letter \
                  (`malformed_order`).",
        },
        Key {
            name: "update_time_unit",
            kind: Kind::Word(&["seconds", "milliseconds"]),
            absent: Absent::Default("\"seconds\""),
            doc: "The unit of update_time, in which the platform compares states. It can go from seconds to \
                  milliseconds, on all workers together (docs/upgrading.md), which is told by a WARN line. Never go back \
                  from milliseconds to seconds: every later state would look older than those already pushed. `run` \
                  refuses it once an order has a stamp in milliseconds.",
        },
    ],
};

/// Reads one of `[[apps]]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> App {
    let app_id = app_id(reader);
    let secret = secret(reader, &app_id);
    let order_types = order_types(reader);
    let client_key = client_key(reader, &app_id, &order_types);
    let unit = reader.text("update_time_unit");
    App {
        app_id: AppId::new(app_id),
        secret,
        client_key,
        order_types,
        update_time_unit: if unit == "milliseconds" { TimeUnit::Milliseconds } else { TimeUnit::Seconds },
    }
}

fn app_id(reader: &mut Reader<'_, '_>) -> String {
    let app_id = reader.text("app_id");
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if app_id.len() > 64 || !app_id.chars().all(fits) {
        reader.fault("app_id", "is no app id; copy it from the developer console: letters and digits, at most 64");
    }
    app_id
}

fn secret(reader: &mut Reader<'_, '_>, app_id: &str) -> Secret {
    let (inline, file) = (reader.secret("secret"), reader.path("secret_file"));
    if inline.is_some() && reader.origin("secret").layer == Layer::File {
        reader.warn(
            "secret",
            format!(
                "a secret in the settings file is easily copied along with it; better {} or secret_file",
                variable(app_id)
            ),
        );
    }
    if inline.is_some() {
        reader.warn_of_secret_flag("secret");
    }
    let nothing = || Secret::Inline(SecretString::from(""));
    match (inline, file) {
        (Some(_), Some(path)) => {
            let place = reader.origin("secret_file");
            reader.fault("secret", format!("secret and secret_file ({place}) are both given; keep one of them"));
            Secret::File(path)
        }
        (Some(secret), None) => Secret::Inline(secret),
        (None, Some(path)) => {
            if reader.context.need == Need::Run
                && reader.file("secret_file", &path).is_some_and(|text| text.trim().is_empty())
            {
                reader.fault("secret_file", format!("{} is empty; put the app's secret into it", path.display()));
            }
            Secret::File(path)
        }
        (None, None) => {
            let waived = reader.context.need != Need::Run || reader.given("secret") || reader.given("secret_file");
            if !waived {
                let variable = variable(app_id);
                let other = other_apps(reader, app_id);
                reader.missing("secret", &format!("set {variable}, or secret_file{other}"));
            }
            nothing()
        }
    }
}

/// The variable of an app's secret; an app whose id is missing has no variable yet.
fn variable(app_id: &str) -> String {
    format!("ORDER_SYNC__APPS__{}__SECRET", if app_id.is_empty() { "<app_id>" } else { app_id })
}

/// For an app that only variables or flags name: the apps of the file, one of which may have been meant.
fn other_apps(reader: &Reader<'_, '_>, app_id: &str) -> String {
    let in_file = &reader.context.apps_in_file;
    if in_file.is_empty() || matches!(reader.origin("app_id").layer, Layer::Default | Layer::File) {
        return String::new();
    }
    let ids = in_file.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    format!("; \"{app_id}\" is not in the settings file, which has {ids}: if one of them is meant, correct the id")
}

fn order_types(reader: &mut Reader<'_, '_>) -> Vec<OrderType> {
    let words = reader.texts("order_types");
    if words.is_empty() && reader.given("order_types") && !reader.faulty("order_types") {
        reader.fault("order_types", "is empty; leave the key out for all types, or name at least one");
    }
    OrderType::ALL.into_iter().filter(|kind| words.iter().any(|word| word == kind.as_str())).collect()
}

fn client_key(reader: &mut Reader<'_, '_>, app_id: &str, order_types: &[OrderType]) -> Option<String> {
    let client_key = reader.maybe_text("client_key");
    let needed = !matches!(reader.context.need, Need::Judge | Need::Inspect)
        && order_types.iter().any(|kind| *kind != OrderType::Normal);
    if needed && client_key.is_none() && !reader.faulty("client_key") {
        let other = other_apps(reader, app_id);
        let what =
            "group coupons and tickets need it: copy it from the open platform, or narrow order_types = [\"normal\"]";
        reader.missing("client_key", &format!("{what}{other}"));
    }
    client_key
}
