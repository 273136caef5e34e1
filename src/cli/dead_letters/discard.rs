//! `order-sync dead-letters discard`: an operator decides against letters.

use std::collections::{BTreeMap, BTreeSet};

use super::select::Select;
use crate::cli::exit::{self, Exit};
use crate::cli::giving::{self, Give, Given, Giver};
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, printable};
use crate::cli::shell::Shell;
use crate::cli::unread::LETTERS_OPEN;
use crate::inspect::{Copies, LetterId, Listed};
use crate::sync::changelog::LetterState;
use crate::sync::command::Action;

/// Options of `order-sync dead-letters discard`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The letters: topic/partition/offset of the original record
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<LetterId>,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = giving::why)]
    pub why: String,
    /// Give it although a command about the letter waits already
    #[arg(long)]
    pub again: bool,
    /// How it is given.
    #[command(flatten)]
    pub give: Give,
}

const HELP: &str = "\
The letter stays in its topic, with the status `discarded`; nothing is sent. Whether the order is right on
Douyin is nobody's worry from then on but the merchant's: `orders resync` sends its state again. A letter about
which a command waits, as no worker has executed it yet, is left out unless --again is given.

Exit codes: 1 there is no such letter, or a worker has refused one; 9 no worker has executed one within
--timeout: it stays written, do not give it again; 7 Kafka or a topic is not there.

Examples:
  order-sync dead-letters discard order-events/3/1024 --why 'a test order'";

/// Runs `order-sync dead-letters discard`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let found = find(&args.ids.iter().cloned().collect(), reading)?;
        let partitions: BTreeSet<i32> = found.keys().map(|id| id.source.partition).collect();
        let mut desk = Giver::new(reading, shell, &args.give, &args.why, &partitions, None)?;
        let places: Vec<_> = found.keys().map(|id| (id.source.clone(), id.offset)).collect();
        let waits = giving::waiting(&places, reading)?;
        let mut given = Vec::new();
        for (id, listed) in &found {
            if listed.state() == LetterState::Discarded {
                render::note(format!("note: {} is discarded already", printable(&id.to_string())));
                continue;
            }
            if let Some(words) = waits.get(&(id.source.clone(), id.offset)) {
                let end = if args.again { "" } else { "; nothing is given: --again gives another one" };
                render::note(format!("note: {}: {}{end}", printable(&id.to_string()), printable(words)));
                if !args.again {
                    continue;
                }
            }
            let action = Action::Discard { offset: id.offset };
            let command = desk.command(&id.to_string(), id.source.clone(), action);
            given.push(Given { subject: id.to_string(), command });
        }
        desk.give(&given, reading, shell)?;
        Ok(desk.end(reading))
    })
}

/// The newest letter of each of these ids; one that is not there ends everything, before anything is written.
pub(super) fn find(ids: &BTreeSet<LetterId>, reading: &mut Reading) -> anyhow::Result<BTreeMap<LetterId, Listed>> {
    let mut partitions = ids.iter().map(|id| id.source.partition);
    let first = partitions.next();
    let one = first.filter(|first| partitions.all(|partition| partition == *first));
    let select = Select { ids: ids.clone(), partition: one, ..Select::default() };
    let mut letters = select.letters(Copies::Newest, reading)?;
    let (bar, mut found) = (reading.bar.clone(), BTreeMap::new());
    while found.len() < ids.len() {
        let mut progress = |read| Reading::progress(&bar, read);
        let Some(listed) = letters.next(&mut reading.scan, &mut progress).map_err(reading::kafka)? else { break };
        found.insert(listed.row.id.clone(), listed);
    }
    reading.note_unread(letters.unread(), LETTERS_OPEN);
    if let Some(missing) = ids.iter().find(|id| !found.contains_key(id)) {
        let words = format!(
            "there is no dead letter {missing} in {}; `order-sync dead-letters list` names those there are. Nothing was written",
            reading.config.kafka.dead_letter_topic
        );
        return Err(exit::fail(Exit::Failure, anyhow::anyhow!(words)));
    }
    Ok(found)
}
