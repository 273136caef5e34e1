//! The worker as users run it: `order-sync run --until-caught-up` with a settings file and an empty store.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::broker::{Broker, dead_letters};
use crate::options::Setup;
use crate::platform::Platform;
use crate::process::Running;

/// Starts a worker in `home`, which is made: a new store and a new group. `set` is `key=value,…`.
pub(crate) fn spawn(
    home: &Path,
    broker: &Broker,
    topic: &str,
    platform: &Platform,
    setup: &Setup,
    set: Option<&str>,
) -> Running {
    std::fs::create_dir(home).unwrap();
    let group = format!("{topic}-{}", home.file_name().unwrap().to_string_lossy());
    let settings = format!(
        "[kafka]\nbrokers = \"{}\"\ngroup_id = \"{group}\"\ntopics = [\"{topic}\"]\n\
         dead_letter_topic = \"{}\"\n{}[store]\npath = \"{}\"\n[douyin]\nbase_url = \"{}\"\n\
         [delivery]\nmax_in_flight = {}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[apps]]\napp_id = \"ttbench\"\nsecret = \"bench\"\nclient_key = \"ck-bench\"\n",
        broker.brokers(),
        dead_letters(topic),
        broker.settings(),
        home.join("store").display(),
        platform.url(),
        setup.in_flight,
    );
    let file = home.join("order-sync.toml");
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    command.args(["run", "--until-caught-up", "--config"]).arg(&file);
    for pair in set.into_iter().flat_map(|pairs| pairs.split(',')) {
        command.args(["--set", pair]);
    }
    let log = File::create(home.join("worker.log")).unwrap();
    Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}
