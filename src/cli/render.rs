//! What the tool says: lines, tables and JSON on stdout, notes on stderr. The only place that may write to either.
//!
//! It knows no command and no domain type. A closed stdout (`order-sync … | head`) is told apart from every other
//! broken pipe, so that the process can end quietly.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For scripts: JSON, one object per line.
    Json,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A person at a terminal.
    Terminal,
    /// A file or another program.
    Pipe,
}

/// Stdout, or what stands for it in a test. Each line leaves at once when it ends.
pub struct Out {
    writer: Box<dyn Write + Send>,
    reader: Reader,
}

/// Stdout was closed by its reader: not an error, there is just nobody left to tell.
#[derive(Debug, thiserror::Error)]
#[error("stdout is closed")]
struct Closed;

impl Out {
    /// The process's stdout.
    pub fn stdout() -> Self {
        let reader = if io::stdout().is_terminal() { Reader::Terminal } else { Reader::Pipe };
        Self::new(io::stdout(), reader)
    }

    /// Anything else, for tests.
    pub fn new(writer: impl Write + Send + 'static, reader: Reader) -> Self {
        Self { writer: Box::new(writer), reader }
    }

    /// Who reads: progress bars, tables and the default form depend on it.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// One line of text.
    pub fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        self.write_all(text.as_ref().as_bytes())?;
        self.write_all(b"\n")
    }

    /// One JSON object on a line of its own.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.write_all(&line)
    }

    /// A table with a header; columns are as wide as their content (CJK counted double), without borders.
    pub fn table(&mut self, header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        table.set_header(header.to_vec());
        table.add_rows(rows);
        self.lay_out(table)
    }

    /// Further rows of a table whose header stands above.
    pub fn rows(&mut self, rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        table.add_rows(rows);
        self.lay_out(table)
    }

    fn lay_out(&mut self, mut table: comfy_table::Table) -> io::Result<()> {
        table.load_style(comfy_table::presets::NOTHING);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes).map_err(mark_closed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(mark_closed)
    }
}

fn mark_closed(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { io::Error::new(io::ErrorKind::BrokenPipe, Closed) } else { error }
}

/// Whether this error says no more than that nobody reads stdout any longer.
pub fn is_closed_stdout(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Closed>))
}

/// One line to the person who watches: warnings, progress, errors. A closed stderr is nobody's business.
pub fn note(text: impl AsRef<str>) {
    drop(writeln!(io::stderr(), "{}", text.as_ref()));
}

/// Ids and messages come from foreign hands: what could steer a terminal is shown escaped.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Characters that a terminal obeys instead of showing them: controls, and those that turn the direction of what follows or
/// take no room, behind which an id can look like another one.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(
            printable("A\u{202e}1\u{200b}\u{feff}\u{1b}[2J\u{2069}"),
            "A\\u{202e}1\\u{200b}\\u{feff}\\u{1b}[2J\\u{2069}"
        );
        assert_eq!(printable("订单-1 é"), "订单-1 é");
    }

    #[test]
    fn only_stdout_ends_quietly() {
        let ours = Out::new(Gone, Reader::Pipe).line("x").unwrap_err();
        assert!(is_closed_stdout(&anyhow::Error::new(ours).context("cannot print")));
        let another: io::Error = io::ErrorKind::BrokenPipe.into();
        assert!(!is_closed_stdout(&anyhow::Error::new(another)));
    }
}
