//! The group's coordinator: who is a member, in which generation, and whose each partition is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A member that is not heard of for so long is expelled; a client that hears nothing for so long knows it was.
pub(crate) const SESSION: Duration = Duration::from_secs(6);
/// A member that does not give partitions back within this time is expelled.
const REBALANCE: Duration = Duration::from_secs(14);

/// What a member is told, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The group's generation.
    Generation(u32),
    /// These partitions are yours.
    Assign(Vec<usize>),
    /// Give these back.
    Revoke(Vec<usize>),
}

/// How the group's members change over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Who is to lose a partition gives that one back; everything else goes on.
    Cooperative,
    /// Everybody gives everything back, and is given anew when all have.
    Eager,
}

struct Member {
    id: u64,
    heard: Duration,
    asked_back: Option<Duration>,
    news: VecDeque<News>,
}

/// The group.
pub(crate) struct Group {
    protocol: Protocol,
    /// Everybody is giving everything back.
    is_gathering: bool,
    generation: u32,
    next_id: u64,
    /// By worker.
    members: BTreeMap<usize, Member>,
    owner: Vec<Option<usize>>,
    target: Vec<Option<usize>>,
}

impl Group {
    pub(crate) fn new(partitions: usize, protocol: Protocol) -> Self {
        let nobody = vec![None; partitions];
        Self {
            protocol,
            is_gathering: false,
            generation: 0,
            next_id: 0,
            members: BTreeMap::new(),
            owner: nobody.clone(),
            target: nobody,
        }
    }

    /// A worker joins; says which member it is.
    pub(crate) fn join(&mut self, worker: usize, now: Duration, rng: &mut fastrand::Rng) -> u64 {
        self.leave(worker, now, rng);
        self.next_id += 1;
        let (id, news) = (self.next_id, VecDeque::new());
        self.members.insert(worker, Member { id, heard: now, asked_back: None, news });
        self.rebalance(now, rng);
        id
    }

    /// A worker leaves, or is expelled.
    pub(crate) fn leave(&mut self, worker: usize, now: Duration, rng: &mut fastrand::Rng) {
        if self.members.remove(&worker).is_some() {
            for owner in self.owner.iter_mut().filter(|owner| **owner == Some(worker)) {
                *owner = None;
            }
            self.rebalance(now, rng);
        }
    }

    /// Whether this member of this generation may commit.
    pub(crate) fn is_member(&self, (id, generation): (u64, u32)) -> bool {
        generation == self.generation && self.members.values().any(|member| member.id == id)
    }

    /// The member is heard of; what it is told. `None` where it is no member any more.
    pub(crate) fn hear(&mut self, worker: usize, id: u64, now: Duration) -> Option<&mut VecDeque<News>> {
        let member = self.members.get_mut(&worker).filter(|member| member.id == id)?;
        member.heard = now;
        Some(&mut member.news)
    }

    /// Expels who is silent, or does not give back.
    pub(crate) fn tick(&mut self, now: Duration, rng: &mut fastrand::Rng) {
        let silent = |member: &Member| {
            now > member.heard + SESSION || member.asked_back.is_some_and(|asked| now > asked + REBALANCE)
        };
        let gone: Vec<usize> = self.members.iter().filter(|(_, m)| silent(m)).map(|(worker, _)| *worker).collect();
        for worker in gone {
            self.leave(worker, now, rng);
        }
    }

    /// Partitions are given back.
    pub(crate) fn release(&mut self, worker: usize, id: u64, partitions: &[usize]) {
        let Some(member) = self.members.get_mut(&worker).filter(|member| member.id == id) else { return };
        member.asked_back = None;
        // Who has given back joins anew, and so the group has another generation.
        if self.protocol == Protocol::Cooperative {
            self.begin_generation();
        }
        let Some(member) = self.members.get(&worker) else { return };
        for partition in partitions {
            // What it has got anew since, and has not heard of yet, is its own.
            let is_given = |news: &News| matches!(news, News::Assign(given) if given.contains(partition));
            if self.owner[*partition] == Some(worker) && !member.news.iter().any(is_given) {
                self.owner[*partition] = None;
            }
        }
        self.give();
    }

    /// A new generation, with the partitions dealt anew among the members.
    pub(crate) fn rebalance(&mut self, now: Duration, rng: &mut fastrand::Rng) {
        let workers: Vec<usize> = self.members.keys().copied().collect();
        for partition in 0..self.owner.len() {
            self.target[partition] = rng.choice(&workers).copied();
        }
        if self.protocol == Protocol::Eager {
            self.gather(now);
            return;
        }
        self.begin_generation();
        for (worker, member) in &mut self.members {
            let leaving: Vec<usize> = (0..self.owner.len())
                .filter(|p| self.owner[*p] == Some(*worker) && self.target[*p] != Some(*worker))
                .collect();
            if !leaving.is_empty() {
                member.asked_back.get_or_insert(now);
                member.news.push_back(News::Revoke(leaving));
            }
        }
        self.give();
    }

    fn begin_generation(&mut self) {
        self.generation += 1;
        for member in self.members.values_mut() {
            member.news.push_back(News::Generation(self.generation));
        }
    }

    /// Everybody is to give everything back. Until all have, the old generation may commit.
    fn gather(&mut self, now: Duration) {
        self.is_gathering = true;
        for (worker, member) in self.members.iter_mut().filter(|(_, member)| member.asked_back.is_none()) {
            let owned: Vec<usize> = (0..self.owner.len()).filter(|p| self.owner[*p] == Some(*worker)).collect();
            if !owned.is_empty() {
                member.asked_back = Some(now);
                member.news.push_back(News::Revoke(owned));
            }
        }
        self.give();
    }

    fn give(&mut self) {
        if self.protocol == Protocol::Eager {
            if !self.is_gathering || self.owner.iter().any(Option::is_some) {
                return;
            }
            self.is_gathering = false;
            self.begin_generation();
        }
        for (worker, member) in &mut self.members {
            let given: Vec<usize> = (0..self.owner.len())
                .filter(|p| self.owner[*p].is_none() && self.target[*p] == Some(*worker))
                .collect();
            for partition in &given {
                self.owner[*partition] = Some(*worker);
            }
            if !given.is_empty() {
                member.news.push_back(News::Assign(given));
            }
        }
    }
}
