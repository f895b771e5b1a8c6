//! The command line: parses, loads the config, and calls whoever does the work.

mod args;

use crate::application::{self, Guard, Guarded};
use crate::client::{self, Access, ClientError, Resignation};
use crate::config::{self, Config};
use crate::daemon;
use crate::election::Time;
use crate::logging::Log;
use crate::secret;
use crate::shutdown::Signals;
use args::{Args, ConfigArgs, UrlArgs, Verb};
use clap::Parser;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Ended as asked.
const OK: u8 = 0;
/// Failed at run time.
const FAILED: u8 = 1;
/// Wrong usage or config.
const UNUSABLE: u8 = 2;

/// Runs the command with the process's arguments.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are errors to clap, and go to standard output.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { UNUSABLE } else { OK });
        }
    };
    ExitCode::from(run(args.verb))
}

fn run(verb: Verb) -> u8 {
    // What holds no secret is not hidden either: an application's crash is its own affair.
    if !matches!(verb, Verb::Guard { .. } | Verb::Guarded { .. }) {
        // Some sandboxes know no such thing; then there is nothing to be had from it.
        let _ = secret::keep_memory_private();
    }
    match verb {
        Verb::Run(args) => with_config(&args, |config| sidecar(&args, config, None)),
        Verb::Exec { config, command } => exec(&config, command),
        Verb::Check(args) => with_config(&args, |config| print(&config::report(config))),
        Verb::Status { url, json } => ask(client::status(&url.access(), json, &mut io::stdout())),
        Verb::IsLeader { url, election } => ask(client::is_leader(
            &url.access(),
            election.election.as_deref(),
        )),
        Verb::Watch { url } => ask(watch(&url.access())),
        Verb::Resign {
            url,
            election,
            stopped,
            cooldown,
        } => {
            let resignation = Resignation {
                election: election.election,
                cooldown,
                stopped,
            };
            ask(client::resign(
                &url.access(),
                &resignation,
                &mut io::stdout(),
            ))
        }
        Verb::Pause { url, election } => {
            let election = election.election.as_deref();
            ask(client::pause(&url.access(), election, &mut io::stdout()))
        }
        Verb::Resume { url, election } => {
            let election = election.election.as_deref();
            ask(client::resume(&url.access(), election, &mut io::stdout()))
        }
        Verb::Guard {
            stop_timeout,
            command,
        } => application::guard(&Guard {
            command,
            stop_timeout,
        }),
        Verb::Guarded {
            guardian,
            start_before,
            takes_terminal_of,
            command,
        } => application::guarded(&Guarded {
            command,
            guardian,
            start_before: Time::from_nanos(start_before),
            takes_terminal_of,
        }),
        Verb::Version => print(&format!("tenure {}\n", daemon::VERSION)),
    }
}

/// The sidecar, with a command that runs only while this candidate leads.
fn exec(args: &ConfigArgs, command: Vec<OsString>) -> u8 {
    with_config(args, |config| {
        if let Some(error) = config.unfit_for_exec() {
            return complain(UNUSABLE, &error);
        }
        if let Some(Err(error)) = command.first().map(|program| application::find(program)) {
            return complain(error.exit_code(), &error);
        }
        sidecar(args, config, Some(command))
    })
}

fn sidecar(args: &ConfigArgs, config: &Config, command: Option<Vec<OsString>>) -> u8 {
    // It is written also while a command has the terminal.
    let log = match application::from_background(|| Log::start(&config.log)) {
        Ok(log) => log,
        Err(error) => return complain(FAILED, &error),
    };
    let reload = || match load(args) {
        Ok(config) => Some(config),
        Err(error) => {
            tracing::error!(%error, "config not reread");
            None
        }
    };
    match daemon::run(config, &log, command, reload) {
        Ok(code) => code,
        Err(error) => complain(FAILED, &error),
    }
}

fn with_config(args: &ConfigArgs, work: impl FnOnce(&Config) -> u8) -> u8 {
    match load(args) {
        Ok(config) => work(&config),
        Err(error) => complain(UNUSABLE, &error),
    }
}

fn load(args: &ConfigArgs) -> Result<Config, config::ConfigError> {
    Config::load(&args.config, &args.set, &|name| std::env::var(name).ok())
}

impl UrlArgs {
    fn access(&self) -> Access {
        Access {
            url: self.url.clone(),
            token_file: self.token_file.clone(),
            ca_file: self.ca_file.clone(),
        }
    }
}

/// Asks a running sidecar.
fn ask(question: impl Future<Output = Result<u8, ClientError>>) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime
            .block_on(question)
            .unwrap_or_else(|error| complain(error.exit, &error)),
        Err(error) => complain(UNUSABLE, &error),
    }
}

/// Watches until the sidecar ends, or a signal comes.
async fn watch(access: &Access) -> Result<u8, ClientError> {
    let signal = async {
        match Signals::listen() {
            Ok(mut signals) => drop(signals.next().await),
            // Then a signal ends the process in its own way.
            Err(_) => std::future::pending().await,
        }
    };
    client::watch(access, signal, &mut io::stdout()).await
}

/// A reader that has gone (`tenure check | head`) is no failure.
fn print(text: &str) -> u8 {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(FAILED, &error),
        _ => OK,
    }
}

fn complain(status: u8, error: &dyn std::fmt::Display) -> u8 {
    // Where standard error is closed, the exit status has to do.
    let _ = writeln!(io::stderr(), "tenure: {error}");
    status
}
