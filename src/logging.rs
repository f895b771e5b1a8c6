//! Logs to standard error, from a thread of their own: whoever reads them slowly delays nobody. Lines that
//! find the buffer full are dropped.

use crate::config::{LogConfig, LogFormat};
use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

/// The log of this process. Dropping it writes out what is buffered.
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    _writer: WorkerGuard,
}

/// So many lines may wait to be written.
const BUFFERED_LINES: usize = 4096;

impl Log {
    /// # Errors
    /// Where the process has a log already.
    pub fn start(config: &LogConfig) -> Result<Self, TryInitError> {
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(BUFFERED_LINES)
            .thread_name("log")
            .finish(std::io::stderr());
        let (filter, level) = reload::Layer::new(LevelFilter::from_level(config.level));
        // Colour is for terminals, and the log of a sidecar is read in one by chance only.
        let lines = fmt::layer().with_writer(writer).with_ansi(false);
        let lines = match config.format {
            LogFormat::Text => lines.with_target(false).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_target(false).boxed(),
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init()?;
        Ok(Log {
            level,
            _writer: guard,
        })
    }

    /// Logs from another severity on.
    pub fn set_level(&self, level: Level) {
        // Fails only where the log is gone.
        let _ = self.level.reload(LevelFilter::from_level(level));
    }
}
