//! An application that runs under a candidate's hand, and the guardian beside it, whom nothing freezes.

use std::time::Duration;
use tenure::election::{Deadline, LeaseId, Time, Token};

#[derive(Clone, Copy, Debug)]
struct Application {
    lease: LeaseId,
    deadline: Deadline,
    /// Told to stop, it is gone by then.
    gone_at: Option<Time>,
}

#[derive(Debug)]
pub(crate) struct Guardian {
    /// While it runs.
    application: Option<Application>,
    /// The lease of an application that still ran when the next one was started.
    pub(crate) outrun: Option<LeaseId>,
    /// The core has not been told of the end of the application that ran under this token.
    awaits_end: Option<Token>,
    /// How long the application takes to stop, unless it is killed before.
    pub(crate) stop_takes: Duration,
}

impl Guardian {
    pub(crate) fn new() -> Self {
        Guardian {
            application: None,
            outrun: None,
            awaits_end: None,
            stop_takes: Duration::ZERO,
        }
    }

    /// The lease of the application that runs.
    pub(crate) fn runs(&self) -> Option<LeaseId> {
        Some(self.application?.lease)
    }

    pub(crate) fn run(&mut self, lease: LeaseId, token: Token, deadline: Deadline) {
        self.outrun = self.runs();
        self.application = Some(Application {
            lease,
            deadline,
            gone_at: None,
        });
        self.awaits_end = Some(token);
    }

    /// What it has begun to stop goes on stopping; it only has longer for it.
    pub(crate) fn extend(&mut self, deadline: Deadline) {
        if let Some(application) = &mut self.application {
            application.deadline.kill_at = deadline.kill_at;
            if application.gone_at.is_none() {
                application.deadline.stop_at = deadline.stop_at;
            }
        }
    }

    pub(crate) fn stop(&mut self, now: Time, at_once: bool) {
        let takes = if at_once {
            Duration::ZERO
        } else {
            self.stop_takes
        };
        if let Some(application) = &mut self.application {
            application.stop(now, takes);
        }
    }

    /// What is due at `now`. Whether the application is gone by that.
    pub(crate) fn work(&mut self, now: Time) -> bool {
        let Some(application) = &mut self.application else {
            return false;
        };
        let Deadline { stop_at, kill_at } = application.deadline;
        if stop_at <= now {
            application.stop(stop_at, self.stop_takes);
        }
        let is_gone = application.gone_at.is_some_and(|at| at <= now) || kill_at <= now;
        if is_gone {
            self.application = None;
        }
        is_gone
    }

    /// The candidate has crashed. That is noticed; late, for the worst.
    pub(crate) fn left_alone(&mut self) {
        if let Some(application) = &mut self.application {
            application.gone_at = None;
        }
        self.awaits_end = None;
    }

    /// When there is something to do, or the candidate has something to hear.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let Some(Application {
            deadline, gone_at, ..
        }) = self.application
        else {
            return self.awaits_end.map(|_| Time::ORIGIN);
        };
        Some(gone_at.unwrap_or(deadline.stop_at).min(deadline.kill_at))
    }

    /// Under which token the application ran that is gone, where nobody was told yet.
    pub(crate) fn end_to_tell(&mut self) -> Option<Token> {
        self.awaits_end.take_if(|_| self.application.is_none())
    }
}

impl Application {
    fn stop(&mut self, now: Time, takes: Duration) {
        let gone_at = now + takes;
        self.gone_at = Some(self.gone_at.map_or(gone_at, |before| before.min(gone_at)));
    }
}
