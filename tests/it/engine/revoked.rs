//! What the log says of a partition that is taken away.

use serde_json::{Value, json};

use super::commands_site::{S, Site, pause, reject, source};
use super::world::{event, ok};
use crate::support::heard::heard;

/// The line of a partition that the group takes away at once, without a last commit.
fn line_of(mut site: Site) -> Value {
    let text = heard(
        |said| tracing_subscriber::fmt().json().with_writer(move || said.clone()).finish(),
        || drop(site.world.lose(&source())),
    );
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut lines = lines.into_iter().filter(|line| line["fields"]["message"].to_string().contains("was taken away"));
    lines.next().unwrap_or_else(|| panic!("nothing is said: {text}"))
}

/// Records, attempts under way, results and commands.
fn dropped(line: &Value) -> [u64; 4] {
    let names = ["dropped_records", "abandoned_attempts", "dropped_results", "dropped_commands"];
    names.map(|name| line["fields"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {line}")))
}

#[test]
fn what_is_dropped_with_a_partition_is_counted_in_the_log() {
    let mut site = Site::new();
    site.produce(&["A", "B", "C"].map(|order| event("tt1", order, 1)));
    site.world.until_started();
    // One is accepted, one given up, and both are in a cut under way; another is accepted behind it.
    let third = site.world.asked.lock().unwrap().attempts.pop_back().unwrap();
    let mut n = 0;
    site.world.answer_attempts(&mut |attempt| {
        n += 1;
        if n == 1 { ok() } else { reject(attempt) }
    });
    site.world.pass(S);
    site.world.turn();
    assert_eq!(site.world.asked.lock().unwrap().cuts.len(), 1, "under way");
    site.world.asked.lock().unwrap().attempts.push_back(third);
    site.world.answer_attempts(&mut |_| ok());
    site.produce(&[event("tt1", "D", 1), event("tt1", "E", 1)]);
    site.give("p1", pause());
    site.world.turn();
    let line = line_of(site);
    assert_eq!((&line["level"], dropped(&line)), (&json!("WARN"), [2, 0, 3, 1]));

    let mut site = Site::new();
    site.give("p1", pause());
    site.world.turn();
    let line = line_of(site);
    assert_eq!((&line["level"], dropped(&line)), (&json!("WARN"), [0, 0, 0, 1]), "a command alone");

    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.world.until_started();
    site.world.answer_attempts(&mut |_| ok());
    site.world.turn();
    let line = line_of(site);
    assert_eq!((&line["level"], dropped(&line)), (&json!("WARN"), [0, 0, 1, 0]), "a result alone");

    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.give("p1", pause());
    site.run(&mut |_| ok());
    assert_eq!(line_of(site)["level"], "INFO", "all is committed");
}
