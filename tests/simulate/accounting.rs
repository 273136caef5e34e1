//! What has come of a world is accounted for by `verify`, from Kafka alone: a log that is right is never found fault with,
//! however it was cut, compacted, moved about, commanded and left by its orders.

use std::ops::ControlFlow;

use order_sync::inspect::{Asked, Spread, Start, VerifyRules, verify_partition};
use order_sync::order::event::EventRules;
use order_sync::order::{AppId, TimeUnit};
use order_sync::record::{NextOffset, Record, RecordOffset};
use order_sync::sync::scan::{LogScan, ScanError, Span, Visit};

use super::audit::TOPIC;
use super::commands::command_of;
use super::edge::Mapper;
use super::ports::{record, source};
use super::world::World;

/// One partition of all topics.
struct Topics {
    partition: i32,
    source: Vec<Record>,
    changelog: Vec<Record>,
    letters: Vec<Record>,
    commands: Vec<Record>,
}

impl Topics {
    fn of(&self, topic: &str) -> &[Record] {
        match topic {
            TOPIC => &self.source,
            "changelog" => &self.changelog,
            "commands" => &self.commands,
            _ => &self.letters,
        }
    }
}

impl LogScan for Topics {
    fn partitions(&mut self, _: &str) -> Result<Option<i32>, ScanError> {
        Ok(Some(self.partition + 1))
    }

    fn extents(&mut self, topic: &str, _: &[i32]) -> Result<Vec<Span>, ScanError> {
        let until = self.of(topic).last().map_or(NextOffset::new(0), |last| last.offset.next());
        Ok(vec![Span { partition: self.partition, from: NextOffset::new(0), until }])
    }

    fn at_time(&mut self, _: &str, _: &[i32], _: i64) -> Result<Vec<Option<NextOffset>>, ScanError> {
        Ok(vec![None])
    }

    fn read(&mut self, topic: &str, spans: &[Span], visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let span = spans[0];
        let within = |record: &&Record| !span.from.covers(record.offset) && span.until.covers(record.offset);
        for record in self.of(topic).iter().filter(within) {
            if visit(&(self.partition, record.clone())) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

impl World {
    /// Every offset of every partition has its outcome.
    pub(crate) fn account(&self) -> Result<(), String> {
        (0..self.lengths.len()).try_for_each(|partition| self.account_for(partition))
    }

    fn account_for(&self, partition: usize) -> Result<(), String> {
        let app_id = AppId::new("tt1");
        let mapper = Mapper { release: 0 };
        let rules = VerifyRules {
            events: EventRules { apps: vec![app_id.clone()], max_clock_skew_ms: 1_000_000_000 },
            units: [(app_id, TimeUnit::Seconds)].into(),
            mappers: vec![&mapper],
            mapping: |settings| Box::new(Mapper { release: settings.release.parse().unwrap() }),
            start: Start::Beginning,
            statuses_stay_ms: 0,
        };
        let asked = Asked {
            source: source(partition),
            partitions_of_topic: i32::try_from(self.lengths.len()).unwrap(),
            changelog: "changelog".to_owned(),
            dead_letters: "letters".to_owned(),
            commands: "commands".to_owned(),
            range: (0, i64::MAX),
        };
        let mut topics = self.topics(partition);
        let report = verify_partition(&mut topics, &rules, &asked, &mut Spread::default(), &mut |_| {}).unwrap();
        match report.unaccounted.as_slice() {
            [] => Ok(()),
            found => Err(format!("verify finds fault with partition {partition}: {found:?}")),
        }
    }

    fn topics(&self, partition: usize) -> Topics {
        let kafka = self.kafka.lock().unwrap();
        let records = kafka.audit.script[partition].events.iter().take(self.produced[partition]).zip(0..);
        let changelog = kafka.standing(partition).into_iter().map(|(offset, standing)| Record {
            offset: RecordOffset::new(offset),
            timestamp_ms: None,
            key: Some(standing.key.into()),
            value: standing.value.map(Into::into),
            headers: Vec::new(),
        });
        let commands = kafka.audit.script[partition].commands.iter().take(self.given[partition]).zip(0..);
        let commands = commands.map(|((id, command), offset)| Record {
            offset: RecordOffset::new(offset),
            timestamp_ms: None,
            key: Some(id.as_bytes().into()),
            value: Some(command_of(partition, id, command).encode().unwrap().into()),
            headers: Vec::new(),
        });
        let letters = kafka.letters(partition).into_iter().zip(0..).map(|(letter, offset)| Record {
            offset: RecordOffset::new(offset),
            timestamp_ms: None,
            key: letter.key.map(Into::into),
            value: letter.value.map(Into::into),
            headers: letter.headers,
        });
        Topics {
            partition: i32::try_from(partition).unwrap(),
            source: records.map(|(event, offset)| record(offset, event)).collect(),
            changelog: changelog.collect(),
            letters: letters.collect(),
            commands: commands.collect(),
        }
    }
}
