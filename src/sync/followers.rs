//! Who follows the commands topic, and what waits for whom: commands that change an order are executed one after another
//! within their source partition, for each needs its original record first; all others go ahead of them.
//!
//! Pure: the reader of the topic brings records, and takes what is to be told.

use std::collections::{BTreeMap, VecDeque};

use super::command::{Command, Read};
use super::ports::Epoch;
use crate::record::{NextOffset, RecordOffset, TopicPartition};

/// The source partitions that are followed.
#[derive(Debug, Default)]
pub struct Followers {
    by_source: BTreeMap<TopicPartition, Follower>,
    bytes: usize,
    turn: usize,
}

/// One source partition.
#[derive(Debug)]
struct Follower {
    epoch: Epoch,
    /// Everything before it in the commands topic was looked at.
    read: NextOffset,
    /// Commands that change an order and were not told yet, in their order.
    waiting: VecDeque<(RecordOffset, Command)>,
}

/// A record that is to be told at once.
#[derive(Debug)]
pub struct Ahead {
    /// The partition's epoch.
    pub epoch: Epoch,
    /// The source partition.
    pub source: TopicPartition,
    /// What it is.
    pub read: Read,
    /// Everything before it has been told, once this is.
    pub told: NextOffset,
}

/// A command whose turn has come.
#[derive(Debug)]
pub struct Turn {
    /// The partition's epoch.
    pub epoch: Epoch,
    /// Where it lies.
    pub offset: RecordOffset,
    /// The command; it stays until [`Followers::told`].
    pub command: Command,
}

impl Followers {
    /// A source partition is followed from here on. What an earlier assignment of it waited for is forgotten.
    pub fn follow(&mut self, epoch: Epoch, source: &TopicPartition, from: NextOffset) {
        self.leave(source);
        self.by_source.insert(source.clone(), Follower { epoch, read: from, waiting: VecDeque::new() });
    }

    /// A source partition is followed no more.
    pub fn leave(&mut self, source: &TopicPartition) {
        if let Some(follower) = self.by_source.remove(source) {
            self.bytes -= follower.waiting.iter().map(|(_, command)| bytes(command)).sum::<usize>();
        }
    }

    /// Which partitions of the commands topic are to be read, each from where.
    pub fn places(&self) -> BTreeMap<i32, NextOffset> {
        let mut places = BTreeMap::new();
        for (source, follower) in &self.by_source {
            let place = places.entry(source.partition).or_insert(follower.read);
            *place = follower.read.min(*place);
        }
        places
    }

    /// A record of the topic was read. Gives what is to be told at once; a command that changes an order waits its turn.
    pub fn take(&mut self, partition: i32, offset: RecordOffset, read: &Read) -> Vec<Ahead> {
        let about = match read {
            Read::Command(command) => Some(&command.source),
            Read::Refused { source, .. } => Some(source),
            Read::Unreadable(_) => None,
        };
        let mut ahead = Vec::new();
        for (source, follower) in self.by_source.iter_mut().filter(|(source, _)| source.partition == partition) {
            if follower.read.covers(offset) {
                continue;
            }
            follower.read = offset.next();
            if about != Some(source) {
                continue;
            }
            if let Read::Command(command) = read
                && command.action.changes_an_order()
            {
                self.bytes += bytes(command);
                follower.waiting.push_back((offset, command.clone()));
                continue;
            }
            let (epoch, told) = (follower.epoch, follower.told());
            ahead.push(Ahead { epoch, source: source.clone(), read: read.clone(), told });
        }
        ahead
    }

    /// Nothing stands before this place that was not read: the rest were markers.
    pub fn read_to(&mut self, partition: i32, place: NextOffset) {
        for (_, follower) in self.by_source.iter_mut().filter(|(source, _)| source.partition == partition) {
            follower.read = follower.read.max(place);
        }
    }

    /// How far each has been told of everything.
    pub fn progress(&self) -> impl Iterator<Item = (&TopicPartition, Epoch, NextOffset)> {
        self.by_source.iter().map(|(source, follower)| (source, follower.epoch, follower.told()))
    }

    /// The next command whose turn has come, source partitions in turn. It stays where it is until [`Followers::told`].
    pub fn next_turn(&mut self) -> Option<Turn> {
        let count = self.by_source.len();
        let at = (0..count).map(|more| (self.turn + more) % count).find_map(|index| {
            let (_, follower) = self.by_source.iter().nth(index)?;
            let (offset, command) = follower.waiting.front()?;
            Some((index, Turn { epoch: follower.epoch, offset: *offset, command: command.clone() }))
        });
        let (index, turn) = at?;
        self.turn = index + 1;
        Some(turn)
    }

    /// The command whose turn it was is told. Says how far its partition has been told of everything by that.
    pub fn told(&mut self, turn: &Turn) -> Option<NextOffset> {
        let follower = self.by_source.get_mut(&turn.command.source).filter(|f| f.epoch == turn.epoch)?;
        let is_first = follower.waiting.front().is_some_and(|(offset, _)| *offset == turn.offset);
        if !is_first {
            return None;
        }
        let (_, command) = follower.waiting.pop_front()?;
        self.bytes -= bytes(&command);
        Some(follower.told())
    }

    /// Memory of what waits.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Follower {
    fn told(&self) -> NextOffset {
        self.waiting.front().map_or(self.read, |(offset, _)| NextOffset::new(offset.get()))
    }
}

fn bytes(command: &Command) -> usize {
    size_of::<Command>() + command.id.len() + command.who.len() + command.why.len() + 64
}

#[cfg(test)]
mod tests {
    use super::super::command::Action;
    use super::*;
    use crate::order::AppId;

    fn command(topic: &str, id: &str, action: Action) -> Read {
        let source = TopicPartition::new(topic, 3);
        Read::Command(Command { id: id.into(), source, action, who: "a".into(), why: "".into(), at_ms: 1 })
    }

    fn fold(topic: &str, id: &str) -> Read {
        command(topic, id, Action::Fold { offset: RecordOffset::new(1) })
    }

    fn pause(topic: &str, id: &str) -> Read {
        command(topic, id, Action::Pause { app_id: AppId::new("tt1") })
    }

    fn next(followers: &mut Followers) -> Option<(String, i64)> {
        let turn = followers.next_turn()?;
        let told = followers.told(&turn).unwrap();
        Some((turn.command.id.to_string(), told.get()))
    }

    #[test]
    fn what_changes_an_order_waits_its_turn_and_the_rest_goes_ahead() {
        let mut followers = Followers::default();
        let orders = TopicPartition::new("orders", 3);
        followers.follow(Epoch(1), &orders, NextOffset::new(5));
        let mut take = |offset: i64, read: Read| {
            let ahead = followers.take(3, RecordOffset::new(offset), &read);
            ahead.into_iter().map(|ahead| ahead.told.get()).collect::<Vec<_>>()
        };
        assert_eq!(take(4, pause("orders", "old")), [0; 0], "that was told in an earlier life");
        assert_eq!(take(5, fold("orders", "f5")), [0; 0]);
        assert_eq!(take(6, pause("orders", "p6")), [5], "ahead of what waits, which is still to be told");
        assert_eq!(take(7, fold("orders", "f7")), [0; 0]);
        assert_eq!(take(8, pause("others", "p8")), [0; 0], "nobody follows that");
        assert_eq!(take(9, Read::Unreadable(String::new())), [0; 0]);
        assert!(followers.bytes() > 0);
        assert_eq!(next(&mut followers), Some(("f5".to_owned(), 7)));
        assert_eq!(next(&mut followers), Some(("f7".to_owned(), 10)));
        assert_eq!((next(&mut followers), followers.bytes()), (None, 0));
        followers.read_to(3, NextOffset::new(12));
        assert_eq!(followers.progress().map(|(_, _, told)| told.get()).collect::<Vec<_>>(), [12]);
    }

    #[test]
    fn source_topics_share_a_partition_and_take_turns() {
        let mut followers = Followers::default();
        let (a, b) = (TopicPartition::new("a", 3), TopicPartition::new("b", 3));
        followers.follow(Epoch(1), &a, NextOffset::new(0));
        followers.follow(Epoch(1), &b, NextOffset::new(2));
        assert_eq!(followers.places(), [(3, NextOffset::new(0))].into());
        for (offset, read) in
            [fold("a", "a0"), fold("b", "b1"), fold("a", "a2"), fold("b", "b3")].into_iter().enumerate()
        {
            followers.take(3, RecordOffset::new(i64::try_from(offset).unwrap()), &read);
        }
        let order: Vec<_> = std::iter::from_fn(|| next(&mut followers)).collect();
        assert_eq!(order, [("a0".to_owned(), 2), ("b3".to_owned(), 4), ("a2".to_owned(), 4)]);
    }

    #[test]
    fn what_has_left_is_told_nothing() {
        let mut followers = Followers::default();
        let orders = TopicPartition::new("orders", 3);
        followers.follow(Epoch(1), &orders, NextOffset::new(0));
        followers.take(3, RecordOffset::new(0), &fold("orders", "f0"));
        let turn = followers.next_turn().unwrap();
        followers.follow(Epoch(2), &orders, NextOffset::new(0));
        assert_eq!(followers.told(&turn), None, "of an assignment that is over");
        followers.take(3, RecordOffset::new(0), &fold("orders", "f0"));
        followers.leave(&orders);
        assert_eq!((followers.bytes(), followers.places().len(), followers.next_turn().is_none()), (0, 0, true));
    }
}
