//! The file that lets `replay --resume` go on: which orders are to be resynced, under which ids, and how many have been given.
//!
//! NDJSON that only grows: what the round has in common, an order on each line, a line that says that these are all, and a line
//! after each part that is in the commands topic. Whatever is cut off is given once more under its old id, and acts once.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::exit::{self, Exit};
use crate::cli::giving::Round;
use crate::record::TopicPartition;

/// The format that this release writes and reads. Since 2 an order has the stamp of its held state.
const FORMAT: u64 = 2;

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    Begun {
        format: u64,
        group: String,
        round: Round,
    },
    Order(PlannedOrder),
    Planned {
        planned: u64,
        /// What the replay came to.
        summary: Value,
    },
    Given {
        given: u64,
    },
}

/// An order that is to be resynced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedOrder {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) app_id: String,
    pub(super) order_id: String,
    /// Of the state that is to be sent again: the command's id is made of it.
    pub(super) stamp: i64,
}

/// The file, open to be written on.
pub(super) struct ProgressFile {
    path: PathBuf,
    file: BufWriter<File>,
    planned: u64,
}

/// What a file says that was begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) round: Round,
    pub(super) summary: Value,
    pub(super) planned: u64,
    pub(super) given: u64,
    group: String,
}

impl PlannedOrder {
    /// What the command's id ends with. A resync that is executed gives the order another stamp; until then whatever plan it
    /// stands in names the same command, which acts once.
    pub(super) fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.place(), self.app_id, self.order_id, self.stamp)
    }

    /// Its source partition.
    pub(super) fn place(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }
}

/// Where the file lies that nobody has named.
pub(super) fn default_path(group: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    PathBuf::from(format!("order-sync-replay-{}.ndjson", group.chars().map(plain).collect::<String>()))
}

impl ProgressFile {
    /// Begins a plan. One that is there and not done is not written over.
    pub(super) fn create(path: &Path, group: &str, round: &Round) -> anyhow::Result<Self> {
        if let Some(begun) = read(path)?.filter(|begun| begun.given < begun.planned) {
            let words = format!(
                "{} holds a replay of which {} of {} commands are given: --resume goes on with it; to begin anew, remove it or \
                 name another file (--state)",
                path.display(),
                begun.given,
                begun.planned
            );
            return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
        }
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let file = BufWriter::new(file.map_err(|error| exit::fail(Exit::Usage, error))?);
        let mut made = Self { path: path.to_owned(), file, planned: 0 };
        made.line(&Line::Begun { format: FORMAT, group: group.to_owned(), round: round.clone() })?;
        Ok(made)
    }

    /// A further order.
    pub(super) fn plan(&mut self, order: PlannedOrder) -> anyhow::Result<()> {
        self.planned += 1;
        self.line(&Line::Order(order))
    }

    /// These are all. From here on the file can be gone on from.
    pub(super) fn seal(&mut self, summary: Value) -> anyhow::Result<()> {
        self.line(&Line::Planned { planned: self.planned, summary })?;
        self.sync()
    }

    /// There is nothing to give.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }

    /// So many of them are in the commands topic.
    pub(super) fn given(&mut self, given: u64) -> anyhow::Result<()> {
        self.line(&Line::Given { given })?;
        self.sync()
    }

    /// Opens a file that was begun, for this group, to go on with it.
    pub(super) fn resume(path: &Path, group: &str) -> anyhow::Result<(Self, Begun)> {
        let name = path.display();
        let refuse = |words: String| Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
        let Some(begun) = read(path)? else {
            return refuse(format!(
                "{name} holds no plan to go on with: none was finished there. Run `replay --apply` again, or name the file \
                 (--state)"
            ));
        };
        if begun.group != group {
            return refuse(format!("{name} holds a replay for group {}, and kafka.group_id is {group}", begun.group));
        }
        let file = OpenOptions::new().read(true).write(true).open(path).with_context(|| format!("cannot write {name}"));
        let mut file = file.map_err(|error| exit::fail(Exit::Usage, error))?;
        // A last line that was cut off is closed, so that it spoils none that follow.
        file.seek(std::io::SeekFrom::End(0)).with_context(|| format!("cannot write {name}"))?;
        let mut made = Self { path: path.to_owned(), file: BufWriter::new(file), planned: begun.planned };
        if !ends_whole(path)? {
            made.file.write_all(b"\n").with_context(|| format!("cannot write {name}"))?;
        }
        Ok((made, begun))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many orders it has.
    pub(super) fn planned(&self) -> u64 {
        self.planned
    }

    /// Its orders, from the one behind `given` on.
    pub(super) fn orders(
        &self,
        given: u64,
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<PlannedOrder>> + use<>> {
        let skip = usize::try_from(given).unwrap_or(usize::MAX);
        let orders = lines(&self.path)?.filter_map(|line| match line {
            Ok(Some(Line::Order(order))) => Some(Ok(order)),
            Ok(Some(Line::Begun { .. } | Line::Planned { .. } | Line::Given { .. }) | None) => None,
            Err(error) => Some(Err(error)),
        });
        Ok(orders.skip(skip))
    }

    fn line(&mut self, line: &Line) -> anyhow::Result<()> {
        let written = serde_json::to_writer(&mut self.file, line).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.file.write_all(b"\n"));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn sync(&mut self) -> anyhow::Result<()> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        synced.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// What a file says; `None` where there is none, or none whose plan was finished.
fn read(path: &Path) -> anyhow::Result<Option<Begun>> {
    if !path.exists() {
        return Ok(None);
    }
    let (mut head, mut sealed, mut done) = (None, None, 0);
    for line in lines(path)? {
        match line? {
            Some(Line::Begun { format: FORMAT, group, round }) if head.is_none() => head = Some((group, round)),
            Some(Line::Planned { planned, summary }) => sealed = Some((planned, summary)),
            Some(Line::Given { given }) => done = given,
            Some(Line::Order(_)) | None => {}
            Some(Line::Begun { .. }) => {
                let words = format!("{} is no progress file of this release", path.display());
                return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
            }
        }
    }
    let begun = |((group, round), (planned, summary))| Begun { round, summary, planned, given: done, group };
    Ok(head.zip(sealed).map(begun))
}

/// The lines of a file; `None` for what was cut off.
fn lines(path: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Option<Line>>> + use<>> {
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {name}"));
    let file = BufReader::new(file.map_err(|error| exit::fail(Exit::Usage, error))?);
    let mut number = 0_u64;
    Ok(file.split(b'\n').map(move |line| {
        number += 1;
        let line = line.with_context(|| format!("cannot read {name}"))?;
        match serde_json::from_slice(&line) {
            Ok(line) => Ok(Some(line)),
            // Our own first line is written whole before anything is given.
            Err(_) if number == 1 => {
                let words = format!("{name} is no progress file of `order-sync replay`; name another one (--state)");
                Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)))
            }
            Err(_) => Ok(None),
        }
    }))
}

fn ends_whole(path: &Path) -> anyhow::Result<bool> {
    use std::io::Read as _;
    let doing = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(doing)?;
    file.seek(std::io::SeekFrom::End(-1)).with_context(doing)?;
    let mut last = [0];
    file.read_exact(&mut last).with_context(doing)?;
    Ok(last == *b"\n")
}
