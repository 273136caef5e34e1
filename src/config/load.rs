//! From all layers to one validated [`Config`], or to every fault at once.
//!
//! Layers, each over the one before: config/default.toml (compiled in), the file, `ORDER_SYNC__…` variables, flags.
//! The environment comes in as an argument; files are read through the function that is given.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::Path;

use secrecy::SecretString;

use super::key::{self, Section};
use super::origin::{Fault, Faults, Findings, Layer, Origin};
use super::outside::{self, Outside};
use super::reader::{Context, Reader};
use super::rows::{Cell, Row, Rows};
use super::value::Value;
use super::{
    Config, admin, app, circuit, delivery, document, douyin, error_code, kafka, limits, log, settings, store,
    topic_names,
};

/// The built-in defaults, with every key and a comment for each.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What the settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Running, or checking before a run: everything must be there.
    Run,
    /// Reading what workers have written to Kafka: `[kafka]` must be there; apps and secrets may be missing.
    Inspect,
    /// Mapping events without Kafka, store or network: `[kafka]` and secrets may be missing, and are empty then.
    Map,
    /// The same without a settings file: what stands outside of it counts, and apps may be missing too.
    MapAnyApp,
    /// Judging answers of the platform: `douyin.error_codes` counts, everything else may be missing.
    Judge,
}

/// What to read.
pub struct Sources<'a> {
    /// The settings file: its name for messages, and its text.
    pub file: Option<(&'a str, &'a str)>,
    /// The whole environment; only `ORDER_SYNC__…` is looked at.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// `section.key=value`, later ones over earlier ones.
    pub flags: &'a [String],
    /// What the settings are for.
    pub need: Need,
    /// Reads a file that a setting names (`properties_file`, `secret_file`, `ca_file`).
    pub read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    /// What is wrong with which Kafka property; the Kafka room's knowledge.
    pub judge_properties: JudgeProperties<'a>,
    /// What is wrong with `[kafka]` as a whole, where there is a use for it; the Kafka room's knowledge, too.
    pub judge_kafka: JudgeKafka<'a>,
}

/// Of all properties, the names of those that cannot be used, each with why and what to do, and without its value.
pub type JudgeProperties<'a> = &'a dyn Fn(&BTreeMap<String, SecretString>) -> Vec<(String, String)>;

/// What does not go together, with the name of the property under which it is to be told, where there is one.
pub type JudgeKafka<'a> = &'a dyn Fn(&super::Kafka) -> Vec<(Option<String>, String)>;

/// Settings without a fault, and what deserves a warning all the same.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// In the order of their places.
    pub warnings: Vec<Fault>,
}

/// Reads all layers.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Faults> {
    let mut findings = Findings::default();
    let defaults = Origin::new(Layer::Default, "config/default.toml");
    let mut rows = document::read(DEFAULTS, &defaults, &mut findings);
    let mut place = Origin::new(Layer::File, "no settings file");
    if let Some((name, text)) = sources.file {
        place = Origin::new(Layer::File, name);
        rows.overlay(document::read(text, &place, &mut findings));
    }
    let environment = outside::from_environment(sources.environment, &mut findings);
    let flags = outside::from_flags(sources.flags, &mut findings);
    for Outside { rows: above, apps } in [environment, flags] {
        rows.overlay(above);
        for (app_id, key, cell) in apps {
            put_app(&mut rows, &app_id, key, cell);
        }
    }
    let Sources { need, read_file, judge_properties, judge_kafka, .. } = *sources;
    let apps_in_file = apps_in_file(&rows);
    let mut context = Context { findings, place, need, apps_in_file, read_file, judge_properties, judge_kafka };
    let config = build(&mut rows, &mut context);
    context.findings.sort();
    if context.findings.faults.is_empty() {
        Ok(Loaded { config, warnings: context.findings.warnings })
    } else {
        Err(Faults(context.findings.faults))
    }
}

fn apps_in_file(rows: &Rows) -> BTreeSet<String> {
    let ids = rows.lists.get(app::SECTION.path).into_iter().flatten().filter_map(|row| row.cells.get("app_id"));
    let ids = ids.filter(|cell| cell.origin.layer == Layer::File);
    let ids = ids.filter_map(|cell| if let Value::Text(id) = &cell.value { Some(id.clone()) } else { None });
    ids.collect()
}

/// Sets one key of one app, which is made if nobody has named it yet: a container may get all its settings from outside.
fn put_app(rows: &mut Rows, app_id: &str, key: &'static str, cell: Cell) {
    let apps = rows.lists.entry(app::SECTION.path).or_default();
    let has = |row: &Row, same: &dyn Fn(&str) -> bool| match row.cells.get("app_id").map(|cell| &cell.value) {
        Some(Value::Text(id)) => same(id),
        Some(_) | None => false,
    };
    // Some tools write variables in capitals throughout; an exact match goes first.
    let at = apps
        .iter()
        .position(|row| has(row, &|id| id == app_id))
        .or_else(|| apps.iter().position(|row| has(row, &|id| id.eq_ignore_ascii_case(app_id))));
    if let Some(row) = at.and_then(|at| apps.get_mut(at)) {
        return row.put(key, cell);
    }
    let mut row = Row::new(cell.origin.clone());
    row.put("app_id", Cell { value: Value::Text(app_id.to_owned()), origin: cell.origin.clone() });
    row.put(key, cell);
    apps.push(row);
}

fn build(rows: &mut Rows, context: &mut Context<'_>) -> Config {
    let shutdown_timeout = settings::read(&mut table(rows, context, &settings::SECTION));
    let error_codes = list(rows, context, &error_code::SECTION, error_code::read);
    let mut reader = table(rows, context, &kafka::SECTION);
    let (kafka, kafka_row) = (kafka::read(&mut reader), reader.row);
    let store = store::read(&mut table(rows, context, &store::SECTION));
    let apps = apps(rows, context);
    let around = douyin::Around { apps: apps.len(), exactly_once: kafka.exactly_once };
    let douyin = douyin::read(&mut table(rows, context, &douyin::SECTION), error_codes, around);
    let mut reader = Reader { section: &kafka::SECTION, row: kafka_row, context };
    topic_names::check_apart(&mut reader, &kafka, douyin.share_tokens);
    Config {
        kafka,
        store,
        apps,
        douyin,
        delivery: delivery::read(&mut table(rows, context, &delivery::SECTION)),
        circuit: circuit::read(&mut table(rows, context, &circuit::SECTION)),
        limits: limits::read(&mut table(rows, context, &limits::SECTION)),
        admin: admin::read(&mut table(rows, context, &admin::SECTION)),
        log: log::read(&mut table(rows, context, &log::SECTION)),
        shutdown_timeout,
    }
}

fn table<'a, 'b>(rows: &mut Rows, context: &'a mut Context<'b>, section: &'static Section) -> Reader<'a, 'b> {
    let mut row = rows.tables.remove(section.path).unwrap_or_else(|| Row::new(context.place.clone()));
    // A table that only the defaults have is missing in the file, and that is where it belongs.
    if row.origin.layer == Layer::Default {
        row.origin = context.place.clone();
    }
    Reader { section, row, context }
}

fn list<T>(
    rows: &mut Rows,
    context: &mut Context<'_>,
    section: &'static Section,
    mut read: impl FnMut(&mut Reader<'_, '_>) -> T,
) -> Vec<T> {
    let list = rows.lists.remove(section.path).unwrap_or_default();
    list.into_iter().map(|row| read(&mut Reader { section, row, context })).collect()
}

fn apps(rows: &mut Rows, context: &mut Context<'_>) -> Vec<super::App> {
    let mut seen = BTreeSet::new();
    let apps = list(rows, context, &app::SECTION, |reader| {
        let app = app::read(reader);
        let id = app.app_id.as_str();
        if !id.is_empty() && !seen.insert(id.to_owned()) {
            reader.fault("app_id", format!("\"{id}\" stands there twice; keep one [[apps]] table for it"));
        }
        app
    });
    let unread = context.findings.unread.contains(app::SECTION.path);
    if apps.is_empty() && !unread && matches!(context.need, Need::Run | Need::Map) {
        let what = "no app is configured; add an [[apps]] table with app_id, secret_file and client_key";
        let place = context.place.clone();
        context.findings.fault(&place, app::SECTION.path, what);
    }
    apps
}

/// Every key's path, in the order of the file; for completeness checks of documents.
pub fn key_paths() -> impl Iterator<Item = String> {
    key::SECTIONS.iter().flat_map(|section| section.keys.iter().map(|key| section.path_of(key.name)))
}
