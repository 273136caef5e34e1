//! Damage for `verify` to find: copies of the workers' topics with something wrong in them, and of the source.

use std::collections::HashMap;

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::record::Record;
use serde_json::Value;

use super::fixture::{Told, World};
use crate::support::real_kafka::RealKafka;

/// What the changelog's keys name.
pub struct Planting<'a> {
    pub kafka: &'a RealKafka,
    pub world: &'a World,
}

/// Key and value as text; no value is a tombstone.
pub type Entry = (String, Option<String>);

impl Planting<'_> {
    /// The changelog's records.
    pub fn changelog(&self) -> Vec<Entry> {
        let text = |bytes: Box<[u8]>| String::from_utf8(bytes.into_vec()).unwrap();
        let all = self.kafka.read_all(&format!("{}.changelog", self.world.site.group()));
        all.into_iter().map(|(_, record)| (text(record.key.unwrap()), record.value.map(text))).collect()
    }

    /// The key of something in the changelog.
    pub fn key(&self, kind: &str, ids: &str) -> String {
        let comma = if ids.is_empty() { "" } else { "," };
        format!(r#"[1,"{kind}","{}"{comma}{ids}]"#, self.world.topic)
    }

    /// A topic with this changelog; an entry's offset is its place.
    pub fn copy(&self, entries: &[Entry]) -> String {
        let copy = self.kafka.topic("planted", 1, &[]);
        let producer = Producer::connect(&self.kafka.brokers).unwrap();
        for (key, value) in entries {
            let (key, value) = (Some(key.as_bytes()), value.as_ref().map(String::as_bytes));
            producer.send(&copy, Outgoing { partition: Some(0), key, value, ..Outgoing::default() }).unwrap();
        }
        producer.flush().unwrap();
        copy
    }

    /// Verifies by this changelog.
    pub fn verify_by(&self, entries: &[Entry]) -> Told {
        let copy = self.copy(entries);
        self.verify(&["--set", &format!("kafka.changelog_topic={copy}")])
    }

    /// Verifies by these letters.
    pub fn verify_by_letters(&self, letters: &[Record]) -> Told {
        let copy = self.kafka.topic("letters", 1, &[]);
        self.write(&copy, letters);
        self.verify(&["--set", &format!("kafka.dead_letter_topic={copy}")])
    }

    pub fn letters(&self) -> Vec<Record> {
        let all = self.kafka.read_all(&format!("{}.dead-letters", self.world.site.group()));
        all.into_iter().map(|(_, record)| record).collect()
    }

    pub fn source(&self) -> Vec<Record> {
        self.kafka.read_all(&self.world.topic).into_iter().map(|(_, record)| record).collect()
    }

    /// Makes the source anew, with these records.
    pub fn replace_source(&self, records: &[Record]) {
        self.kafka.delete(&self.world.topic);
        self.kafka.create(&self.world.topic, 1, &[]);
        self.write(&self.world.topic, records);
    }

    fn write(&self, topic: &str, records: &[Record]) {
        let producer = Producer::connect(&self.kafka.brokers).unwrap();
        for record in records {
            let outgoing = Outgoing {
                partition: Some(0),
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &record.headers,
                timestamp_ms: record.timestamp_ms,
            };
            producer.send(topic, outgoing).unwrap();
        }
        producer.flush().unwrap();
    }

    pub fn verify(&self, args: &[&str]) -> Told {
        self.world.run(&[&["verify"], args].concat())
    }
}

/// Everything is accounted for.
pub fn check_sound(told: &Told) {
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("every offset is accounted for"), "{told:?}");
}

/// Exit code 5, and just these offsets with their reasons.
pub fn check_found(told: &Told, expect: &[(i64, &str)]) {
    assert_eq!(told.code, Some(5), "{told:?}");
    let mut lines: Vec<&str> = told.out.lines().skip_while(|line| !line.starts_with("OFFSET")).skip(1).collect();
    lines.truncate(lines.iter().position(|line| line.is_empty()).unwrap_or(lines.len()));
    let found = lines.iter().map(|line| {
        let mut words = line.split_whitespace();
        let offset = words.next().unwrap().rsplit('/').next().unwrap().parse().unwrap();
        (offset, words.next().unwrap())
    });
    assert_eq!(found.collect::<Vec<(i64, &str)>>(), expect, "{}", told.out);
    let row = told.out.lines().find(|line| line.starts_with("unaccounted ")).unwrap();
    let counted = row.split_whitespace().find_map(|word| word.parse::<usize>().ok());
    assert_eq!(counted, Some(expect.len()), "{}", told.out);
}

/// What compaction leaves of a log whose first `cleaned` records it has gone through.
pub fn compacted(entries: &[Entry], cleaned: usize) -> Vec<Entry> {
    let last: HashMap<&str, usize> =
        entries[..cleaned].iter().enumerate().map(|(at, (key, _))| (key.as_str(), at)).collect();
    let stays = |at: usize, entry: &Entry| at >= cleaned || (last[entry.0.as_str()] == at && entry.1.is_some());
    let left = entries.iter().enumerate().filter(|(at, entry)| stays(*at, entry));
    left.map(|(_, entry)| entry.clone()).collect()
}

/// The last value of a key.
pub fn last(entries: &[Entry], key: &str) -> Value {
    let found = entries.iter().rev().find(|(other, _)| other == key).unwrap_or_else(|| panic!("no {key}"));
    serde_json::from_str(found.1.as_deref().unwrap()).unwrap()
}

/// The log of a release that recorded no settings.
pub fn without_settings(entries: &[Entry]) -> Vec<Entry> {
    let left = entries.iter().filter(|(key, _)| !key.starts_with(r#"[1,"settings","#));
    let without = |value: &String| {
        let mut value: Value = serde_json::from_str(value).unwrap();
        value.as_object_mut().unwrap().remove("settings");
        value.to_string()
    };
    let is_position = |key: &str| key.starts_with(r#"[1,"position","#);
    left.map(|(key, value)| {
        let value = if is_position(key) { value.as_ref().map(without) } else { value.clone() };
        (key.clone(), value)
    })
    .collect()
}
