//! The bench's own options: `--key value` pairs.

use std::collections::BTreeMap;

/// What is measured at once.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) records: usize,
    pub(crate) orders: usize,
    pub(crate) latency: String,
    pub(crate) in_flight: usize,
}

pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads the command line; cargo's own `--bench` is skipped.
    pub(crate) fn read() -> Self {
        let mut options = BTreeMap::new();
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(key) = args.next() {
            assert!(key.starts_with("--"), "{key} is no option; write --key value");
            let Some(value) = args.next() else { panic!("{key} needs a value") };
            options.insert(key, value);
        }
        Self(options)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> Option<usize> {
        self.text(key).map(|value| value.parse().unwrap())
    }

    /// The one that is asked for, or the three of docs/performance.md. With latency, fewer records take as long.
    pub(crate) fn setups(&self) -> Vec<Setup> {
        let setup = |records, latency: &str, in_flight| Setup {
            records: self.number("--records").unwrap_or(records),
            orders: self.number("--orders").unwrap_or(20_000),
            latency: latency.to_owned(),
            in_flight,
        };
        let (latency, in_flight) = (self.text("--latency"), self.number("--in-flight"));
        if latency.is_none() && in_flight.is_none() {
            return vec![setup(200_000, "0ms", 256), setup(60_000, "50ms", 256), setup(200_000, "50ms", 2048)];
        }
        let (latency, in_flight) = (latency.unwrap_or("0ms"), in_flight.unwrap_or(256));
        vec![setup(if latency == "0ms" { 200_000 } else { 60_000 }, latency, in_flight)]
    }
}
