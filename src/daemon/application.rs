//! What is done for the application: its hooks, its health, and the command that runs only while this candidate leads.

use super::{RunError, system};
use crate::application::{Application as Program, Children, End, Exec, Report, THIS_PROGRAM, find};
use crate::call::Caller;
use crate::config::{CallConfig, Config, HooksConfig, OnExit};
use crate::driver::Attendant;
use crate::election::{Application, Deadline, Token};
use crate::health;
use crate::hooks::{Hooks, StepDown};
use crate::shutdown::{self, FORWARDED};
use crate::status::{Application as News, Board, Command, ElectionHandle};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The tasks that see to the application, and what they have to know.
pub(super) struct ForApplication {
    /// One for each election.
    pub(super) attendants: Vec<Option<Box<dyn Attendant>>>,
    tasks: JoinSet<()>,
    shutting_down: watch::Sender<bool>,
    ending: Option<Arc<Ending>>,
}

/// How a command ends this process with it.
#[derive(Debug, Default)]
struct Ending {
    is_shutting_down: AtomicBool,
    code: AtomicU8,
}

/// The exit code of what SIGKILL has ended.
const KILLED: u8 = 128 + 9;

/// Where a command could not even be started.
const NOT_STARTED: u8 = 1;

impl ForApplication {
    /// Starts what the config asks for. `command` is run while this candidate leads; `api` is where it finds the sidecar.
    pub(super) fn start(
        config: &Config,
        board: &Board,
        command: Option<Vec<OsString>>,
        api: String,
    ) -> Result<Self, RunError> {
        let (shutting_down, ends) = watch::channel(false);
        let mut all = ForApplication {
            attendants: Vec::new(),
            tasks: JoinSet::new(),
            shutting_down,
            ending: None,
        };
        let children = if command.is_some() || runs_programs(config) {
            Some(system("waiting for processes", Children::start())?)
        } else {
            None
        };
        warn_of_missing_programs(config);
        let caller = Caller::new(children.clone());
        if let Some(health) = config.health.clone() {
            let elections = board.elections.clone();
            all.tasks
                .spawn(health::watch(health, caller.clone(), elections, ends));
        }
        let mut step_downs = all.start_hooks(&config.hooks, &caller, board);
        if let (Some(command), Some(children), [election]) =
            (command, children, board.elections.as_slice())
        {
            let exec = all.start_exec(config, command, children, election, api)?;
            let step_down = step_downs.pop().flatten();
            all.attendants.push(Some(Box::new(Supervised {
                exec,
                _hooks: step_down,
            })));
        } else {
            let boxed = |step_down: StepDown| Box::new(step_down) as Box<dyn Attendant>;
            let attendants = step_downs.into_iter().map(|one| one.map(boxed));
            all.attendants = attendants.collect();
        }
        Ok(all)
    }

    fn start_hooks(
        &mut self,
        config: &HooksConfig,
        caller: &Caller,
        board: &Board,
    ) -> Vec<Option<StepDown>> {
        let config = Arc::new(config.clone());
        let start = |election: &ElectionHandle| {
            hooks(&config).next()?;
            let (hooks, step_down) =
                Hooks::new(Arc::clone(&config), caller.clone(), election.clone());
            self.tasks.spawn(hooks.run());
            Some(step_down)
        };
        board.elections.iter().map(start).collect()
    }

    fn start_exec(
        &mut self,
        config: &Config,
        command: Vec<OsString>,
        children: Children,
        election: &ElectionHandle,
        api: String,
    ) -> Result<Exec, RunError> {
        let ending = Arc::new(Ending::default());
        self.ending = Some(Arc::clone(&ending));
        let mut env = vec![
            ("TENURE_ELECTION", election.status.name().to_owned()),
            ("TENURE_ID", config.candidate.id.clone()),
            ("TENURE_URL", api),
        ];
        if let Some(file) = &config.http.token_file {
            // It may be in another directory by the time it looks.
            let file = system("finding http.token_file", std::path::absolute(file))?;
            env.push(("TENURE_TOKEN_FILE", file.to_string_lossy().into_owned()));
        }
        let program = Program {
            command,
            env: env
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            stop_timeout: config.exec.stop_timeout,
            tenure: THIS_PROGRAM.into(),
        };
        let commands = election.commands.clone();
        let leaves = config.exec.on_exit == OnExit::Leave;
        let report = move |report: Report| {
            if let Some(news) = ending.hear(report, leaves) {
                // Closed where the election has ended.
                let _ = commands.blocking_send(Command::Application(news));
            }
        };
        let exec = system("running a command", Exec::start(program, children, report))?;
        for signal in FORWARDED {
            let mut caught = system("listening to signals", shutdown::listen_to(signal))?;
            let exec = exec.clone();
            self.tasks.spawn(async move {
                while shutdown::caught(&mut caught).await {
                    exec.forward(signal);
                }
            });
        }
        Ok(exec)
    }

    /// The elections have been told that this process is to end.
    pub(super) fn look_for_its_end(&self) {
        self.shutting_down.send_replace(true);
    }

    /// This process is to end: a command ends with it.
    pub(super) fn shut_down(&self) {
        if let Some(ending) = &self.ending {
            ending.is_shutting_down.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the elections end with the command.
    pub(super) fn has_ended(&self) -> bool {
        let ending = self.ending.as_ref();
        ending.is_some_and(|ending| ending.is_shutting_down.load(Ordering::Relaxed))
    }

    /// Ends what is still under way, and gives the exit code.
    pub(super) async fn finish(mut self) -> u8 {
        self.tasks.shutdown().await;
        self.ending
            .map_or(0, |ending| ending.code.load(Ordering::Relaxed))
    }
}

impl Ending {
    /// What the election has to know of it.
    fn hear(&self, report: Report, leaves: bool) -> Option<News> {
        let token = report.token?;
        match report.end {
            End::Near => Some(News::Ending(token)),
            End::Stopped(code) => {
                tracing::info!(token, code, "the command was stopped");
                if self.is_shutting_down.load(Ordering::Relaxed) {
                    self.code.store(code.unwrap_or(0), Ordering::Relaxed);
                }
                // What was killed has left its work where it was.
                let in_order = code != Some(KILLED);
                Some(News::Stopped { token, in_order })
            }
            End::Exited(code) => {
                tracing::info!(token, code, "the command ended");
                Some(self.ended(token, code, leaves))
            }
            End::Failed(error) => {
                tracing::error!(token, error, "the command could not be started");
                Some(self.ended(token, NOT_STARTED, leaves))
            }
        }
    }

    fn ended(&self, token: Token, code: u8, leaves: bool) -> News {
        if leaves {
            self.is_shutting_down.store(true, Ordering::Relaxed);
        }
        if self.is_shutting_down.load(Ordering::Relaxed) {
            self.code.store(code, Ordering::Relaxed);
        }
        News::Ended {
            token,
            leave: leaves,
            in_order: code == 0,
        }
    }
}

/// A command under this candidate's hand. Its hooks end with it.
struct Supervised {
    exec: Exec,
    _hooks: Option<StepDown>,
}

impl Attendant for Supervised {
    fn run(&self, token: Token, deadline: Deadline) {
        self.exec.run(token, deadline);
    }

    fn extend(&self, deadline: Deadline) {
        self.exec.extend(deadline);
    }

    fn stop(&self, _: Token, at_once: bool) {
        self.exec.stop(at_once);
    }
}

/// How the core is to treat the application.
pub(super) fn supervision(config: &Config, has_command: bool) -> Application {
    if has_command {
        Application::Supervised(config.exec.stop_timeout)
    } else {
        config.policy.application
    }
}

fn hooks(config: &HooksConfig) -> impl Iterator<Item = &CallConfig> {
    let hooks = [
        &config.on_elected,
        &config.on_step_down,
        &config.on_leader_changed,
    ];
    hooks.into_iter().flatten()
}

fn runs_programs(config: &Config) -> bool {
    programs(config).next().is_some()
}

/// A mistake in a hook's name would be noticed only when it is called. It may be installed by then, and so is no error.
fn warn_of_missing_programs(config: &Config) {
    for program in programs(config) {
        if let Err(error) = find(program.as_ref()) {
            tracing::warn!(%error, "a program that is to be called is missing");
        }
    }
}

fn programs(config: &Config) -> impl Iterator<Item = &str> {
    let health = config.health.as_ref().map(|health| &health.check);
    let calls = hooks(&config.hooks).chain(health);
    calls.filter_map(|call| match call {
        CallConfig::Command(command) => command.first().map(String::as_str),
        CallConfig::Http(_) => None,
    })
}
