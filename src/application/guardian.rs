//! The guardian: a small process of its own, the application's parent, that stops it in time.
//!
//! It needs nobody for that. It has the application's deadline, and a clock; the sidecar only moves the
//! deadline on. It waits for nothing but the kernel, has no other thread, and ends with the application.

use super::deadline::{Due, Term};
use super::offspring;
use super::shim::Guarded;
use super::terminal::from_background;
use super::wire::{self, Message, Received};
use crate::clock::{self, Timer};
use crate::election::Deadline;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, getpgid, getpid, getppid,
    kill_process_group, set_child_subreaper, wait, waitid,
};
use rustix::termios::isatty;
use signal_hook::low_level::pipe;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Stdin, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What the guardian is told on its command line; the deadline, it is told by the sidecar.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The application's command line.
    pub command: Vec<OsString>,
    /// How long it may take to stop when it is ordered to.
    pub stop_timeout: Duration,
}

/// The guardian's main; gives its exit status. Its standard input is a socket to the sidecar.
pub fn guard(args: &Guard) -> u8 {
    match run(args) {
        Ok(()) => 0,
        Err(error) => {
            let _ = from_background(|| {
                writeln!(io::stderr(), "tenure: the application's guardian: {error}")
            });
            1
        }
    }
}

fn run(args: &Guard) -> io::Result<()> {
    let sidecar = io::stdin();
    // Else it would be `exe`. Not the sidecar's name either, so that who kills that by name spares this.
    let _ = fs::write("/proc/self/comm", "guardian");
    let signals = Signals::listen()?;
    set_child_subreaper(Some(getpid()))?;
    let Some(Start {
        deadline,
        stdin,
        is_lent,
    }) = wait_for_start(&sidecar)?
    else {
        return Ok(());
    };
    let mut guardian = Guardian {
        term: Term::new(deadline, args.stop_timeout),
        timer: Timer::new()?,
        sidecar: Some(sidecar),
        application: None,
        has_terminal: isatty(&stdin),
        signals,
    };
    guardian.hear();
    let last = if guardian.term.is_over(clock::now()) {
        Message::NotStarted
    } else {
        match guardian.start(args, stdin, is_lent) {
            Ok(pid) => guardian.watch(pid)?,
            Err(error) => Message::Failed(error.raw_os_error().unwrap_or(0)),
        }
    };
    guardian.tell(last);
    Ok(())
}

/// The sidecar's first word.
struct Start {
    deadline: Deadline,
    stdin: OwnedFd,
    is_lent: bool,
}

/// `None` where the sidecar ended before it had said anything.
fn wait_for_start(sidecar: &Stdin) -> io::Result<Option<Start>> {
    loop {
        match wire::receive(sidecar) {
            Received::Message(Message::Start { deadline, is_lent }, Some(stdin)) => {
                return Ok(Some(Start {
                    deadline,
                    stdin,
                    is_lent,
                }));
            }
            Received::Message(..) => return Err(io::ErrorKind::InvalidData.into()),
            Received::Nothing => wait_readable(&mut [PollFd::new(sidecar, PollFlags::IN)])?,
            Received::End => return Ok(None),
        }
    }
}

struct Guardian {
    term: Term,
    timer: Timer,
    /// `None` once it is gone.
    sidecar: Option<Stdin>,
    /// Also its process group's id. Nobody waits for it before it is known to have ended, so that
    /// neither becomes another's.
    application: Option<Pid>,
    /// Whether the application's standard input is a terminal.
    has_terminal: bool,
    signals: Signals,
}

/// Orphans of orphans turn up without a signal.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Guardian {
    fn start(&mut self, args: &Guard, stdin: OwnedFd, is_lent: bool) -> io::Result<Pid> {
        // Who is an orphan has another parent, and that has lent nothing.
        let sidecar = getppid().filter(|_| is_lent);
        let lender = sidecar.and_then(|sidecar| getpgid(Some(sidecar)).ok());
        let guarded = Guarded {
            command: args.command.clone(),
            guardian: getpid().as_raw_pid(),
            // What comes later than this is asked of the guardian, but a shim has nobody to ask.
            start_before: self.term.next().unwrap_or_default(),
            takes_terminal_of: lender.map(Pid::as_raw_pid),
        };
        let child = Command::new("/proc/self/exe")
            .arg0("tenure")
            .args(guarded.to_args())
            .stdin(Stdio::from(stdin))
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_child(&child);
        self.application = Some(pid);
        self.tell(Message::Started(pid.as_raw_pid()));
        Ok(pid)
    }

    /// Until nothing of the application is left.
    fn watch(&mut self, application: Pid) -> io::Result<Message> {
        loop {
            self.signals.forget();
            // First what the sidecar has said: it may have moved the deadline while this process was frozen.
            self.hear();
            let now = clock::now();
            if let Some(status) = ended(application)? {
                let code = code(&status);
                let is_over = self.term.is_over(now);
                // What it has left may take its time, or may not be ours to kill.
                self.tell(Message::Ending);
                self.clear(application)?;
                return Ok(match is_over {
                    true => Message::Stopped(code),
                    false => Message::Exited(code),
                });
            }
            reap_orphans(application)?;
            if self.has_terminal && was_suspended(application)? {
                self.signal(Signal::CONT);
            }
            let due = self.term.due(now);
            match due {
                Due::Nothing => {}
                // What is suspended can't stop before it goes on.
                Due::Stop => {
                    self.signal(Signal::TERM);
                    self.signal(Signal::CONT);
                    // A later deadline may be on its way: the sidecar is not to go on leading.
                    self.tell(Message::Ending);
                }
                Due::Kill => self.signal(Signal::KILL),
            }
            self.term.done(due);
            self.timer.set(self.term.next());
            self.wait()?;
        }
    }

    /// Ends what the application has left: its process group first, while its id is still held; then whoever
    /// had left that. Who has no child left, has no descendant left.
    fn clear(&mut self, application: Pid) -> io::Result<()> {
        self.signal(Signal::KILL);
        self.application = None;
        waitid(WaitId::Pid(application), WaitIdOptions::EXITED)?;
        loop {
            self.signals.forget();
            while let Some(_ended) = match wait(WaitOptions::NOHANG) {
                Err(Errno::CHILD) => return Ok(()),
                waited => waited?,
            } {}
            for child in offspring::children()? {
                offspring::kill(child);
            }
            self.timer.set(Some(clock::now() + LOOK_AGAIN));
            self.wait_without_sidecar()?;
        }
    }

    /// Takes in all that the sidecar has said.
    fn hear(&mut self) {
        while let Some(sidecar) = &self.sidecar {
            match wire::receive(sidecar) {
                Received::Message(Message::Extend(deadline), _) => self.term.extend(deadline),
                Received::Message(Message::Stop { is_at_once }, _) => {
                    self.term.order_stop(clock::now(), is_at_once);
                }
                Received::Message(Message::Signal(number), _) => {
                    if let Some(signal) = Signal::from_named_raw(number) {
                        self.signal(signal);
                    }
                }
                Received::Message(..) => {}
                Received::Nothing => return,
                // Nobody keeps the lease any more.
                Received::End => {
                    self.term.order_stop(clock::now(), false);
                    self.sidecar = None;
                }
            }
        }
    }

    fn tell(&self, message: Message) {
        if let Some(sidecar) = &self.sidecar {
            // A sidecar that is gone needs no telling.
            let _ = wire::send(sidecar, message, None);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(application) = self.application {
            // It fails where the last process of the group has become another user's.
            let _ = kill_process_group(application, signal);
        }
    }

    fn wait(&self) -> io::Result<()> {
        match &self.sidecar {
            Some(sidecar) => wait_readable(&mut [
                PollFd::new(&self.signals.child, PollFlags::IN),
                PollFd::new(&self.timer, PollFlags::IN),
                PollFd::new(sidecar, PollFlags::IN),
            ]),
            None => self.wait_without_sidecar(),
        }
    }

    fn wait_without_sidecar(&self) -> io::Result<()> {
        wait_readable(&mut [
            PollFd::new(&self.signals.child, PollFlags::IN),
            PollFd::new(&self.timer, PollFlags::IN),
        ])
    }
}

/// How the application ended, if it has. It stays to be waited for.
fn ended(application: Pid) -> io::Result<Option<WaitIdStatus>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(application), options)?)
}

/// Whether somebody has typed Ctrl-Z. Nobody could make it go on: the shell knows of the sidecar only, which goes on leading.
fn was_suspended(application: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    let status = match waitid(WaitId::Pid(application), options) {
        // It has ended since it was looked at: such a one can't stop any more.
        Err(Errno::CHILD) => None,
        status => status?,
    };
    let signal = status.and_then(|status| status.stopping_signal());
    Ok(signal == Some(Signal::TSTP.as_raw()))
}

/// As a shell says it.
fn code(status: &WaitIdStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    let code = status.exit_status().or(signal).unwrap_or(0);
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Waits for those of the application's descendants that have lost their parent, and have ended.
fn reap_orphans(application: Pid) -> io::Result<()> {
    for child in offspring::children()? {
        if child != application {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            waitid(WaitId::Pid(child), options)?;
        }
    }
    Ok(())
}

/// A signal interrupts; whoever waits looks around anyway.
fn wait_readable(files: &mut [PollFd<'_>]) -> io::Result<()> {
    match poll(files, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The signals of this process: it is told of children that ended, and nothing else ends it. They are handled, not
/// ignored, because the application would inherit that.
struct Signals {
    child: UnixStream,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let (child, sender) = UnixStream::pair()?;
        child.set_nonblocking(true)?;
        pipe::register(Signal::CHILD.as_raw(), sender)?;
        let nobody_looks = Arc::new(AtomicBool::new(false));
        for signal in [
            Signal::HUP,
            Signal::INT,
            Signal::QUIT,
            Signal::TERM,
            Signal::USR1,
            Signal::USR2,
            Signal::ALARM,
        ] {
            signal_hook::flag::register(signal.as_raw(), Arc::clone(&nobody_looks))?;
        }
        Ok(Signals { child })
    }

    /// Before one looks for children that ended, so that none is missed who ends meanwhile.
    fn forget(&mut self) {
        let mut some = [0; 64];
        while self.child.read(&mut some).is_ok_and(|read| read > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_not_suspended() {
        let mut child = Command::new("true").spawn().unwrap();
        let application = Pid::from_child(&child);
        let stays = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(application), stays).unwrap();
        assert!(!was_suspended(application).unwrap());
        child.wait().unwrap();
    }
}
