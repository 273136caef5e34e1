//! `order-sync demo`: embedded broker, sandbox, worker and a seeded order log, and a check of the result.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::demo_report::{Took, report};
use super::exit::Exit;
use super::render::Output;
use super::shell::Shell;
use super::{render, runtime};
use crate::app::admin::Admin;
use crate::app::demo::play::Player;
use crate::app::demo::stage::{DemoSpec, Stage, TOPIC, broker_and_sandbox};
use crate::app::demo::verdict::check;
use crate::config::{Config, Need, Sources, load};
use crate::sync::ports::PortError;

/// The demo's settings; the addresses of broker, sandbox and store are added.
const DEMO: &str = include_str!("../../config/demo.toml");
/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Without any progress for so long, the demo has failed.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Options of `order-sync demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Leave everything up, print the addresses and what to try next
    #[arg(long)]
    pub keep: bool,
    /// How many orders the seeded log holds
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    pub orders: u32,
    /// The seed of the order log; the same seed gives the same log
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

const HELP: &str = "\
Exit code 0 only when the sandbox holds exactly the final state of every order.

Examples:
  order-sync demo
  order-sync demo --keep
  order-sync demo --orders 10000 --seed 7";

/// Runs `order-sync demo`.
pub fn execute(args: Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    runtime::block_on(|stop| run(args, shell, stop))
}

async fn run(args: Args, shell: &mut Shell, stop: CancellationToken) -> anyhow::Result<Exit> {
    let spec = DemoSpec { orders: usize::try_from(args.orders)?, seed: args.seed };
    let home = tempfile::tempdir().context("cannot make a directory for the demo's store")?;
    let (broker, sandbox) = broker_and_sandbox(&spec)?;
    let config = settings(broker.brokers(), &sandbox.base_url(), &home.path().join("store"))?;
    let mut stage = Stage::set(&spec, config, broker, sandbox, Handle::current())?;
    let admin = match stage.config.admin.listen {
        Some(address) => Some(Admin::bind(address).await?),
        None => None,
    };
    let address = admin.as_ref().map(Admin::address);
    let (meters, health, quit) = (stage.meters.clone(), stage.worker.health(), CancellationToken::new());
    let serving = admin.map(|admin| Handle::current().spawn(admin.serve(meters, health, quit.clone())));
    let outcome = show(&mut stage, &args, address, shell, &stop).await;
    quit.cancel();
    if let Some(serving) = serving {
        serving.await.ok();
    }
    stage.worker.stop();
    let ended = stage.worker.ended().await;
    let exit = outcome?;
    ended.context("the worker did not end well")?;
    Ok(exit)
}

fn settings(brokers: &str, platform: &str, store: &std::path::Path) -> anyhow::Result<Config> {
    let flags = [
        format!("kafka.brokers={brokers}"),
        format!("douyin.base_url={platform}"),
        format!("store.path={}", store.display()),
    ];
    let sources = Sources {
        file: Some(("config/demo.toml", DEMO)),
        environment: &BTreeMap::new(),
        flags: &flags,
        need: Need::Run,
        read_file: &|path| std::fs::read_to_string(path),
        judge_properties: &|_| Vec::new(),
        judge_kafka: &|_| Vec::new(),
    };
    Ok(load(&sources)?.config)
}

async fn show(
    stage: &mut Stage,
    args: &Args,
    admin: Option<SocketAddr>,
    shell: &mut Shell,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let total = stage.pushes_to_apply();
    let bar = progress_bar(total, shell);
    bar.set_message("joining the consumer group");
    wait_until(stage, stop, |stage| usize::from(stage.worker.status().partitions > 0)).await?;
    bar.set_message(format!("playing {} records into {TOPIC}", stage.log.len()));
    let mut player = Player::new(stage.broker.brokers(), Arc::clone(&stage.log))?;
    let burst = (player.burst_records(), player.burst_orders());
    let began_burst = Instant::now();
    player = act(player, Player::burst).await?;
    follow(stage, stop, &bar, burst.0).await?;
    let took = Took { burst_orders: burst.1, burst: began_burst.elapsed(), whole: began.elapsed() };
    player = act(player, Player::paced).await?;
    follow(stage, stop, &bar, stage.log.len()).await?;
    bar.finish_and_clear();
    let checked = check(stage, &player)?;
    report(stage, &checked, Took { whole: began.elapsed(), ..took }, shell)?;
    if args.keep {
        keep(stage, admin, shell, stop).await?;
    }
    Ok(if checked.wrong.is_empty() { Exit::Done } else { Exit::Failure })
}

/// Lets the player work on a thread where it may block.
async fn act(mut player: Player, part: fn(&mut Player) -> Result<(), PortError>) -> anyhow::Result<Player> {
    let acting = tokio::task::spawn_blocking(move || part(&mut player).map(|()| player));
    Ok(acting.await.context("the player has panicked")??)
}

/// Waits until `value` is not 0.
async fn wait_until(
    stage: &mut Stage,
    stop: &CancellationToken,
    value: impl Fn(&Stage) -> usize,
) -> anyhow::Result<()> {
    let since = Instant::now();
    while value(stage) == 0 {
        pause(stage, stop).await?;
        anyhow::ensure!(since.elapsed() < STUCK_AFTER, "the worker has joined no group within {STUCK_AFTER:?}");
    }
    Ok(())
}

/// Follows the pushes until so many records of the log have come to their end.
async fn follow(stage: &mut Stage, stop: &CancellationToken, bar: &ProgressBar, records: usize) -> anyhow::Result<()> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let status = stage.worker.status();
        let applied = stage.sandbox.report().applied;
        bar.set_position(applied);
        bar.set_message(format!("{} records folded", status.folded));
        let owed: usize = status.apps.iter().map(|app| app.owed).sum();
        let folded = usize::try_from(status.folded)? >= records;
        if folded && owed == 0 && !status.uncommitted && status.in_flight == 0 {
            return Ok(());
        }
        let now = applied + status.progress;
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        anyhow::ensure!(
            moved.elapsed() < STUCK_AFTER,
            "nothing has moved for {STUCK_AFTER:?}: {applied} pushes applied, {} of {records} records folded, {owed} owed",
            status.folded
        );
        pause(stage, stop).await?;
    }
}

/// A moment's pause; an error where the worker has ended or the demo is to end.
#[expect(clippy::disallowed_methods, reason = "a person watches a bar: it is redrawn by the clock")]
async fn pause(stage: &mut Stage, stop: &CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        () = stop.cancelled() => anyhow::bail!("interrupted"),
        ended = stage.worker.ended() => match ended {
            Ok(ended) => anyhow::bail!("the worker has ended early: {ended:?}"),
            Err(error) => Err(error).context("the worker has failed"),
        },
        () = tokio::time::sleep(LOOK_EVERY) => Ok(()),
    }
}

fn progress_bar(total: usize, shell: &Shell) -> ProgressBar {
    if shell.output() == Output::Json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32} {pos:>6}/{len} pushes applied  {per_sec:>10}  {msg}");
    // indicatif draws on stderr, and only where that is a terminal.
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Leaves everything up until the person has seen enough.
async fn keep(
    stage: &mut Stage,
    admin: Option<SocketAddr>,
    shell: &mut Shell,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let admin = admin.map_or_else(|| "off".to_owned(), |address| format!("http://{address}/metrics, /livez, /readyz"));
    let brokers = stage.broker.brokers();
    let platform = stage.sandbox.base_url();
    let order = stage.expected.orders.keys().next().map_or("", |identity| identity.order_id.as_ref());
    shell.out.line(format!(
        "\nEverything is up until you press Ctrl-C.\n\
         \x20 the order centre   {platform}/\n\
         \x20 its report         {platform}/_sandbox/report\n\
         \x20 the worker         {admin}\n\
         \x20 Kafka              {brokers}  (topics {TOPIC} and {letters})\n\n\
         Try next:\n\
         \x20 open the order centre and search for {order}\n\
         \x20 kcat -b {brokers} -t {letters} -C -e -f '%h\\n'      the dead letters and their reasons\n\
         \x20 kcat -b {brokers} -t {TOPIC} -P -k {order}            write an event of your own\n\
         \x20 order-sync explain --list                             how the platform's answers are judged",
        letters = stage.config.kafka.dead_letter_topic,
    ))?;
    while !stop.is_cancelled() {
        if pause(stage, stop).await.is_err() {
            break;
        }
    }
    render::note("stopping");
    Ok(())
}
