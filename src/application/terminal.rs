//! The terminal, where the sidecar has one: the application has it while it runs.
//!
//! A process group of its own may read from a terminal, and gets what is typed to end it (Ctrl-C), only while the
//! terminal is lent to it. When it has ended the sidecar takes the terminal back, in the mode that it was in.

use nix::sys::signal::{SigSet, Signal as Blocked};
use rustix::process::{Pid, getpgrp};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};

/// The terminal at standard input, lent to a process group until this is dropped.
#[derive(Debug)]
pub(super) struct Lent {
    to: Pid,
    mode: Termios,
}

impl Lent {
    /// `None` where standard input is no terminal, or this process doesn't have it itself: it runs in the background.
    pub(super) fn to(group: Pid) -> Option<Lent> {
        let mode = tcgetattr(stdin()).ok()?;
        if tcgetpgrp(stdin()).ok()? != getpgrp() {
            return None;
        }
        tcsetpgrp(stdin(), group).ok()?;
        Some(Lent { to: group, mode })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Somebody else may have been given it meanwhile.
        if tcgetpgrp(stdin()) != Ok(self.to) {
            return;
        }
        // The kernel stops who takes a terminal from the background, unless this signal is blocked.
        let mut stop = SigSet::empty();
        stop.add(Blocked::SIGTTOU);
        if stop.thread_block().is_ok() {
            let _ = tcsetpgrp(stdin(), getpgrp());
            let _ = tcsetattr(stdin(), OptionalActions::Now, &self.mode);
            let _ = stop.thread_unblock();
        }
    }
}
