//! What the simulation answers a life's engine, and what it holds that life's cache against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use order_sync::order::{AppId, Identity};
use order_sync::record::{NextOffset, RecordOffset};
use order_sync::sync::ports::{Input, StartAt, StateReader as _, TokenFrom, TokenGeneration};
use order_sync::sync::sweep::{SweepAsk, SweepPage, Swept};

use super::life::{Life, Reading};
use super::plant::Plant;
use super::platform::{Platform, Sender, partition_of, push_of};
use super::ports::{number, source};
use super::statuses::Status;
use super::tokens::away;

impl Life {
    /// What the engine asked in its turn.
    pub(crate) fn answer(&mut self, platform: &mut Platform) {
        let (attempts, fetches, begun) = {
            let mut asked = self.asked.lock().unwrap();
            let asked = &mut *asked;
            (std::mem::take(&mut asked.attempts), std::mem::take(&mut asked.fetches), std::mem::take(&mut asked.begun))
        };
        for attempt in attempts {
            let mut kafka = self.wire.kafka();
            let now = kafka.now;
            let push = push_of(&attempt.request);
            let view = self.wire.view();
            if view.was_silent {
                kafka.audit.fault(format!("{push:?} is sent though the process was stopped"));
            }
            let epoch = view.owned.get(&partition_of(&push.0)).map_or(0, |epoch| epoch.0);
            let sender = Sender { worker: self.worker, life: self.number, epoch };
            platform.send(sender, &attempt, self.token, now, &mut kafka.audit);
            if self.wire.plant == Plant::SentTwice {
                platform.send(sender, &attempt, self.token, now, &mut kafka.audit);
            }
        }
        self.look_through();
        for app_id in fetches {
            let Some((token, lifetime)) = platform.token(self.wire.kafka().now) else {
                self.tell(Input::TokenRefused { app_id, refused: away() });
                continue;
            };
            self.token = token;
            let token = TokenGeneration(token);
            self.tell(Input::TokenFetched { app_id, token, lifetime, from: TokenFrom::Platform });
        }
        for (epoch, partition, start) in begun {
            if self.wire.view().owned.get(&partition) != Some(&epoch) {
                continue;
            }
            let mut next = match start {
                StartAt::Position(next) | StartAt::Behind(next, _) => next.get(),
                StartAt::Fresh | StartAt::Later => 0,
            };
            let end = self.ends[partition];
            let (at, high_watermark) = (NextOffset::new(next), NextOffset::new(end));
            if self.wire.plant == Plant::StartsTooFar {
                next = (next + 1).min(end);
            }
            self.reading.insert(partition, Reading { epoch, next });
            self.asked.lock().unwrap().paused.remove(&partition);
            self.tell(Input::Started { epoch, source: source(partition), at, high_watermark });
        }
    }

    /// A page names whatever it likes, and comes late: what it says is no more than a hint.
    fn look_through(&mut self) {
        let asks = std::mem::take(&mut self.asked.lock().unwrap().sweeps);
        for SweepAsk { epoch, source, .. } in asks {
            let mut kafka = self.wire.kafka();
            let partition = number(&source);
            let orders = (0..2).map(|n| Identity::new(AppId::new("tt1"), format!("P{partition}-{n}"))).collect();
            let letters = kafka.audit.partitions[partition].letters.keys().map(|at| RecordOffset::new(*at)).collect();
            let at = kafka.now + Duration::from_millis(kafka.rng.u64(..150));
            let page = Ok(SweepPage { orders, letters, seen: 2, next: None });
            self.pages.push((at, Swept { epoch, source, page }));
        }
    }

    /// Whether what it holds of every partition that it reads is what was committed last.
    pub(crate) fn check(&self) {
        let mut kafka = self.wire.kafka();
        for partition in self.reading.keys() {
            let (source, committed) = (source(*partition), kafka.audit.partitions[*partition].clone());
            let position = self.cache.position(&source).unwrap().map_or((0, 0), |p| (p.next.get(), p.commit_number));
            let mut owed = BTreeSet::new();
            self.cache
                .scan_owed(&source, &mut |key, _| {
                    owed.insert((key.identity.order_id.to_string(), key.stamp.0));
                })
                .unwrap();
            let stand = |order: &String| {
                let identity = Identity::new(AppId::new("tt1"), order.as_str());
                self.cache.state(&source, &identity).unwrap().map(|state| (state.update_time.0, state.applied_offset))
            };
            let orders = (0..2).map(|n| format!("P{partition}-{n}"));
            let is_same = orders.into_iter().all(|order| stand(&order) == committed.states.get(&order).copied());
            let removed = self.cache.position(&source).unwrap().and_then(|p| p.removed_stamps.values().max().copied());
            let letters = (0..kafka.audit.script[*partition].end()).filter_map(|offset| {
                let status = self.cache.letter(&source, RecordOffset::new(offset)).unwrap()?;
                Some((offset, Status::new(&status)))
            });
            let is_same = is_same
                && removed.map_or(0, |stamp| stamp.0) == committed.removed
                && letters.collect::<BTreeMap<_, _>>() == committed.letters;
            if position != (committed.next, committed.number) || owed != committed.owed || !is_same {
                let worker = self.worker;
                kafka
                    .audit
                    .fault(format!("worker {worker} holds {position:?} {owed:?} of {source}, not {committed:?}"));
            }
        }
    }
}
