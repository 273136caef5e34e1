//! What an import knows of the letters of one record, and which of them it writes.

/// What becomes of the letters of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Imported,
    Present,
    Unknown,
}

impl Fate {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Present => "present",
            Self::Unknown => "unknown",
        }
    }
}

/// What is kept of the letters of one record, each of which says how often it had been dead-lettered by then.
#[derive(Debug)]
pub(super) struct Known {
    /// When one of them was written.
    pub(super) timestamp_ms: i64,
    /// Whether this group has written them.
    pub(super) is_ours: bool,
    /// Those of the file, in their order.
    pub(super) file: Vec<u32>,
    /// Those of the topic as they lie there; of several of one number the last counts.
    pub(super) topic: Vec<u32>,
    /// Those of both, in their order, once it is decided.
    pub(super) all: Vec<u32>,
    pub(super) fate: Fate,
    /// How many of all are behind us, or need not be written.
    pub(super) done: usize,
}

impl Known {
    /// One lies in the topic, behind the others.
    pub(super) fn lies(&mut self, times: u32) {
        self.topic.retain(|other| *other != times);
        self.topic.push(times);
    }

    /// Whether the topic has all of the file, and its newest last.
    pub(super) fn is_whole(&self) -> bool {
        self.topic.is_sorted() && self.file.iter().all(|times| self.topic.contains(times))
    }

    /// Decides, where the newest letter is known that was written of this record. Without it one that is behind it would pass
    /// for it, as readers take the last one in the topic. From the first on that the topic lacks, or that lies there before an
    /// earlier one, all are written: so the newest is the last again.
    pub(super) fn judge(&mut self, newest: Option<u32>) {
        self.all = [&*self.file, &*self.topic].concat();
        self.all.sort_unstable();
        self.all.dedup();
        let is_theirs = |newest| self.file.last() <= Some(&newest) && self.all.last() >= Some(&newest);
        let in_place = self.all.iter().zip(&self.topic).take_while(|(one, other)| one == other).count();
        (self.fate, self.done) = if in_place == self.all.len() {
            (Fate::Present, in_place)
        } else if newest.is_some_and(is_theirs) {
            (Fate::Imported, in_place)
        } else if self.topic.is_empty() {
            (Fate::Unknown, self.all.len())
        } else {
            (Fate::Present, self.all.len())
        };
    }

    /// Once they are written, and the topic was read on: whether others have come before ours.
    pub(super) fn look_again(&mut self) {
        if self.fate == Fate::Imported {
            self.judge(self.topic.iter().max().copied());
            self.fate = Fate::Imported;
        }
    }

    /// The one that is to be written next.
    pub(super) fn next(&self) -> Option<u32> {
        self.all.get(self.done).copied()
    }

    /// Whether this is the one that is to be written next; then it is done.
    pub(super) fn is_due(&mut self, times: u32) -> bool {
        let is_next = self.next() == Some(times);
        self.done += usize::from(is_next);
        is_next
    }

    /// How many of the file are to be written.
    pub(super) fn wanted(&self) -> usize {
        let left = self.all.get(self.done..).unwrap_or_default();
        left.iter().filter(|times| self.file.contains(times)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(file: &[u32], topic: &[u32], newest: Option<u32>) -> (Fate, Vec<u32>) {
        let (file, lain, topic, all) = (file.to_vec(), topic, Vec::new(), Vec::new());
        let mut known = Known { timestamp_ms: 0, is_ours: true, file, topic, all, fate: Fate::Unknown, done: 0 };
        for times in lain {
            known.lies(*times);
        }
        known.judge(newest);
        (known.fate, known.all[known.done..].to_vec())
    }

    /// The last letter of an id in its topic counts, so that the newest of all is written last or nothing is.
    #[test]
    fn what_is_lost_is_written_with_what_stands_behind_it_and_the_newest_last() {
        let check = |file: &[u32], topic: &[u32], newest, fate: Fate, written: &[u32]| {
            assert_eq!(judged(file, topic, newest), (fate, written.to_vec()), "{file:?} {topic:?} {newest:?}");
        };
        check(&[1], &[], Some(1), Fate::Imported, &[1]);
        check(&[1, 2, 3], &[], Some(3), Fate::Imported, &[1, 2, 3]);
        check(&[1, 2, 3], &[1], Some(3), Fate::Imported, &[2, 3]);
        check(&[1, 2, 3], &[3], Some(3), Fate::Imported, &[1, 2, 3]);
        check(&[1, 2, 3], &[1, 3], Some(3), Fate::Imported, &[2, 3]);
        check(&[3], &[], Some(3), Fate::Imported, &[3]);
        check(&[1, 2], &[2, 1], None, Fate::Present, &[]);
        check(&[1, 2], &[], Some(3), Fate::Unknown, &[]);
        check(&[1, 2], &[], None, Fate::Unknown, &[]);
        check(&[1, 2], &[3], None, Fate::Present, &[]);
        // Of another log than the status is of.
        check(&[1, 4], &[], Some(3), Fate::Unknown, &[]);
    }

    /// The record came back after its letters were lost.
    #[test]
    fn earlier_letters_are_written_though_the_topic_has_a_newer_one_which_then_stands_last() {
        let check = |file: &[u32], topic: &[u32], newest, fate: Fate, written: &[u32]| {
            assert_eq!(judged(file, topic, newest), (fate, written.to_vec()), "{file:?} {topic:?} {newest:?}");
        };
        check(&[1, 2, 3], &[4], Some(4), Fate::Imported, &[1, 2, 3, 4]);
        check(&[1, 3], &[2, 4], Some(4), Fate::Imported, &[1, 2, 3, 4]);
        check(&[1, 2], &[1, 4], Some(4), Fate::Imported, &[2, 4]);
        // The newest is nowhere.
        check(&[1, 2], &[3], Some(4), Fate::Present, &[]);
        // Done, by one import and by one that was ended before its last letter.
        check(&[1, 2, 3], &[4, 1, 2, 3, 4], Some(4), Fate::Present, &[]);
        check(&[1, 2, 3], &[4, 1, 2, 3], Some(4), Fate::Imported, &[1, 2, 3, 4]);
    }

    #[test]
    fn each_is_due_once_in_its_order_and_those_of_the_file_are_counted() {
        let (file, topic, all) = (vec![1, 2], vec![3], Vec::new());
        let mut known = Known { timestamp_ms: 0, is_ours: true, file, topic, all, fate: Fate::Unknown, done: 0 };
        known.judge(Some(3));
        assert_eq!(known.wanted(), 2);
        let due: Vec<u32> = [3, 1, 1, 3, 2, 3, 3].into_iter().filter(|times| known.is_due(*times)).collect();
        assert_eq!((due, known.wanted(), known.next()), (vec![1, 2, 3], 0, None));
        // Read on: a worker has written a newer one before ours, which is written again, once.
        for (read, due) in [(vec![4, 1, 2, 3], vec![1, 2, 3, 4]), (vec![1, 2, 3, 4], vec![])] {
            for times in read {
                known.lies(times);
            }
            known.look_again();
            let written: Vec<u32> = (1..5).filter(|times| known.is_due(*times)).collect();
            assert_eq!((written, known.fate), (due, Fate::Imported));
        }
    }
}
