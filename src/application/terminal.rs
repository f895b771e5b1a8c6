//! The terminal, where the sidecar has one: the application has it while it runs.
//!
//! A process group of its own may read from a terminal, and gets what is typed to end it (Ctrl-C), only while the
//! terminal is lent to it. The shim takes it before it becomes the application: whoever lent it to an application that
//! runs already could take it away from whom that has given it to. When nothing is left of the application, the sidecar
//! takes the terminal back, in the mode that it was in.
//!
//! Meanwhile the kernel stops whoever of the sidecar's process group reads from the terminal, all of the group with it. So
//! nothing is lent by a sidecar that writes into a pipe, whose end may be a pager.

use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::process::{Pid, getpgrp, test_kill_process_group};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};

/// The terminal at standard input. Dropping this, when nothing is left of whom it was lent to, takes it back.
#[derive(Debug)]
pub(super) enum Terminal {
    /// There is none, or none that is to be lent.
    None,
    /// Others have it: this process runs in the background. Nobody says when that changes.
    Elsewhere,
    /// It is the application's, or will be when that starts.
    Lent {
        /// In which it was.
        mode: Termios,
    },
}

impl Terminal {
    /// Looks, before the application is started.
    pub(super) fn find() -> Self {
        let Some(foreground) = tcgetpgrp(stdin()).ok().filter(|_| !writes_into_pipe()) else {
            return Terminal::None;
        };
        if foreground != getpgrp() && !is_free(foreground) {
            return Terminal::Elsewhere;
        }
        tcgetattr(stdin()).map_or(Terminal::None, |mode| Terminal::Lent { mode })
    }

    /// Lends it to an application that has started without it, or has lost it with this process to the shell: where this
    /// process has it. Says whether it did.
    pub(super) fn lend_late(&mut self, group: Pid) -> bool {
        if matches!(self, Terminal::Elsewhere) {
            *self = Terminal::find();
        }
        let is_to_lend = matches!(self, Terminal::Lent { .. });
        is_to_lend && tcgetpgrp(stdin()) == Ok(getpgrp()) && tcsetpgrp(stdin(), group).is_ok()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let Terminal::Lent { mode } = self else {
            return;
        };
        // Somebody else may have been given it meanwhile.
        if tcgetpgrp(stdin()).is_ok_and(is_free) {
            from_background(|| {
                let _ = tcsetpgrp(stdin(), getpgrp());
                let _ = tcsetattr(stdin(), OptionalActions::Now, mode);
            });
        }
    }
}

/// Takes the terminal at standard input for this process's group, if the lender's group has it still: a shell may have taken
/// it back.
pub(super) fn take(lender: Pid) {
    if tcgetpgrp(stdin()).is_ok_and(|group| group == lender || is_free(group)) {
        // A terminal that has hung up is nobody's.
        let _ = from_background(|| tcsetpgrp(stdin(), getpgrp()));
    }
}

/// Whether nobody is left of the group. Who was killed could not give the terminal back.
fn is_free(group: Pid) -> bool {
    test_kill_process_group(group) == Err(Errno::SRCH)
}

fn writes_into_pipe() -> bool {
    let kind = fstat(stdout()).map(|file| FileType::from_raw_mode(file.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

/// Does what the kernel may stop a process for that doesn't have the terminal, and so all of its group: to write
/// to it, or to take it. Threads that are started meanwhile may do so, too.
pub fn from_background<T>(act: impl FnOnce() -> T) -> T {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTTOU);
    // It fails for no signal there is.
    let _ = stop.thread_block();
    let done = act();
    let _ = stop.thread_unblock();
    done
}
