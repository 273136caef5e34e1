//! A settings file, from TOML text to rows: every unknown key and every wrong type is found, each with its line.

use toml_edit::{Item, TableLike};

use super::key::{self, Section, Shape};
use super::origin::{Findings, Origin};
use super::rows::{Cell, Row, Rows};
use super::value;

/// Reads a whole file. What cannot be read is left out of the rows and told in the findings.
pub(super) fn read(text: &str, origin: &Origin, findings: &mut Findings) -> Rows {
    let mut reading = Reading { text, origin, findings, rows: Rows::default() };
    match toml_edit::Document::parse(text) {
        Ok(document) => {
            if let Some(section) = key::section("") {
                let row = reading.table(section, document.as_table(), origin.clone());
                reading.rows.tables.insert(section.path, row);
            }
        }
        Err(error) => {
            reading.findings.unread.extend(key::SECTIONS.iter().map(|section| section.path));
            // The parser's own text quotes the line, which may hold a secret; its message and our line do not.
            let line = error.span().map(|span| line_of(text, span.start));
            reading.findings.fault(
                &origin.at(line),
                "",
                format!("is not TOML: {}", error.message().replace('\n', ", ")),
            );
        }
    }
    reading.rows
}

/// Reads a whole section that stands as one value in a variable or a flag.
pub(super) fn read_whole(section: &'static Section, item: &Item, origin: &Origin, findings: &mut Findings) -> Rows {
    let mut reading = Reading { text: "", origin, findings, rows: Rows::default() };
    reading.section(section, item, origin);
    reading.rows
}

struct Reading<'a> {
    text: &'a str,
    origin: &'a Origin,
    findings: &'a mut Findings,
    rows: Rows,
}

impl Reading<'_> {
    fn table(&mut self, section: &'static Section, table: &dyn TableLike, origin: Origin) -> Row {
        let mut row = Row::new(origin);
        for (name, item) in table.iter() {
            let span = table.get_key_value(name).and_then(|(key, item)| key.span().or_else(|| item.span()));
            let origin = self.origin.at(span.map(|span| line_of(self.text, span.start)));
            let path = section.path_of(name);
            if let Some(key) = section.key(name) {
                let (file, text) = (self.origin, self.text);
                let locate = |start: Option<usize>| match start {
                    Some(start) if !text.is_empty() => file.at(Some(line_of(text, start))),
                    Some(_) | None => origin.clone(),
                };
                let value = value::read(key.kind, item, &path, &locate, self.findings);
                row.put(key.name, Cell { value, origin });
            } else if let Some(below) = key::section(&path) {
                self.section(below, item, &origin);
            } else {
                self.findings.fault(&origin, path, format!("unknown key; {}", key::suggest(section, name)));
            }
        }
        row
    }

    fn section(&mut self, section: &'static Section, item: &Item, origin: &Origin) {
        match section.shape {
            Shape::Table => match item.as_table_like() {
                Some(table) => {
                    let row = self.table(section, table, origin.clone());
                    self.rows.tables.insert(section.path, row);
                }
                None => self.refuse(section, origin, format!("must be a table; write [{}]", section.path)),
            },
            Shape::Rows => self.list(section, item, origin),
        }
    }

    fn list(&mut self, section: &'static Section, item: &Item, origin: &Origin) {
        let tables: Option<Vec<(&dyn TableLike, Option<usize>)>> = match item {
            Item::ArrayOfTables(tables) => Some(
                tables.iter().map(|table| (table as &dyn TableLike, table.span().map(|span| span.start))).collect(),
            ),
            Item::Value(toml_edit::Value::Array(array)) => array
                .iter()
                .map(|value| Some((value.as_inline_table()? as &dyn TableLike, value.span().map(|span| span.start))))
                .collect(),
            Item::Value(_) | Item::Table(_) | Item::None => None,
        };
        let Some(tables) = tables else {
            let what = format!("must be a list of tables; write [[{}]]", section.path);
            return self.refuse(section, origin, what);
        };
        let mut rows = Vec::with_capacity(tables.len());
        for (table, start) in tables {
            let origin = start.map_or_else(|| origin.clone(), |start| self.origin.at(self.line(start)));
            rows.push(self.table(section, table, origin));
        }
        self.rows.lists.insert(section.path, rows);
    }

    fn refuse(&mut self, section: &'static Section, origin: &Origin, what: String) {
        self.findings.fault(origin, section.path, what);
        self.findings.unread.insert(section.path);
    }

    fn line(&self, start: usize) -> Option<usize> {
        (!self.text.is_empty()).then(|| line_of(self.text, start))
    }
}

/// The line of a byte, from 1.
fn line_of(text: &str, start: usize) -> usize {
    1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count()
}
