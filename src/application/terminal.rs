//! The terminal, where the sidecar has one: the application has it while it runs.
//!
//! A process group of its own may read from a terminal, and gets what is typed to end it (Ctrl-C), only while the
//! terminal is lent to it. When it has ended the sidecar takes the terminal back, in the mode that it was in.
//!
//! Meanwhile the kernel stops whoever of the sidecar's process group reads from the terminal, all of the group with it. So
//! nothing is lent by a sidecar that is part of a pipeline, whose end may be a pager.

use nix::sys::signal::{SigSet, Signal};
use rustix::io::Errno;
use rustix::process::{Pid, getpgrp, test_kill_process_group};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp,
};

/// The terminal at standard input. Dropping this takes it back from whom it is lent to.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    lent: Option<Lent>,
}

#[derive(Debug)]
struct Lent {
    to: Pid,
    mode: Termios,
}

impl Terminal {
    /// Whether it is lent by this: not where there is none, nor where this process doesn't have it, because it runs in the
    /// background or has lent it before.
    pub(super) fn lend(&mut self, group: Pid) -> bool {
        if !isatty(stdout()) || tcgetpgrp(stdin()) != Ok(getpgrp()) {
            return false;
        }
        let Ok(mode) = tcgetattr(stdin()) else {
            return false;
        };
        self.lent.get_or_insert(Lent { to: group, mode });
        tcsetpgrp(stdin(), group).is_ok()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let Some(Lent { to, mode }) = &self.lent else {
            return;
        };
        // Somebody else may have been given it; but a job of the application's that has ended with it can't have it.
        let is_free = |group| test_kill_process_group(group) == Err(Errno::SRCH);
        if tcgetpgrp(stdin()).is_ok_and(|group| group == *to || is_free(group)) {
            from_background(|| {
                let _ = tcsetpgrp(stdin(), getpgrp());
                let _ = tcsetattr(stdin(), OptionalActions::Now, mode);
            });
        }
    }
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
