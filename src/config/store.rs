//! `[store]`: the local, durable state.

use std::path::PathBuf;

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// `path`: the sled directory.
    pub path: PathBuf,
    /// `cache_bytes`: bound of sled's page cache (32 MiB).
    pub cache_bytes: u64,
}

pub(super) const SECTION: Section = Section {
    path: "store",
    shape: Shape::Table,
    doc: "The local store: order states, owed deliveries and positions.",
    keys: &[
        Key {
            name: "path",
            kind: Kind::Text,
            absent: Absent::Default("\"order-sync-data\""),
            doc: "The directory of the store, made when missing; relative to where the process starts. One process at a \
                  time. Give it a fixed place on a disk that survives restarts.",
        },
        Key {
            name: "cache_bytes",
            kind: Kind::Bytes(1 << 20, 1 << 40),
            absent: Absent::Default("\"32MiB\""),
            doc: "Memory for the store's page cache. Raise it when orders come back long after their first event and \
                  the disk is slow.",
        },
    ],
};

/// Reads `[store]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Store {
    Store {
        path: reader.path("path").unwrap_or_default(),
        cache_bytes: reader.number("cache_bytes").unwrap_or(u64::MAX),
    }
}
