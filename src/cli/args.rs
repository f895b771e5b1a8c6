//! What the command line may look like.

use crate::config::parse_duration;
use clap::{Args as ClapArgs, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A leader-election sidecar: campaigns for leadership with a keepalive lease, says on local HTTP
/// whether this replica leads right now, and steps down by its own clock.
#[derive(Debug, Parser)]
#[command(name = "tenure", version, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run the sidecar
    Run(ConfigArgs),
    /// Run the sidecar, and a command only while this candidate leads
    ///
    /// The command gets SIGTERM when leadership ends, and SIGKILL when exec.stop_timeout is over. Exits as the command
    /// did: with its own status, with 128 + N where signal N ended it, and with 127 or 126 where it can't be found or
    /// executed; else as `run`.
    Exec {
        #[command(flatten)]
        config: ConfigArgs,
        /// The command, with its arguments
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Validate a config; print it with every default, and its time budget in plain words
    Check(ConfigArgs),
    /// Show the sidecar's elections
    Status {
        #[command(flatten)]
        url: UrlArgs,
        /// Print the JSON of /status
        #[arg(long)]
        json: bool,
    },
    /// Exit with 0 where this replica leads, 1 where it does not, 2 where no sidecar answers
    IsLeader {
        #[command(flatten)]
        url: UrlArgs,
        #[command(flatten)]
        election: ElectionArgs,
    },
    /// Print a line for every change, as it happens
    Watch {
        #[command(flatten)]
        url: UrlArgs,
    },
    /// Ask the sidecar to give up leadership
    Resign {
        #[command(flatten)]
        url: UrlArgs,
        #[command(flatten)]
        election: ElectionArgs,
        /// The application has stopped: release now, whatever was promised
        #[arg(long)]
        stopped: bool,
        /// How long to stay out of the election [default: 10s]
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        cooldown: Option<Duration>,
    },
    /// Have the sidecar give up leadership, and stay out of the election until resumed or restarted
    Pause {
        #[command(flatten)]
        url: UrlArgs,
        #[command(flatten)]
        election: ElectionArgs,
    },
    /// Let a paused sidecar campaign again
    Resume {
        #[command(flatten)]
        url: UrlArgs,
        #[command(flatten)]
        election: ElectionArgs,
    },
    /// Print the version
    Version,
    /// What stops the application in time; `exec` starts it
    #[command(hide = true)]
    Guard {
        #[arg(long, value_parser = parse_duration)]
        stop_timeout: Duration,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// What becomes the application; the guardian starts it
    #[command(hide = true)]
    Guarded {
        #[arg(long)]
        guardian: i32,
        #[arg(long)]
        start_before: u64,
        #[arg(long)]
        takes_terminal_of: Option<i32>,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConfigArgs {
    /// The config file, in YAML
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Override a key of the config file, as in --set candidate.id=b; any number of times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct UrlArgs {
    /// Where the sidecar's api listens: http://host:port, https://host:port or unix:/path
    #[arg(long, env = "TENURE_URL", default_value = "http://127.0.0.1:4040")]
    pub(super) url: String,
    /// The file that holds the token that the sidecar asks for
    #[arg(long, value_name = "FILE", env = "TENURE_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// For https://, the authorities to trust, in PEM
    #[arg(long, value_name = "FILE", env = "TENURE_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ElectionArgs {
    /// Which election, where the sidecar has several
    #[arg(long, value_name = "NAME")]
    pub(super) election: Option<String>,
}
