//! What a command may use of the world: the global options, stdout, and the environment as it was at the start.
//!
//! Nothing below `cli` reads the process environment; it comes in here, from `main`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::exit::{self, Exit};
use super::render::{self, Out, Output, Reader};
use crate::config::{self, Config, Faults, Loaded, Need, Sources};
use crate::kafka::{property_faults, whole_faults};

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
    globals: Globals,
    environment: BTreeMap<OsString, OsString>,
}

impl Shell {
    /// Brings the global options, stdout and the environment together.
    pub fn new(globals: Globals, out: Out, environment: BTreeMap<OsString, OsString>) -> Self {
        Self { out, globals, environment }
    }

    /// A variable of the environment, where it is set and is UTF-8.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let value = self.environment.get(std::ffi::OsStr::new(name))?.to_str()?;
        (!value.is_empty()).then(|| value.to_owned())
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

    /// The settings in force, validated; every warning has been told on stderr. Any fault ends with [`Exit::Usage`].
    pub fn config(&self, need: Need) -> anyhow::Result<Config> {
        let loaded = self.load(need)?.map_err(|faults| exit::fail(Exit::Usage, faults))?;
        for warning in &loaded.warnings {
            render::note(format!("warning: {warning}"));
        }
        Ok(loaded.config)
    }

    /// What mapping needs: apps only where a file was named or lies about, for nobody need have one to map.
    pub fn need_to_map(&self) -> Need {
        if self.config_path().is_some() { Need::Map } else { Need::MapAnyApp }
    }

    /// The settings and their warnings, or all faults; nothing of it has been told yet.
    ///
    /// # Errors
    /// When the file cannot be read at all; it ends with [`Exit::Usage`].
    pub fn load(&self, need: Need) -> anyhow::Result<Result<Loaded, Faults>> {
        let path = self.config_path();
        let text = path.as_deref().map(read_settings).transpose()?;
        let name = path.map(|path| path.display().to_string());
        let sources = Sources {
            file: name.as_deref().zip(text.as_deref()),
            environment: &self.environment,
            flags: &self.globals.set,
            need,
            read_file: &|path| std::fs::read_to_string(path),
            judge_properties: &property_faults::faults,
            judge_kafka: &whole_faults::faults,
        };
        Ok(config::load(&sources))
    }

    /// `--config`, else `ORDER_SYNC_CONFIG`, else `./order-sync.toml` if it is there.
    fn config_path(&self) -> Option<PathBuf> {
        let named = self.globals.config.clone().or_else(|| {
            let variable = self.environment.get(OsString::from("ORDER_SYNC_CONFIG").as_os_str())?;
            (!variable.is_empty()).then(|| PathBuf::from(variable))
        });
        named.or_else(|| Some(PathBuf::from("order-sync.toml")).filter(|path| path.is_file()))
    }
}

fn read_settings(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the settings file {}", path.display()))
        .map_err(|error| exit::fail(Exit::Usage, error))
}
