//! What every store promises of commands' outcomes, as a cache: on sled and on its twin in memory.

use order_sync::record::{NextOffset, RecordOffset, TopicPartition};
use order_sync::store::MemoryStore;
use order_sync::sync::command::{CommandDone, Outcome};
use order_sync::sync::log_ports::{CacheStore, CacheWrite};
use order_sync::sync::ports::StateReader as _;

use super::store_contract::open;

pub fn done(outcome: Outcome) -> CommandDone {
    CommandDone {
        command: "redrive".into(),
        outcome,
        message: "面".into(),
        offset: Some(RecordOffset::new(4)),
        app_id: None,
        order_id: None,
        update_time: None,
        next: NextOffset::new(9),
        command_offset: RecordOffset::new(2),
        at_ms: 7,
        who: "alice".into(),
        why: String::new().into(),
    }
}

fn source(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

fn write(store: &dyn CacheStore, commands: &[(&str, Outcome)]) {
    let commands = commands.iter().map(|(id, outcome)| ((*id).into(), done(*outcome))).collect();
    let (states, owed, settled, letters) = Default::default();
    let write =
        CacheWrite { source: source(0), states, owed, settled, letters, commands, position: None, checkpoint: None };
    store.write(vec![write]).unwrap();
}

/// Ids that a careless key layout takes for one another, or for another kind of row.
const NASTY: [&str; 6] = ["a", "a/b", "k", "l", "p", "单\0"];

fn outcomes_are_kept(store: &dyn CacheStore) {
    assert_eq!(store.command(&source(0), "a").unwrap(), None);
    write(store, &NASTY.map(|id| (id, Outcome::Sent)));
    write(store, &[("a", Outcome::Sent), ("k", Outcome::Stale)]);
    for id in NASTY {
        let expect = if id == "k" { Outcome::Stale } else { Outcome::Sent };
        assert_eq!(store.command(&source(0), id).unwrap(), Some(done(expect)), "{id:?}");
    }
    assert_eq!(store.command(&source(1), "a").unwrap(), None);
    assert_eq!(store.command(&source(0), "").unwrap(), None);
}

#[test]
fn outcomes_of_commands_are_found_by_their_ids_until_the_partition_is_forgotten() {
    let memory = MemoryStore::new();
    outcomes_are_kept(&memory);
    memory.forget(&source(0)).unwrap();
    assert_eq!(memory.command(&source(0), "a").unwrap(), None);
    let folder = tempfile::tempdir().unwrap();
    outcomes_are_kept(&open(folder.path()));
    let store = open(folder.path());
    assert_eq!(store.command(&source(0), "a").unwrap(), Some(done(Outcome::Sent)), "it survives");
    let mut ids = Vec::new();
    let mut visit = |id, _| {
        ids.push(id);
        Ok(())
    };
    store.scan_commands(&source(0), &mut visit).unwrap();
    ids.sort_unstable();
    assert_eq!(ids, NASTY.map(Box::from));
    store.forget(&source(0)).unwrap();
    assert_eq!(store.command(&source(0), "a").unwrap(), None);
}
