//! What a command may use of the world: the global options, stdout, and the environment as it was at the start.
//!
//! Nothing below `cli` reads the process environment; it comes in here, from `main`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::render::{Out, Output, Reader};

/// Options that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The settings file [default: `$ORDER_SYNC_CONFIG`, else ./order-sync.toml if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key, over file and environment; may be repeated, e.g. `--set delivery.max_in_flight=512`
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Form of the output [default: text; `map` writes JSON unless it is read on a terminal]
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    pub output: Option<Output>,
}

/// What a command may use of the world.
pub struct Shell {
    /// Where results go.
    pub out: Out,
    pub(super) globals: Globals,
    pub(super) environment: BTreeMap<OsString, OsString>,
}

impl Shell {
    /// Brings the global options, stdout and the environment together.
    pub fn new(globals: Globals, out: Out, environment: BTreeMap<OsString, OsString>) -> Self {
        Self { out, globals, environment }
    }

    /// The form that was asked for, else text.
    pub fn output(&self) -> Output {
        self.globals.output.unwrap_or(Output::Text)
    }

    /// The form that was asked for, else text on a terminal and JSON everywhere else.
    pub fn output_by_reader(&self) -> Output {
        self.globals.output.unwrap_or(match self.out.reader() {
            Reader::Terminal => Output::Text,
            Reader::Pipe => Output::Json,
        })
    }
}
