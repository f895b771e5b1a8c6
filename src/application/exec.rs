//! The sidecar's side: starts a guardian for each leadership, moves its deadline on, and sees to it that
//! nothing is left where the guardian fails.
//!
//! One thread, `application`, starts and accompanies the guardians, one at a time. Whoever calls is not kept
//! waiting by it: an order goes from the caller straight to the guardian's socket, under a lock that is only
//! ever held for as long.

use super::children::{Children, Spawned};
use super::deadline::Term;
use super::terminal::Terminal;
use super::wire::{self, Message, Received};
use crate::clock::{self, Timer};
use crate::election::Deadline;
use crate::election::Time;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What is to be run while this candidate leads.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its command line: a program, and its arguments.
    pub command: Vec<OsString>,
    /// What it finds in its environment besides the sidecar's own and `TENURE_FENCING_TOKEN`.
    pub env: Vec<(String, String)>,
    /// How long it may take to stop when it is ordered to.
    pub stop_timeout: Duration,
    /// This program, which is the guardian's too: [`THIS_PROGRAM`], but for tests.
    pub tenure: PathBuf,
}

/// The running program, also where its file has been replaced meanwhile.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// What has become of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The leadership for which it ran, or was to run. `None` answers an order to stop that came while nothing
    /// ran nor was to.
    pub token: Option<u64>,
    /// How it ended. In each case but one it is gone, with all its descendants.
    pub end: End,
}

/// How the application ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Not yet, but it will: its time is over, or it has ended by itself and something is left of it. One of the others
    /// follows.
    Near,
    /// It was stopped: it was ordered to, or its time was over, or its guardian was lost. With its exit code,
    /// where it had been started; 128 + N for a signal.
    Stopped(Option<u8>),
    /// It ended by itself while it was allowed to run, with this code. It is 127 where it was not found, 126 where it
    /// could not be executed.
    Exited(u8),
    /// It could not be started, for the system's sake.
    Failed(String),
}

/// The application, as the sidecar handles it. Nothing here ever blocks. Cheap to clone; once all are dropped,
/// the application is stopped.
#[derive(Clone, Debug)]
pub struct Exec(Arc<Handle>);

impl Exec {
    /// Starts the thread that runs the application when it is told to. `report` is called on it.
    ///
    /// # Errors
    /// Where the system refuses a thread or a file descriptor.
    pub fn start(
        application: Application,
        children: Children,
        report: impl Fn(Report) + Send + 'static,
    ) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let shared = Arc::new(Shared {
            wake,
            orders: Mutex::default(),
        });
        let supervisor = Supervisor {
            application,
            children,
            shared: Arc::clone(&shared),
            timer: Timer::new()?,
        };
        thread::Builder::new()
            .name("application".to_owned())
            .spawn(move || supervisor.run(report))?;
        Ok(Exec(Arc::new(Handle(shared))))
    }

    /// Runs the application for the leadership with this fencing token: at once, or when what runs has been stopped.
    pub fn run(&self, token: u64, deadline: Deadline) {
        let mut orders = self.0.0.orders();
        orders.stop_current(false);
        orders.next = Some((token, deadline));
        self.0.0.wake();
    }

    /// Moves the deadline of the latest run.
    pub fn extend(&self, deadline: Deadline) {
        let mut orders = self.0.0.orders();
        let orders = &mut *orders;
        match (&mut orders.next, &mut orders.current) {
            (Some((_, next)), _) => *next = deadline,
            (None, Some(current)) => {
                current.term.extend(deadline);
                current.tell(Message::Extend(deadline));
            }
            (None, None) => {}
        }
    }

    /// Stops the application: with SIGTERM, and SIGKILL when its time to stop is over, or with that at once. A
    /// report follows in any case.
    pub fn stop(&self, is_at_once: bool) {
        self.0.0.stop(is_at_once);
    }

    /// Passes a signal on to the application's process group, if it runs.
    pub fn forward(&self, signal: Signal) {
        if let Some(current) = &mut self.0.0.orders().current {
            current.tell(Message::Signal(signal.as_raw()));
            if signal == Signal::CONT {
                current.was_continued = true;
                self.0.0.wake();
            }
        }
    }
}

#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.orders().is_closed = true;
        self.0.stop(false);
    }
}

#[derive(Debug)]
struct Shared {
    /// Readable when the thread should look at its orders.
    wake: OwnedFd,
    orders: Mutex<Orders>,
}

#[derive(Debug, Default)]
struct Orders {
    current: Option<Current>,
    /// What is to run when nothing does: a token, and until when.
    next: Option<(u64, Deadline)>,
    /// To be reported when nothing runs.
    owed: Option<Report>,
    is_closed: bool,
}

/// The application's run that has begun, and isn't known to have ended.
#[derive(Debug)]
struct Current {
    term: Term,
    guardian: Arc<OwnedFd>,
    /// A shell that has taken the terminal from whom it stopped gives it back, and continues that.
    was_continued: bool,
}

impl Shared {
    fn stop(&self, is_at_once: bool) {
        let mut orders = self.orders();
        orders.stop_current(is_at_once);
        let next = orders.next.take();
        if next.is_some() || orders.current.is_none() {
            let token = next.map(|(token, _)| token);
            let owed = Report {
                token,
                end: End::Stopped(None),
            };
            // Of two, the one that is of a leadership.
            if orders.owed.as_ref().is_none_or(|owed| owed.token.is_none()) {
                orders.owed = Some(owed);
            }
        }
        self.wake();
    }

    fn wake(&self) {
        // It fails where it has been woken 2^64 times already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Nobody panics while holding it.
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Orders {
    fn stop_current(&mut self, is_at_once: bool) {
        if let Some(current) = &mut self.current {
            current.term.order_stop(clock::now(), is_at_once);
            current.tell(Message::Stop { is_at_once });
        }
    }
}

impl Current {
    /// A guardian that is gone, or has not listened for hundreds of messages, is dealt with when the application's
    /// time is over.
    fn tell(&self, message: Message) {
        let _ = wire::send(&self.guardian, message, None);
    }
}

/// The thread's.
struct Supervisor {
    application: Application,
    children: Children,
    shared: Arc<Shared>,
    timer: Timer,
}

/// What the thread does next.
enum Next {
    Run(Run),
    Report(Report),
    Wait,
    Leave,
}

/// A run that has begun: orders can be given, and are waiting for the guardian.
struct Run {
    token: u64,
    /// The sidecar's end, and the guardian's.
    sockets: (Arc<OwnedFd>, OwnedFd),
    terminal: Terminal,
}

/// A guardian that is well carries out an order within this.
const GRACE: Duration = Duration::from_secs(1);

/// To a sidecar that runs in the background, a shell gives it without a word.
const LOOK_FOR_TERMINAL: Duration = Duration::from_millis(100);

/// The exit code of what was killed.
const KILLED: u8 = 137;

impl Supervisor {
    fn run(self, report: impl Fn(Report)) {
        loop {
            match self.next() {
                Next::Run(run) => {
                    let token = run.token;
                    let end = self
                        .lead(run, &report)
                        .unwrap_or_else(|error| End::Failed(error.to_string()));
                    self.shared.orders().current = None;
                    tracing::debug!(token, ?end, "application ended");
                    let token = Some(token);
                    report(Report { token, end });
                }
                Next::Report(owed) => report(owed),
                Next::Wait => {
                    self.timer.set(None);
                    self.wait(&[&self.shared.wake]);
                    self.forget_wake();
                }
                Next::Leave => return,
            }
        }
    }

    fn next(&self) -> Next {
        let mut orders = self.shared.orders();
        if let Some(owed) = orders.owed.take() {
            return Next::Report(owed);
        }
        let Some((token, deadline)) = orders.next.take() else {
            return match orders.is_closed {
                true => Next::Leave,
                false => Next::Wait,
            };
        };
        let end = match self.begin(&mut orders, token, deadline) {
            Ok(Some(run)) => return Next::Run(run),
            Ok(None) => End::Stopped(None),
            Err(error) => End::Failed(error.to_string()),
        };
        let token = Some(token);
        Next::Report(Report { token, end })
    }

    /// From here on, orders go to the guardian-to-be. `None` where its time has passed.
    fn begin(
        &self,
        orders: &mut Orders,
        token: u64,
        deadline: Deadline,
    ) -> io::Result<Option<Run>> {
        let term = Term::new(deadline, self.application.stop_timeout);
        if term.is_over(clock::now()) {
            return Ok(None);
        }
        let (ours, theirs) = wire::pair()?;
        let ours = Arc::new(ours);
        let terminal = Terminal::find();
        let is_lent = matches!(terminal, Terminal::Lent { .. });
        let start = Message::Start { deadline, is_lent };
        wire::send(&ours, start, Some(io::stdin().as_fd()))?;
        orders.current = Some(Current {
            term,
            guardian: Arc::clone(&ours),
            was_continued: false,
        });
        Ok(Some(Run {
            token,
            sockets: (ours, theirs),
            terminal,
        }))
    }

    /// Runs the application, until nothing of it is left.
    fn lead(&self, run: Run, report: &impl Fn(Report)) -> io::Result<End> {
        let Run {
            token,
            sockets: (ours, theirs),
            mut terminal,
        } = run;
        let guardian = self.children.spawn(&mut self.guardian(token, theirs))?;
        let mut started = None;
        loop {
            self.forget_wake();
            // First what the guardian has said: this process may have been frozen meanwhile.
            let lost = loop {
                match wire::receive(&ours) {
                    Received::Message(Message::Started(pid), _) => {
                        tracing::info!(token, pid, "application started");
                        started = Pid::from_raw(pid);
                    }
                    Received::Message(Message::Ending, _) => report(Report {
                        token: Some(token),
                        end: End::Near,
                    }),
                    Received::Message(last, _) => return Ok(end(last)),
                    Received::Nothing => break None,
                    Received::End => break Some("it is gone"),
                }
            };
            let lost_at = self.lost_at();
            let late = (clock::now() >= lost_at).then_some("it has not stopped it in time");
            if let Some(reason) = lost.or(late) {
                tracing::warn!(
                    token,
                    "killing the application instead of its guardian: {reason}"
                );
                return Ok(self.take_over(guardian, started.is_some()));
            }
            let is_elsewhere = matches!(terminal, Terminal::Elsewhere);
            if let Some(group) = started
                && (is_elsewhere || self.was_continued())
                && terminal.lend_late(group)
            {
                // The kernel has stopped it where it has tried to read before.
                let go_on = Message::Signal(Signal::CONT.as_raw());
                // A guardian that is gone is noticed next.
                let _ = wire::send(&ours, go_on, None);
            }
            let look_again = match terminal {
                Terminal::Elsewhere => clock::now() + LOOK_FOR_TERMINAL,
                _ => lost_at,
            };
            self.timer.set(Some(lost_at.min(look_again)));
            self.wait(&[&self.shared.wake, &ours]);
        }
    }

    /// The kernel kills the application with the guardian, and this process inherits what that leaves.
    fn take_over(&self, guardian: Spawned, has_started: bool) -> End {
        guardian.signal(Signal::KILL);
        let status = guardian.status.blocking_recv();
        self.children.end_inherited();
        let has_failed = status.is_ok_and(|status| status.code().is_some());
        if has_failed && !has_started {
            return End::Failed("the application's guardian could not work".to_owned());
        }
        End::Stopped(has_started.then_some(KILLED))
    }

    fn guardian(&self, token: u64, socket: OwnedFd) -> Command {
        let timeout = self.application.stop_timeout.as_millis();
        let mut command = Command::new(&self.application.tenure);
        command
            .arg0("tenure")
            .arg("guard")
            .arg(format!("--stop-timeout={timeout}ms"))
            .arg("--")
            .args(&self.application.command)
            .envs(self.application.env.iter().cloned())
            .env("TENURE_FENCING_TOKEN", token.to_string())
            .stdin(Stdio::from(socket));
        command
    }

    /// Whether it was since it was asked last.
    fn was_continued(&self) -> bool {
        let mut orders = self.shared.orders();
        let current = orders.current.as_mut();
        current.is_some_and(|current| mem::take(&mut current.was_continued))
    }

    fn lost_at(&self) -> Time {
        let orders = self.shared.orders();
        let current = orders.current.as_ref();
        current.map_or(Time::ORIGIN, |current| current.term.lost_at(GRACE))
    }

    fn wait(&self, files: &[&OwnedFd]) {
        let mut files: Vec<_> = files
            .iter()
            .map(|file| PollFd::new(file, PollFlags::IN))
            .collect();
        files.push(PollFd::new(&self.timer, PollFlags::IN));
        // Interrupted, it looks around as if something had come.
        let _ = poll(&mut files, None);
    }

    fn forget_wake(&self) {
        let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
    }
}

/// The guardian's last word.
fn end(last: Message) -> End {
    match last {
        Message::Exited(code) => End::Exited(code),
        Message::Stopped(code) => End::Stopped(Some(code)),
        Message::NotStarted => End::Stopped(None),
        Message::Failed(errno) => End::Failed(io::Error::from_raw_os_error(errno).to_string()),
        other => End::Failed(format!("the guardian said {other:?}")),
    }
}
