//! Who gives a command, and how long what becomes of it is waited for.

use std::collections::BTreeSet;
use std::time::Duration;

use super::giver::Giver;
use crate::cli::exit::{self, Exit};
use crate::cli::reading::Reading;
use crate::cli::shell::Shell;
use crate::config::parse_duration;
use crate::sync::command::{WHO_BYTES_MAX, WHY_BYTES_MAX};

/// Where Linux tells the host's name.
const HOST_FILE: &str = "/proc/sys/kernel/hostname";

/// Options of every command that is given to workers.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "How it is given")]
pub struct Give {
    /// Who gives it, for the audit trail [default: the user and the host's name]
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,
    /// Write it, and do not wait for what becomes of it
    #[arg(long)]
    pub no_wait: bool,
    /// Wait so long for each outcome
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, conflicts_with = "no_wait")]
    pub timeout: Duration,
}

/// Options of what gives many commands at once.
#[derive(Clone, Debug, clap::Args)]
pub struct GiveMany {
    /// At most so many a second
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = why)]
    pub why: Option<String>,
    /// How it is given.
    #[command(flatten)]
    pub give: Give,
}

impl GiveMany {
    /// Makes ready to give commands to the owners of these partitions; `None` where nothing is to be done.
    pub(in crate::cli) fn giver(
        &self,
        reading: &mut Reading,
        shell: &Shell,
        partitions: &BTreeSet<i32>,
    ) -> anyhow::Result<Option<Giver>> {
        if self.dry_run {
            return Ok(None);
        }
        let why = self.why.as_deref().unwrap_or_default();
        Giver::new(reading, shell, &self.give, why, partitions, Some(self.rate)).map(Some)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number and a unit, for example 30s or 5m".to_owned())
}

/// A reason, as `--why` takes it.
pub(in crate::cli) fn why(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("say why, in a few words".to_owned()),
        length if length > WHY_BYTES_MAX => Err(format!("it has {length} bytes; at most {WHY_BYTES_MAX}")),
        _ => Ok(text.to_owned()),
    }
}

/// The name of the user that this process runs as, or its number: service managers and containers set no `USER`.
fn own_name() -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let number = std::fs::metadata("/proc/self").ok()?.uid();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(name_of(number, &users).unwrap_or_else(|| format!("uid {number}")))
    }
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn name_of(number: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, is_he) = (fields.next()?, fields.nth(1)?.parse() == Ok(number));
        is_he.then(|| name.to_owned())
    })
}

impl Give {
    /// Who gives it: what was asked for, else the user at this host.
    pub(in crate::cli) fn who(&self, shell: &Shell) -> anyhow::Result<String> {
        let who = if let Some(who) = &self.who {
            who.clone()
        } else {
            let user =
                ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| shell.variable(name)).or_else(own_name);
            let host = std::fs::read_to_string(HOST_FILE).ok().or_else(|| shell.variable("HOSTNAME"));
            let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
            let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
            format!("{}@{}", or_unknown(user), or_unknown(host))
        };
        let length = who.len();
        if length == 0 || length > WHO_BYTES_MAX {
            let words = format!("who gives the command has {length} bytes; 1 to {WHO_BYTES_MAX}: --who");
            return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
        }
        Ok(who)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_number_without_the_shells_word() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\norders:x:1000:1000::/home:/bin/sh\n";
        assert_eq!(name_of(1000, users).as_deref(), Some("orders"));
        assert_eq!(name_of(1, users), None);
        assert!(own_name().is_some_and(|name| !name.is_empty()));
    }
}
