//! What a worker hears of its group, and does about it.

use std::time::Duration;

use super::group::News;
use super::life::Life;

/// What a worker does about its place in the group, when it reaches the coordinator.
pub(crate) fn hear(life: &mut Life, now: Duration, partitions: usize) {
    if life.wire.view().is_lost {
        let mut kafka = life.wire.kafka();
        let mut rng = kafka.rng.fork();
        let member = kafka.group.join(life.worker, now, &mut rng);
        let mut view = life.wire.view();
        (view.member, view.is_lost) = (member, false);
    }
    let member = life.wire.view().member;
    if let Some(given_back) = life.given_back() {
        life.wire.kafka().group.release(life.worker, member, &given_back);
    }
    loop {
        let news = {
            let mut kafka = life.wire.kafka();
            match kafka.group.hear(life.worker, member, now) {
                None => Err(()),
                Some(news) => Ok(if life.revoking.is_none() { news.pop_front() } else { None }),
            }
        };
        match news {
            Err(()) => return life.lose(),
            Ok(None) => return,
            Ok(Some(News::Generation(generation))) => life.wire.view().generation = generation,
            Ok(Some(News::Assign(given))) => life.assign(&given, partitions),
            Ok(Some(News::Revoke(taken))) => life.revoke(&taken),
        }
    }
}
