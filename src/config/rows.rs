//! Settings as read from one or several layers, by section and key, each with its origin. It knows no meaning.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::origin::Origin;
use super::value::Value;

/// One setting and where it stands.
#[derive(Clone)]
pub(super) struct Cell {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// One table.
#[derive(Clone)]
pub(super) struct Row {
    /// Where the table begins; what is missing in it is told there.
    pub(super) origin: Origin,
    /// By the key's name.
    pub(super) cells: BTreeMap<&'static str, Cell>,
}

impl Row {
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, cells: BTreeMap::new() }
    }

    /// Puts a setting over what is there; of properties, each name by itself.
    pub(super) fn put(&mut self, key: &'static str, cell: Cell) {
        match self.cells.entry(key) {
            Entry::Vacant(vacant) => drop(vacant.insert(cell)),
            Entry::Occupied(mut there) => match (&mut there.get_mut().value, cell) {
                (Value::Properties(below), Cell { value: Value::Properties(above), origin }) => {
                    below.extend(above);
                    there.get_mut().origin = origin;
                }
                (_, cell) => drop(there.insert(cell)),
            },
        }
    }
}

/// All sections of one or several layers.
#[derive(Default)]
pub(super) struct Rows {
    /// Sections that stand once.
    pub(super) tables: BTreeMap<&'static str, Row>,
    /// Sections that stand many times.
    pub(super) lists: BTreeMap<&'static str, Vec<Row>>,
}

impl Rows {
    /// The table of this section, made if it is not there.
    pub(super) fn table(&mut self, section: &'static str, origin: &Origin) -> &mut Row {
        self.tables.entry(section).or_insert_with(|| Row::new(origin.clone()))
    }

    /// Puts a layer over this one: key by key in tables; a list replaces the list below it.
    pub(super) fn overlay(&mut self, above: Self) {
        for (section, row) in above.tables {
            let table = self.table(section, &row.origin);
            // What is missing is told where people can add it: in the uppermost place that has the table.
            table.origin = row.origin;
            for (key, cell) in row.cells {
                table.put(key, cell);
            }
        }
        self.lists.extend(above.lists);
    }
}
