//! The only file that names sled: open, read, apply a batch, make it durable. Errors and panics become words.
//!
//! It knows rows of bytes and nothing of what they mean. What sled 0.34.7 does not do is done here: its flush ends in
//! `sync_file_range`, which orders neither the file's length nor the drive's cache, and values beyond a quarter of a
//! segment go to files of their own that it never syncs. A commit is on disk when [`Disk::flush`] has returned.

use std::fs::File;
use std::io;
use std::ops::{Bound, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::sync::ports::{By, PortError};

/// Leaves beyond a quarter of it become files of their own; sixteen chunks of owed deliveries, a leaf, stay within.
/// Measured: half of it or twice as much, with chunks to match, cost a tenth and a third more CPU time per record.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// How long a directory that is in use is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried meanwhile.
const LOCK_LOOK: Duration = Duration::from_millis(50);

/// An open store directory.
#[derive(Debug)]
pub(super) struct Disk {
    db: sled::Db,
    file: File,
    path: PathBuf,
}

/// A tree of it.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    tree: sled::Tree,
    path: PathBuf,
}

/// The bytes of one row, shared with the cache.
pub(super) struct Row(sled::IVec);

/// Changes of one tree that are applied together or not at all.
#[derive(Default)]
pub(super) struct Writes {
    batch: sled::Batch,
    rows: usize,
}

impl Deref for Row {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Writes {
    /// Sets a row; the last word on a key counts.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.batch.insert(key, value);
        self.rows += 1;
    }

    /// Removes a row, which need not be there.
    pub(super) fn remove(&mut self, key: &[u8]) {
        self.batch.remove(key);
        self.rows += 1;
    }
}

impl Disk {
    /// Opens the directory, or makes it. One process at a time: sled holds a lock on it.
    pub(super) fn open(path: &Path, cache_bytes: u64) -> Result<Self, PortError> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES)
            .mode(sled::Mode::LowSpace)
            // We flush at each commit; a thread that flushes in between would only cost.
            .flush_every_ms(None);
        let db = guarded(path, "open", || open_patiently(&config))?;
        let file = File::open(path.join("db")).map_err(|error| failed(path, "open", &error))?;
        Ok(Self { db, file, path: path.to_owned() })
    }

    /// The names of the trees that exist.
    pub(super) fn tree_names(&self) -> Vec<Vec<u8>> {
        self.db.tree_names().iter().map(|name| name.to_vec()).collect()
    }

    /// Opens a tree, or makes it.
    pub(super) fn tree(&self, name: &[u8]) -> Result<Tree, PortError> {
        let tree = guarded(&self.path, "open", || self.db.open_tree(name))?;
        Ok(Tree { tree, path: self.path.clone() })
    }

    /// Returns when everything applied so far is on disk, a loss of power included.
    pub(super) fn flush(&self) -> Result<(), PortError> {
        guarded(&self.path, "write", || {
            self.db.flush()?;
            self.sync_large_values()?;
            Ok(self.file.sync_data()?)
        })
    }

    /// Syncs the values that sled has put into files of their own; as a rule there are none.
    fn sync_large_values(&self) -> io::Result<()> {
        let folder = self.path.join("blobs");
        let mut found = false;
        for entry in std::fs::read_dir(&folder)? {
            found = true;
            match File::open(entry?.path()) {
                Ok(file) => file.sync_data()?,
                // sled has replaced the value in the meantime.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if found { File::open(&folder)?.sync_all() } else { Ok(()) }
    }
}

impl Tree {
    /// One row.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Row>, PortError> {
        guarded(&self.path, "read", || Ok(self.tree.get(key)?.map(Row)))
    }

    /// Sets one row, or removes it, and says whether there was one. By itself: what a crash leaves of several such
    /// changes is a first part of them. Unlike a batch it holds no reader up.
    pub(super) fn replace(&self, key: &[u8], value: Option<&[u8]>) -> Result<bool, PortError> {
        guarded(&self.path, "write", || {
            let old = match value {
                Some(value) => self.tree.insert(key, value)?,
                None => self.tree.remove(key)?,
            };
            Ok(old.is_some())
        })
    }

    /// Visits the rows whose keys begin with `prefix`, in the order of their keys, until `visit` fails.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        let mut rows = self.tree.scan_prefix(prefix);
        while let Some((key, value)) = guarded(&self.path, "read", || self.next(&mut rows))? {
            visit(&key, &value)?;
        }
        Ok(())
    }

    /// Visits up to `rows` rows whose keys begin with `prefix` and lie behind `after`, in the order of their keys.
    pub(super) fn page(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        rows: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let mut found = self.tree.range::<&[u8], _>((from, Bound::Unbounded));
        for _ in 0..rows {
            let row = guarded(&self.path, "read", || self.next(&mut found))?;
            let Some((key, value)) = row.filter(|(key, _)| key.starts_with(prefix)) else { break };
            visit(&key, &value)?;
        }
        Ok(())
    }

    /// The next row of a scan. sled minds the bound of its cache at every 64th access to one of its 256 shards alone,
    /// and a scan looks at each page of sixteen chunks once: it would keep all that it reads, a gigabyte for a million of
    /// deliveries. Four more looks at each row make the 64.
    fn next(&self, rows: &mut sled::Iter) -> sled::Result<Option<(sled::IVec, sled::IVec)>> {
        let Some((key, value)) = rows.next().transpose()? else { return Ok(None) };
        for _ in 0..4 {
            self.tree.contains_key(&key)?;
        }
        Ok(Some((key, value)))
    }

    /// Whether `test` holds for one of the rows whose keys begin with `prefix`.
    pub(super) fn any(
        &self,
        prefix: &[u8],
        test: impl Fn(&[u8]) -> Result<bool, PortError>,
    ) -> Result<bool, PortError> {
        let mut rows = self.tree.scan_prefix(prefix);
        while let Some((_, value)) = guarded(&self.path, "read", || self.next(&mut rows))? {
            if test(&value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes every row, one after another.
    pub(super) fn clear(&self) -> Result<(), PortError> {
        guarded(&self.path, "write", || self.tree.clear())
    }

    /// Applies all of `writes`, visible at once; on disk after [`Disk::flush`].
    pub(super) fn apply(&self, writes: Writes) -> Result<(), PortError> {
        guarded(&self.path, "write", || {
            self.tree.apply_batch(writes.batch)?;
            free_replaced(writes.rows);
            Ok(())
        })
    }
}

/// Frees the versions of pages that a batch has replaced. sled leaves them to crossbeam-epoch, which frees about 500 at
/// every 128th pin; a batch pins once and replaces a page with every row, so that without this a store that is filled
/// in large batches takes gigabytes of memory.
fn free_replaced(rows: usize) {
    // Each row replaces a page or two; so many pins free four.
    for _ in 0..rows + 256 {
        drop(sled::pin());
    }
}

/// Runs one operation of sled; it panics on some kinds of damage instead of telling them.
fn guarded<T>(path: &Path, doing: &str, run: impl FnOnce() -> sled::Result<T>) -> Result<T, PortError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(|error| from_sled(path, doing, &error)),
        Err(_) => Err(unreadable(path, "sled panicked")),
    }
}

/// A lock outlives its process, and a fork of another thread outlives the file, by a moment: a worker that is started
/// again at once must not be told that somebody else is there.
fn open_patiently(config: &sled::Config) -> sled::Result<sled::Db> {
    let began = Instant::now();
    loop {
        match config.open() {
            Err(error) if is_locked(&error) && began.elapsed() < LOCK_PATIENCE => {
                std::thread::park_timeout(LOCK_LOOK);
            }
            opened => return opened,
        }
    }
}

fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().contains("could not acquire lock"))
}

fn is_no_room(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

fn from_sled(path: &Path, doing: &str, error: &sled::Error) -> PortError {
    let shown = path.display();
    match error {
        locked if is_locked(locked) => PortError::Refused(
            By::StoreInUse,
            format!(
                "store directory {shown} is in use by another process; stop that one, or give this worker a directory of \
             its own in [store] path"
            ),
        ),
        // A quota and a limit of file size are to us what a small disk is.
        sled::Error::Io(io) if is_no_room(io.kind()) => PortError::Refused(
            By::Store,
            format!(
                "store directory {shown}: the disk is full ({}); make room and start again, nothing that was committed is lost",
                io.kind()
            ),
        ),
        sled::Error::Io(io) => PortError::Refused(
            By::Store,
            format!(
                "cannot {doing} store directory {shown}: {io}; see to the disk and its permissions, then start again"
            ),
        ),
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Corruption { .. } => unreadable(path, &error.to_string()),
    }
}

/// An error that names no directory: what is wrong lies in a row.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn fatal(error: impl ToString) -> PortError {
    PortError::Fatal(error.to_string())
}

/// The same for a row that does not say what we wrote.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn damaged(error: impl ToString) -> PortError {
    PortError::Damaged(error.to_string())
}

/// The words for an operation that the file system refused.
pub(super) fn failed(path: &Path, doing: &str, error: &io::Error) -> PortError {
    from_sled(path, doing, &sled::Error::Io(io::Error::new(error.kind(), error.to_string())))
}

/// The words for a directory whose content is not what we wrote. What helps depends on whether it is the only copy, which is
/// for the shell to say.
pub(super) fn unreadable(path: &Path, why: &str) -> PortError {
    PortError::Damaged(format!("store directory {} cannot be read: {why}", path.display()))
}
