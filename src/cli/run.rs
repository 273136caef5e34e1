//! `order-sync run`: the worker.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, fail};
use super::runtime;
use super::shell::Shell;
use crate::app::admin::Admin;
use crate::app::worker::{Worker, WorkerError, WorkerOptions};
use crate::config::{Config, LogFormat, Need};
use crate::kafka::convert;
use crate::sync::engine::{Drained, Ended};
use crate::sync::rules::End;
use crate::telemetry::{Meters, event, logging};

/// Options of `order-sync run`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// End with 0 once every partition has reached the end it had at the start and nothing is owed
    #[arg(long)]
    pub until_caught_up: bool,
}

const HELP: &str = "\
Examples:
  order-sync run --config order-sync.toml
  order-sync run --config order-sync.toml --until-caught-up     a batch: work off what is there, then end
  order-sync run --config order-sync.toml --set log.level=debug

SIGTERM and SIGINT drain within `shutdown_timeout`, commit, and end with 0; a second signal ends at once.
Metrics and health: http://127.0.0.1:9600/metrics, /livez, /readyz (`admin.listen`).";

/// Runs `order-sync run`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let config = Arc::new(shell.config(Need::Run)?);
    let format = log_format(config.log.format);
    logging::init(format, &config.log.level).map_err(|error| fail(Exit::Usage, error))?;
    convert::silence_caught_panics();
    let end = if args.until_caught_up { End::WhenCaughtUp } else { End::WhenTold };
    runtime::block_on(|stop| work(config, end, stop))
}

/// Pretty where a person reads along, JSON where a collector does.
fn log_format(format: LogFormat) -> logging::Format {
    let terminal = std::io::stderr().is_terminal();
    match (format, terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => logging::Format::Json,
        (LogFormat::Pretty | LogFormat::Auto, true) => logging::Format::Pretty,
        (LogFormat::Pretty, false) => logging::Format::Plain,
    }
}

async fn work(config: Arc<Config>, end: End, stop: CancellationToken) -> anyhow::Result<Exit> {
    let meters = Meters::new();
    let admin = match config.admin.listen {
        Some(address) => Some(Admin::bind(address).await.map_err(|error| fail(Exit::Usage, error))?),
        None => None,
    };
    event::WorkerStarted {
        group_id: &config.kafka.group_id,
        topics: &config.kafka.topics,
        apps: config.apps.len(),
        platform: &config.douyin.base_url,
    }
    .emit();
    let options = WorkerOptions { config: Arc::clone(&config), end, meters: meters.clone() };
    let mut worker = Worker::start(options, Handle::current()).context("cannot start the worker's thread")?;
    let quit = CancellationToken::new();
    let serve = |admin: Admin| Handle::current().spawn(admin.serve(meters, worker.health(), quit.clone()));
    let serving = admin.map(serve);
    let result = tokio::select! {
        biased;
        ended = worker.ended() => ended,
        () = stop.cancelled() => {
            worker.stop();
            worker.ended().await
        }
    };
    quit.cancel();
    if let Some(serving) = serving {
        serving.await.ok();
    }
    conclude(result)
}

/// The exit code of an end. Everything that is not told here is told by the log.
fn conclude(result: Result<Ended, WorkerError>) -> anyhow::Result<Exit> {
    let caught_up = matches!(result, Ok(Ended::CaughtUp(_)));
    let error = match result {
        Ok(Ended::Stopped(left) | Ended::CaughtUp(left)) => {
            event::ShutdownFinished {
                abandoned_attempts: left.in_flight,
                uncommitted_partitions: left.uncommitted,
                owed: left.owed,
            }
            .emit();
            if caught_up && left.owed > 0 {
                let words = "caught up, but {} deliveries are owed by apps that are paused, or not in [[apps]]: they stay in \
                             the store; resume the apps, or add them again, and they are pushed";
                let words = words.replace("{}", &left.owed.to_string());
                return Err(fail(Exit::Failure, anyhow::anyhow!(words)));
            }
            return Ok(if is_clean(left) { Exit::Done } else { Exit::Abandoned });
        }
        Ok(Ended::Failed(error)) => WorkerError::Engine(error),
        Err(error) => error,
    };
    let exit = match &error {
        WorkerError::Store(_) => Exit::Store,
        WorkerError::Kafka(_) => Exit::Kafka,
        WorkerError::Setting(_) => Exit::Usage,
        WorkerError::Engine(_) => Exit::Failure,
    };
    let error = anyhow::Error::new(error);
    event::WorkerFailed { error: &format!("{error:#}") }.emit();
    Err(fail(exit, error))
}

const fn is_clean(left: Drained) -> bool {
    left.in_flight == 0 && left.uncommitted == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit;
    use crate::sync::ports::PortError;

    fn check(error: Result<Ended, WorkerError>, expected: Exit, words: &str) {
        let error = conclude(error).unwrap_err();
        assert_eq!((exit::of(&error), format!("{error:#}").as_str()), (expected, words));
    }

    #[test]
    fn a_worker_that_fails_never_ends_with_0_and_says_why() {
        let why = || PortError::Fatal("the commit thread has panicked".to_owned());
        let ended = "the worker cannot go on: the commit thread has panicked";
        check(Ok(Ended::Failed(why())), Exit::Failure, ended);
        check(Err(WorkerError::Engine(why())), Exit::Failure, ended);
        check(Err(WorkerError::Store(why())), Exit::Store, "the store cannot be used: the commit thread has panicked");
        check(Err(WorkerError::Kafka(why())), Exit::Kafka, "Kafka cannot be used: the commit thread has panicked");
    }
}
