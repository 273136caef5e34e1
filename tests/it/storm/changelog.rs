//! The changelog, read back as any client may read it: the newest record of each key is the reference's final state, and
//! nothing is owed.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::stage::Stage;
use crate::reference::State;
use crate::support::real_kafka::RealKafka;

/// Checks it, and returns how many records were read, and how many are live.
pub fn check(kafka: &RealKafka, stage: &Stage) -> (usize, usize) {
    let mut newest: HashMap<(i32, Box<[u8]>), Value> = HashMap::new();
    let mut read = 0;
    kafka.read_each(&format!("{}.changelog", stage.group), |partition, record| {
        read += 1;
        let key = (partition, record.key.expect("a key"));
        match record.value {
            Some(value) => newest.insert(key, serde_json::from_slice(&value).unwrap()),
            None => newest.remove(&key),
        };
    });
    let live = newest.len();
    let mut found: BTreeMap<i32, Partition> = BTreeMap::new();
    for ((partition, key), value) in newest {
        let key: Vec<Value> = serde_json::from_slice(&key).unwrap();
        let text = |at: usize| key[at].as_str().unwrap().to_owned();
        assert_eq!((&key[0], text(2)), (&json!(1), stage.topic.clone()), "{key:?}");
        let found = found.entry(partition).or_default();
        match text(1).as_str() {
            "position" => (found.next, found.by) = (value["next"].as_i64(), Some(value["settings"].clone())),
            "settings" => found.settings.push(value["fingerprint"].clone()),
            "state" => assert!(found.states.insert((text(3), text(4)), value).is_none()),
            "letter" => assert!(found.letters.insert(key[3].as_i64().unwrap(), value["state"].clone()).is_none()),
            other => panic!("partition {partition} has {other} left: {key:?}"),
        }
    }
    let offsets = kafka.committed(&stage.group, &stage.topic);
    for (partition, folded) in &stage.expected {
        let found = found.remove(partition).unwrap_or_default();
        // Every offset has an outcome: position and group stand at the end, and what each came to is here or with the platform.
        let end = i64::try_from(folded.outcomes.len()).unwrap();
        assert_eq!((found.next, offsets.get(partition)), (Some(end), Some(&end)), "partition {partition}");
        assert_eq!(Some(found.settings), found.by.map(|by| vec![by]), "all workers fold by the same settings");
        let mut states = found.states;
        for ((app, order), state) in &folded.states {
            let stored = states.remove(&(app.clone(), order.clone()));
            check_state(&stored.unwrap_or_else(|| panic!("no state of {app}/{order}")), state, stage.is_poison(order));
        }
        assert!(states.is_empty(), "states of orders that nobody wrote: {:?}", states.keys());
        let letters = stage.letters(folded);
        let open: BTreeMap<i64, Value> = letters.into_keys().map(|offset| (offset, json!("open"))).collect();
        assert_eq!(found.letters, open, "the statuses of partition {partition}'s dead letters");
    }
    assert!(found.is_empty(), "partitions that nobody wrote: {:?}", found.keys());
    (read, live)
}

#[derive(Default)]
struct Partition {
    next: Option<i64>,
    /// The settings that the last commit was made by, in short.
    by: Option<Value>,
    /// Those that are recorded.
    settings: Vec<Value>,
    states: BTreeMap<(String, String), Value>,
    /// The status of each dead letter.
    letters: BTreeMap<i64, Value>,
}

fn check_state(stored: &Value, expected: &State, is_poison: bool) {
    let mut stored = stored.clone();
    let fields = stored.as_object_mut().unwrap();
    assert_eq!(fields.remove("digest").unwrap().as_str().unwrap().len(), 64);
    assert_eq!(fields.remove("dead_letter").is_some(), is_poison, "{expected:?}");
    let mut wanted = json!({
        "format": 1,
        "order_type": expected.order_type,
        "status": expected.status,
        "applied_offset": expected.offset,
        "event_ids": expected.event_ids,
        "occurred_at": expected.occurred_at,
        "update_time": expected.update_time,
        "document": expected.document,
    });
    if let Some(sequence) = expected.sequence {
        wanted["sequence"] = json!(sequence);
    }
    assert_eq!(stored, wanted);
}
