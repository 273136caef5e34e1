//! `order-sync sandbox`: a strict fake Douyin for staging and CI.
//!
//! It only turns options into a running sandbox, and the sandbox's report into a file and an exit code.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::exit::{self, Exit};
use super::render::{Output, note};
use super::runtime;
use super::shell::Shell;
use crate::sandbox::{
    AppCredentials, Error as SandboxError, Fault, FaultKind, FaultRule, Faults, LogIds, Outage, Report, Sandbox,
    SandboxHandle, SandboxOptions, Target, parse_duration,
};

/// Options of `order-sync sandbox`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9700")]
    pub listen: SocketAddr,
    /// Listen on an address that other machines reach; they may then read all orders and set faults
    #[arg(long)]
    allow_public: bool,
    /// An app that gets tokens, may be repeated; without any, every app and secret is taken
    #[arg(long = "app", value_name = "ID:SECRET[:CLIENT_KEY]", value_parser = app)]
    apps: Vec<AppCredentials>,
    /// How long a token lives
    #[arg(long, value_name = "DURATION", default_value = "7200s", value_parser = parse_duration)]
    token_lifetime: Duration,
    /// How long a token lives on after the next one was fetched
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    token_retirement: Duration,
    /// Faults by chance: `FAULT[=PROBABILITY][@TARGET]`, comma-separated or repeated
    #[arg(long, value_name = "RULES", value_delimiter = ',')]
    faults: Vec<String>,
    /// An order whose every push gets this `err_code`, may be repeated
    #[arg(long, value_name = "ORDER=CODE", value_parser = poison)]
    poison: Vec<FaultRule>,
    /// A time in which everything fails, may be repeated: MODE [after DURATION] [for DURATION]
    #[arg(long = "outage", value_name = "OUTAGE")]
    outages: Vec<Outage>,
    /// How long every answer takes
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    latency: Duration,
    /// What chance adds to the latency, at most
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    jitter: Duration,
    /// The seed of all chance: the n-th push of an order meets the same fate in every run
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Name every answer to a push in `extra.logid`, as the platform's other endpoints do
    #[arg(long)]
    log_ids: bool,
    /// Pushes that are remembered per order
    #[arg(long, value_name = "PUSHES", default_value_t = 200)]
    keep: usize,
    /// Memory for orders and history, MiB; the oldest go first, and are counted
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    memory: usize,
    /// Threads that serve [default: one per CPU, at most 4]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,
    /// Write the port to this file once it listens
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Write the report to this file at the end, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Exit with 1 if a rule of pushing was broken
    #[arg(long)]
    fail_on_violation: bool,
}

const HELP: &str = "\
The platform's endpoints are /api/apps/v2/token, /oauth/client_token/, /oauth/stable_client_token/ and
/api/apps/order/v2/push; point douyin.base_url at the printed address. / shows the order centre to people,
/_sandbox/ lists what scripts can read and set while it runs. Everything is kept in memory.

Faults: code:N[/text] · inner:N · http:N · throttle:SECONDS · silent · reset · html · cut-json · cut-body · huge ·
string-code · late:DURATION · slow:DURATION · evict; with +applied the push is taken first, and only the answer is
lost. mixed:20% is a blend of them over 20 % of the pushes. Targets: @ORDER, @1% of the orders, @app:ID, @token.

Examples:
  order-sync sandbox
  order-sync sandbox --app tt123:secret:ck --faults mixed:20% --seed 7
  order-sync sandbox --faults code:-1=5%,reset+applied=2% --poison D20230915001=40003
  order-sync sandbox --outage \"http:503 after 30s for 1m\" --latency 50ms --jitter 20ms
  order-sync sandbox --listen 127.0.0.1:0 --port-file port --report report.json --fail-on-violation

Read on: docs/sandbox.md.";

/// Runs `order-sync sandbox`.
pub fn execute(args: Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let (port_file, report_file, strict) = (args.port_file.clone(), args.report.clone(), args.fail_on_violation);
    let options = args.options().map_err(|error| exit::fail(Exit::Usage, error))?;
    let handle = Sandbox::start(options).map_err(|error| match error {
        SandboxError::Public(_) => exit::fail(Exit::Usage, error),
        SandboxError::Listen { .. } | SandboxError::Threads(_) => error.into(),
    })?;
    // Signals are watched before anybody can learn the address and send one.
    runtime::block_on(async |stop| {
        if let Some(file) = &port_file {
            write_whole(file, &format!("{}\n", handle.address().port()))?;
        }
        greet(&handle, shell)?;
        stop.cancelled().await;
        Ok(())
    })?;
    let report = handle.report();
    if let Some(file) = &report_file {
        write_whole(file, &format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    }
    handle.stop();
    note(farewell(&report));
    Ok(if strict && report.violations_total > 0 { Exit::Failure } else { Exit::Done })
}

impl Args {
    fn options(self) -> anyhow::Result<SandboxOptions> {
        let mut faults = Faults { rules: self.poison, latency: self.latency, jitter: self.jitter };
        for rule in &self.faults {
            faults.add(rule).map_err(anyhow::Error::msg).context("--faults cannot be read")?;
        }
        if self.threads == Some(0) {
            bail!("--threads must be at least 1");
        }
        let defaults = SandboxOptions::default();
        Ok(SandboxOptions {
            listen: self.listen,
            allow_public: self.allow_public,
            apps: self.apps,
            token_lifetime: self.token_lifetime,
            token_retirement: self.token_retirement,
            keep: self.keep,
            memory_bytes: self.memory.saturating_mul(1024 * 1024),
            seed: self.seed,
            faults,
            outages: self.outages,
            log_ids: if self.log_ids { LogIds::InExtra } else { LogIds::None },
            threads: self.threads.unwrap_or(defaults.threads),
        })
    }
}

fn greet(handle: &SandboxHandle, shell: &mut Shell) -> anyhow::Result<()> {
    let url = handle.base_url();
    match shell.output() {
        Output::Json => shell.out.json(&json!({ "base_url": url, "port": handle.address().port() }))?,
        Output::Text => {
            for line in [
                format!("A strict Douyin listens on {url} until Ctrl-C."),
                String::new(),
                "In order-sync.toml:".to_owned(),
                format!("  [douyin]\n  base_url = \"{url}\""),
                String::new(),
                "Try:".to_owned(),
                format!("  open {url}/                      the order centre, as a page"),
                format!("  curl {url}/_sandbox/report       what was pushed, refused and broken so far"),
                format!("  curl {url}/_sandbox/             everything that can be read and set"),
                "  curl -X PUT -H 'Content-Type: application/json' -d '{\"faults\":\"mixed:20%\"}' \\".to_owned(),
                format!("       {url}/_sandbox/faults       make it hard"),
            ] {
                shell.out.line(line)?;
            }
        }
    }
    Ok(())
}

fn farewell(report: &Report) -> String {
    let Report { received, applied, ignored, refused, orders, violations_total, .. } = report;
    format!(
        "{received} pushes of {orders} orders: {applied} applied, {ignored} ignored, {refused} refused; \
         {violations_total} rules of pushing broken"
    )
}

/// Writes a file that readers see whole or not at all.
fn write_whole(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn app(text: &str) -> Result<AppCredentials, String> {
    text.parse()
}

fn poison(text: &str) -> Result<FaultRule, String> {
    let (order, code) = text.rsplit_once('=').ok_or("write ORDER=CODE")?;
    let code = code.parse().ok().filter(|code| *code != 0).ok_or("the code is an integer other than 0")?;
    Ok(FaultRule::new(Fault::refusing(FaultKind::Code(code, None)), Target::Order(order.to_owned())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn options(line: &str) -> anyhow::Result<SandboxOptions> {
        Line::try_parse_from(format!("sandbox {line}").split(' '))?.args.options()
    }

    #[test]
    fn lines_become_options() {
        let options =
            options("--app tt1:s:ck --faults mixed:20%,reset=1% --poison o=1=40003 --seed 7 --memory 1").unwrap();
        assert_eq!((options.apps[0].app_id.as_str(), options.seed, options.memory_bytes), ("tt1", 7, 1024 * 1024));
        assert_eq!(options.faults.rules[0].to_string(), "code:40003@order:o=1");
        assert_eq!(options.faults.rules.last().unwrap().to_string(), "reset=1%");
        assert!(!options.allow_public);
    }

    #[test]
    fn mistakes_are_told() {
        for (line, part) in [
            ("--faults boom", "--faults cannot be read"),
            ("--poison o", "write ORDER=CODE"),
            ("--outage soon", "is no fault"),
            ("--latency 5", "needs a unit"),
            ("--app tt1", "write an app as"),
            ("--threads 0", "at least 1"),
        ] {
            let error = options(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
        let public = Sandbox::start(options("--listen 0.0.0.0:0").unwrap()).map(drop).unwrap_err().to_string();
        assert!(public.contains("--allow-public"), "{public}");
    }
}
