//! How a candidate behaves where that is a choice.

use std::time::Duration;

/// The choices of one candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What the release waits for on shutdown.
    pub shutdown_wait: ShutdownWait,
    /// Whether the application is seen to stop before a release.
    pub application: Application,
    /// How long an orderly release waits at most for those who direct traffic to be told. The election goes on without
    /// that after.
    pub deregistration: Duration,
    /// How long to wait before claiming what the former leader did not hand over in order. Whoever can't know how
    /// the former leader ended takes it that it did not.
    pub takeover_delay: Duration,
    /// Whether a leader whose application is unhealthy goes on leading while nobody else is queued: where no
    /// application is healthy, nobody is.
    pub keep_when_alone: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            shutdown_wait: ShutdownWait::Promise,
            application: Application::Unattended,
            deregistration: Duration::ZERO,
            takeover_delay: Duration::ZERO,
            keep_when_alone: true,
        }
    }
}

/// What the release waits for on shutdown. On resigning it always waits for the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownWait {
    /// For the end of the last promise given.
    Promise,
    /// For nothing: the application is gone already.
    None,
    /// For so long, and for the end of the last promise.
    For(Duration),
    /// For the application to have stopped, and at most for so long; but for the end of the last promise then.
    Application(Duration),
}

/// What is known of the application's end when leadership ends. The duration is how long stopping takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// Nothing: it keeps to what it was promised.
    Unattended,
    /// It is told to stop, and what it answers counts. Where it does not say that it has stopped, the lease is not
    /// released, and runs out.
    Told(Duration),
    /// It runs under this candidate's hand, only while it leads, and is stopped by it. Nothing is released before it
    /// is gone, whatever anybody says.
    Supervised(Duration),
}

/// What keeps a candidate from campaigning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Somebody paused it.
    Paused,
    /// Its application is unhealthy.
    Unhealthy,
}

/// The holds in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holds {
    paused: bool,
    unhealthy: bool,
}

impl Holds {
    /// Puts one in force, or lifts it.
    pub(super) fn set(&mut self, hold: Hold, in_force: bool) {
        *match hold {
            Hold::Paused => &mut self.paused,
            Hold::Unhealthy => &mut self.unhealthy,
        } = in_force;
    }

    /// The one to be named first, if any is in force.
    pub(super) fn first(self) -> Option<Hold> {
        match self {
            Holds { paused: true, .. } => Some(Hold::Paused),
            Holds {
                unhealthy: true, ..
            } => Some(Hold::Unhealthy),
            Holds { .. } => None,
        }
    }
}

impl Hold {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Hold::Paused => "paused",
            Hold::Unhealthy => "unhealthy",
        }
    }
}
