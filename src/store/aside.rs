//! Moves a store out of the way, whole, so that a new one can be begun in its place and somebody can look at the old one.

use std::io;
use std::path::{Path, PathBuf};

use super::disk;
use crate::sync::ports::PortError;

/// Moves the directory to `<path>.aside-<time>`, and says where it is. Where the directory itself cannot be moved, as the
/// root of a mounted volume, its content goes to `aside-<time>` within. The time is milliseconds since the epoch.
pub fn set_aside(path: &Path, now_ms: i64) -> Result<PathBuf, PortError> {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default().strftime("%Y%m%dT%H%M%S").to_string();
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".aside-{time}"));
    let beside = PathBuf::from(beside);
    if !beside.exists() && std::fs::rename(path, &beside).is_ok() {
        return Ok(beside);
    }
    let within = path.join(format!("aside-{time}"));
    move_content(path, &within).map_err(|error| disk::failed(path, "set aside", &error))?;
    Ok(within)
}

fn move_content(path: &Path, within: &Path) -> io::Result<()> {
    std::fs::create_dir(within)?;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // What was set aside before stays where it is.
        if !entry.file_name().to_string_lossy().starts_with("aside-") {
            std::fs::rename(entry.path(), within.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_moved_and_nothing_is_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store");
        let fill = || {
            std::fs::create_dir_all(store.join("blobs")).unwrap();
            std::fs::write(store.join("db"), "content").unwrap();
        };
        fill();
        let first = set_aside(&store, 1_700_000_000_000).unwrap();
        assert!(first.to_string_lossy().ends_with("store.aside-20231114T221320"), "{}", first.display());
        assert_eq!(std::fs::read_to_string(first.join("db")).unwrap(), "content");
        assert!(!store.exists());
        fill();
        let second = set_aside(&store, 1_700_000_000_000).unwrap();
        assert_eq!(second, store.join("aside-20231114T221320"), "the first is still there");
        assert!(second.join("db").exists() && second.join("blobs").exists() && !store.join("db").exists());
    }
}
