//! The log: pretty for people, one JSON object per line for machines, to stderr, behind the guard of `redact`.
//!
//! It knows no settings file; the composition root says which form and which level.

use std::io::{self, Write};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::util::TryInitError;

use super::redact::scrub;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, with colours.
    Pretty,
    /// For people, where no terminal shows colours.
    Plain,
    /// One JSON object per line.
    Json,
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Not what `EnvFilter` understands.
    #[error(
        "cannot read the log level {level:?}; use one of error, warn, info, debug, trace, or a directive such as `info,order_sync::kafka=debug`"
    )]
    Level {
        /// As configured.
        level: String,
        /// The filter's own words.
        source: tracing_subscriber::filter::ParseError,
    },
    /// This process has a log already.
    #[error("the log is set up already")]
    Twice(#[from] TryInitError),
}

/// Sets the process's log up, to stderr. `level` is an `EnvFilter` directive such as `info`.
pub fn init(format: Format, level: &str) -> Result<(), LoggingError> {
    Ok(subscriber(format, level, io::stderr)?.try_init()?)
}

/// The same log with a writer of one's own, for tests.
pub fn subscriber<W>(format: Format, level: &str, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level).map_err(|source| LoggingError::Level { level: level.to_owned(), source })?;
    // Where nobody reads the log any more a line is lost; to say that on the same stream would end the thread that logged.
    let lines =
        tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter).with_writer(Guarded(writer));
    Ok(match format {
        Format::Pretty => Box::new(lines.with_target(false).finish()),
        Format::Plain => Box::new(lines.with_target(false).with_ansi(false).finish()),
        Format::Json => {
            Box::new(lines.json().flatten_event(true).with_current_span(false).with_span_list(false).finish())
        }
    })
}

/// Makes writers that scrub; the subscriber asks for one per line and writes the line at once.
struct Guarded<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Guarded<W> {
    type Writer = Scrubbing<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Scrubbing(self.0.make_writer())
    }
}

struct Scrubbing<W>(W);

impl<W: Write> Write for Scrubbing<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line)?;
        Ok(line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        self.0.write_all(scrub(&String::from_utf8_lossy(line)).as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(format: Format, write: impl FnOnce()) -> String {
        let sink = Sink::default();
        let copy = sink.clone();
        let subscriber = subscriber(format, "trace", move || copy.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, write);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_are_json() {
        let text = log(Format::Json, || tracing::warn!(order_id = "M-1", offset = 7, "dead letter"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "dead letter");
        assert_eq!(line["order_id"], "M-1");
        assert_eq!(line["offset"], 7);
        assert_eq!(line["level"], "WARN");
    }

    #[test]
    fn a_canary_is_masked_in_every_form() {
        let body = r#"{"access_token":"canary-token","open_id":"canary-user"}"#;
        for format in [Format::Pretty, Format::Plain, Format::Json] {
            let text = log(format, || {
                tracing::error!(body, "as a field");
                tracing::error!(?body, "as debug");
                tracing::error!("in the message: {body}");
                tracing::error!(open_id = "canary-user", access_token = %"canary-token", "as names");
            });
            assert!(!text.contains("canary"), "{format:?}: {text}");
            assert!(text.contains("as names"), "{format:?}: {text}");
        }
    }

    #[test]
    fn a_bad_level_says_what_a_good_one_is() {
        let error = init(Format::Json, "loud=very").unwrap_err().to_string();
        assert!(error.contains("error, warn, info"), "{error}");
    }
}
