//! The orders of one partition as events and commands have made them, by the contract (§6 and §7) from the made-up events
//! themselves, with orders leaving where a commit says so. Nothing of the library's fold is used here.

use std::collections::{BTreeMap, BTreeSet};

use order_sync::sync::changelog::LetterState;
use order_sync::sync::command::{CommandDone, Outcome as Said};

use super::audit::Push;
use super::script::{Command, Kind, Log, Order, Outcome, RETAIN_MS, Stand, Way, apply};

/// Why the platform never takes a push.
pub(crate) type Never = Option<&'static str>;

/// One partition.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    states: BTreeMap<String, Order>,
    /// What commands came to, by their ids.
    pub(crate) done: BTreeMap<String, CommandDone>,
    /// Whether the app is paused.
    pub(crate) is_paused: bool,
    /// Every push that was ever owed: the offset that it belongs to, and why it is a dead letter where the platform never takes it.
    pub(crate) pushes: BTreeMap<Push, (i64, Never)>,
    /// Letters of records that were set aside before anything was pushed, as commands have left them.
    pub(crate) aside: BTreeMap<i64, LetterState>,
    /// Letters of rejected pushes that a command has sent again, with their stamps.
    pub(crate) sent_again: BTreeSet<(i64, i64)>,
    /// Letters that a command has decided against.
    pub(crate) discarded: BTreeSet<i64>,
    /// The greatest stamp that has left.
    pub(crate) removed: i64,
    newest_ms: i64,
}

/// What one commit comes to.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// What is owed with it.
    pub(crate) pushes: BTreeSet<Push>,
    /// What is owed again with it where it stands as a dead letter, with the offset that it belongs to then.
    pub(crate) perhaps: BTreeMap<Push, i64>,
    /// Records that are set aside with it.
    pub(crate) letters: Vec<(i64, &'static str)>,
    /// Letters that commands have dealt with.
    pub(crate) dealt_with: BTreeMap<i64, LetterState>,
    /// Letters that a discard and another command met at in one place of the log: discards go ahead, so that either may
    /// have been first.
    met: BTreeSet<i64>,
    /// Such letters that may be open still, as the discard came before the record was set aside again.
    pub(crate) perhaps_open: BTreeSet<i64>,
    /// What must not be, in words.
    pub(crate) faults: Vec<String>,
}

impl Orders {
    /// Why the push is a dead letter in the end, where the platform never takes it.
    pub(crate) fn never(&self, push: &Push) -> Never {
        self.pushes.get(push).and_then(|(_, never)| *never)
    }

    /// The states of all orders.
    pub(crate) fn stands(&self) -> BTreeMap<String, Stand> {
        self.states.iter().map(|(order, state)| (order.clone(), state.stand)).collect()
    }

    /// Folds the events of a range, with the commands that a commit says were executed between them.
    pub(crate) fn advance(&mut self, log: &Log, range: std::ops::Range<i64>, said: Vec<(String, CommandDone)>) -> Due {
        let mut due = Due::default();
        let mut commands = Vec::new();
        for (id, done) in said {
            match self.done.get(&id) {
                Some(old) if *old == done => {}
                Some(old) => due.faults.push(format!("{id} acts twice: {old:?}, then {done:?}")),
                None => commands.push((id, done)),
            }
        }
        commands.sort_by_key(|(_, done)| (done.next, done.command_offset));
        due.met = met(log, &commands);
        let mut commands = commands.into_iter().peekable();
        for offset in range.start..=range.end {
            while let Some((id, done)) = commands.next_if(|(_, done)| done.next.get() == offset) {
                self.execute(log, &id, &done, &mut due);
                self.done.insert(id, done);
            }
            if offset < range.end {
                self.fold(log, offset, Way::Log, &mut due);
            }
        }
        due.faults.extend(commands.map(|(id, done)| format!("{id} acts at {}, and the cut is {range:?}", done.next)));
        due
    }

    fn fold(&mut self, log: &Log, offset: i64, way: Way, due: &mut Due) -> Outcome {
        let event = &log.events[usize::try_from(offset).unwrap()];
        if way == Way::Log && matches!(event.kind, Kind::Good | Kind::Poison | Kind::Stubborn | Kind::Unmappable) {
            self.newest_ms = self.newest_ms.max(event.at_ms);
        }
        let outcome = apply(&mut self.states, event, offset, self.removed, way);
        match outcome {
            Outcome::Advanced(stamp) => {
                self.owe((event.order.clone(), stamp), offset, event.kind.never(), due);
            }
            Outcome::SetAside(reason) => {
                self.aside.insert(offset, LetterState::Open);
                due.letters.push((offset, reason));
            }
            Outcome::Unchanged(_) | Outcome::Duplicate | Outcome::Stale | Outcome::Empty => {}
        }
        outcome
    }

    /// An order leaves: an error where it may not, by its state and its age.
    pub(crate) fn remove(&mut self, order: &str) -> Result<(), String> {
        let Some(state) = self.states.remove(order) else { return Err(format!("{order} leaves and was not there")) };
        self.removed = self.removed.max(state.stand.0);
        let is_old = state.stand.0 * 1000 < self.newest_ms - RETAIN_MS;
        if state.is_final && is_old { Ok(()) } else { Err(format!("{order} leaves, at its end or not, old or not")) }
    }

    fn owe(&mut self, push: Push, offset: i64, never: Never, due: &mut Due) {
        due.pushes.insert(push.clone());
        self.pushes.insert(push, (offset, never));
    }

    /// Executes a command as the contract has it; what it is said to have come to must be that.
    fn execute(&mut self, log: &Log, id: &str, done: &CommandDone, due: &mut Due) {
        let Some(command) = log.commands.iter().find(|(known, _)| known == id).map(|(_, command)| command.clone())
        else {
            return due.faults.push(format!("nobody gave {id}"));
        };
        let (next, said, stamp) = (done.next.get(), done.outcome, done.update_time.map(|stamp| stamp.0));
        let expect = match command {
            Command::Pause => {
                self.is_paused = true;
                vec![(Said::Done, None)]
            }
            Command::Resume => {
                self.is_paused = false;
                vec![(Said::Done, None)]
            }
            Command::Resync(ref order, at_ms) => vec![self.resync(order, at_ms, due)],
            Command::Fold(offset) if offset < next => self.take_up(log, offset, Way::Word, due),
            Command::Redrive(offset) if offset < next => self.redrive(log, offset, stamp, said, due),
            Command::Discard(offset) if offset < next => self.discard(log, offset, said, due),
            Command::Redrive(_) | Command::Fold(_) | Command::Discard(_) => vec![(Said::Refused, None)],
        };
        if !expect.contains(&(said, stamp)) {
            due.faults.push(format!("{id} {command:?} at {next} comes to {said:?} {stamp:?}, not {expect:?}"));
        }
    }

    fn resync(&mut self, order: &str, at_ms: i64, due: &mut Due) -> (Said, Option<i64>) {
        let Some(state) = self.states.get_mut(order) else { return (Said::Refused, None) };
        state.stand.0 = (at_ms / 1000).max(state.stand.0 + 1);
        let ((stamp, offset), never) = (state.stand, state.content.1.never());
        self.owe((order.to_owned(), stamp), offset, never, due);
        (Said::Sent, Some(stamp))
    }

    /// Whether a push of this record's order may have been rejected and stand as its letter.
    fn may_be_rejected(&self, log: &Log, offset: i64) -> bool {
        let order = &log.events[usize::try_from(offset).unwrap()].order;
        self.pushes.iter().any(|(push, (_, never))| never.is_some() && push.0 == *order)
    }

    fn redrive(
        &mut self,
        log: &Log,
        offset: i64,
        stamp: Option<i64>,
        said: Said,
        due: &mut Due,
    ) -> Vec<(Said, Option<i64>)> {
        match self.aside.get(&offset) {
            Some(LetterState::Open | LetterState::Discarded) => self.take_up(log, offset, Way::Redrive, due),
            // What stands as a letter at the moment depends on what the platform has answered.
            Some(_) | None if self.may_be_rejected(log, offset) => self.send_again(offset, stamp, said, due),
            Some(_) | None => vec![(Said::Refused, None)],
        }
    }

    fn discard(&mut self, log: &Log, offset: i64, said: Said, due: &mut Due) -> Vec<(Said, Option<i64>)> {
        match self.aside.get(&offset) {
            Some(state) if due.met.contains(&offset) => {
                if *state != LetterState::Redriven && said == Said::Done {
                    self.aside.insert(offset, LetterState::Discarded);
                    if due.letters.iter().any(|(letter, _)| *letter == offset) {
                        due.perhaps_open.insert(offset);
                    }
                }
                vec![(Said::Done, None), (Said::Refused, None)]
            }
            Some(LetterState::Open | LetterState::Discarded) => {
                self.aside.insert(offset, LetterState::Discarded);
                vec![(Said::Done, None)]
            }
            Some(_) | None if self.may_be_rejected(log, offset) => {
                if said == Said::Done {
                    self.discarded.insert(offset);
                    due.dealt_with.insert(offset, LetterState::Discarded);
                }
                vec![(Said::Done, None), (Said::Refused, None)]
            }
            Some(_) | None => vec![(Said::Refused, None)],
        }
    }

    fn take_up(&mut self, log: &Log, offset: i64, way: Way, due: &mut Due) -> Vec<(Said, Option<i64>)> {
        let outcome = self.fold(log, offset, way, due);
        if let (Outcome::Advanced(_) | Outcome::Unchanged(_), Some(state)) = (outcome, self.aside.get_mut(&offset)) {
            *state = LetterState::Redriven;
        }
        match outcome {
            Outcome::Advanced(stamp) => vec![(Said::Folded, Some(stamp))],
            Outcome::Unchanged(stamp) => {
                let push = (log.events[usize::try_from(offset).unwrap()].order.clone(), stamp);
                let mut expect = vec![(Said::Unchanged, None)];
                if self.never(&push).is_some() {
                    // Where its delivery stands as a dead letter, it is owed again.
                    due.perhaps.insert(push, offset);
                    expect.push((Said::Folded, Some(stamp)));
                }
                expect
            }
            Outcome::Duplicate => vec![(Said::Duplicate, None)],
            Outcome::Stale => vec![(Said::Stale, None)],
            Outcome::Empty => vec![(Said::Refused, None)],
            Outcome::SetAside(_) => vec![(Said::DeadLetter, None)],
        }
    }

    /// A delivery that was rejected is owed again, only while it is the order's last.
    fn send_again(&mut self, offset: i64, stamp: Option<i64>, said: Said, due: &mut Due) -> Vec<(Said, Option<i64>)> {
        let last = |push: &Push| self.states.get(&push.0).is_some_and(|state| state.stand.0 == push.1);
        let mut expect = vec![(Said::Refused, None), (Said::Superseded, None), (Said::Unchanged, None)];
        let never = self.pushes.iter().filter_map(|(push, (_, never))| Some((push.clone(), (*never)?)));
        let found = never.filter(|(push, _)| Some(push.1) == stamp).find(|(push, _)| last(push));
        if let (Said::Sent, Some((push, never))) = (said, found) {
            expect.push((said, stamp));
            self.sent_again.insert((offset, push.1));
            due.dealt_with.insert(offset, LetterState::Redriven);
            self.owe(push, offset, Some(never), due);
        }
        expect
    }
}

/// Letters that a discard is about and a command given before it, both executed in the same place.
fn met(log: &Log, commands: &[(String, CommandDone)]) -> BTreeSet<i64> {
    let about = |(id, _): &&(String, CommandDone)| log.commands.iter().find(|(known, _)| known == id).map(|(_, c)| c);
    let mut met = BTreeSet::new();
    for (n, discard) in commands.iter().enumerate() {
        let Some(Command::Discard(offset)) = about(&discard) else { continue };
        let here = commands[..n].iter().filter(|other| other.1.next == discard.1.next);
        if here
            .filter_map(|other| about(&other))
            .any(|c| matches!(c, Command::Redrive(o) | Command::Fold(o) if o == offset))
        {
            met.insert(*offset);
        }
    }
    met
}
