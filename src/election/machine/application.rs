//! What becomes of the application when leadership ends: it is told to stop, and nothing is released before it has.

use super::Election;
use crate::election::held::Held;
use crate::election::state::{End, Intent, State, Stopping};
use crate::election::{Action, Application, Reason, ShutdownWait, Time, Token};

impl Election {
    /// Has the application stopped, where that is to be seen.
    pub(super) fn stop_application(&mut self, now: Time, at_once: bool) {
        let (Application::Told(takes) | Application::Supervised(takes)) = self.policy.application
        else {
            return;
        };
        if let State::SteppingDown { held, stopping, .. } = &mut self.state {
            *stopping = Stopping::Awaited { by: now + takes };
            let token = held.lease.token;
            self.actions
                .push(Action::StopApplication { token, at_once });
        }
    }

    /// Whether it is shutting down, and would go as soon as the application has stopped.
    pub(super) fn waits_for_application(&self) -> bool {
        self.intent == Intent::Stop
            && matches!(self.policy.shutdown_wait, ShutdownWait::Application(_))
    }

    /// Nothing is promised any more. Of one that runs under this candidate's hand, its word is not taken.
    pub(super) fn application_says_it_stopped(&mut self) {
        self.forget_promises();
        if let State::SteppingDown { stopping, .. } = &mut self.state
            && !matches!(self.policy.application, Application::Supervised(_))
        {
            *stopping = Stopping::Over { in_order: true };
        }
    }

    /// It need not be waited for any longer; what it was promised is kept, and what it was told is awaited.
    pub(super) fn application_gone(&mut self) {
        if let State::SteppingDown {
            release_at: Some(release_at),
            promises_end,
            ..
        } = &mut self.state
        {
            *release_at = (*promises_end).min(*release_at);
        }
    }

    /// It leads no more, and what is left of the application is waited for.
    pub(super) fn application_ending(&mut self, now: Time, token: Token) {
        if let State::Leading { held } = &self.state
            && held.lease.token == token
        {
            self.intent = Intent::StayOut(self.timing.retry_period());
            self.step_down(now, Reason::ApplicationEnded);
        }
    }

    pub(super) fn application_stopped(&mut self, now: Time, token: Token, in_order: bool) {
        match &mut self.state {
            State::SteppingDown { held, stopping, .. } if held.lease.token == token => {
                *stopping = Stopping::Over { in_order };
                self.forget_promises();
            }
            // Its guardian was lost, or was early.
            State::Leading { .. } => self.application_ended(now, token, false, in_order),
            _ => {}
        }
    }

    /// The lease is not released, and not renewed either.
    pub(super) fn application_not_stopped(&mut self, token: Token) {
        if let State::SteppingDown {
            stopping: Stopping::Awaited { .. },
            held,
            ..
        } = &self.state
            && held.lease.token == token
        {
            self.leave_lease_to_run_out();
        }
    }

    fn leave_lease_to_run_out(&mut self) {
        if let State::SteppingDown { stopping, held, .. } = &mut self.state {
            *stopping = Stopping::Failed;
            held.stop_renewing();
        }
    }

    /// By itself: nothing is left that another leader would have to wait for.
    pub(super) fn application_ended(
        &mut self,
        now: Time,
        token: Token,
        leave: bool,
        in_order: bool,
    ) {
        if leave {
            self.intent = Intent::Stop;
        }
        match &self.state {
            State::Leading { held } if held.lease.token == token => {
                if !leave {
                    self.intent = Intent::StayOut(self.timing.retry_period());
                }
                self.reason = Reason::ApplicationEnded;
                self.state = State::SteppingDown {
                    held: held.clone(),
                    release_at: Some(Time::ORIGIN),
                    promises_end: Time::ORIGIN,
                    stopping: Stopping::Over { in_order },
                    deregistered_by: now + self.policy.deregistration,
                };
            }
            State::Waiting { .. } if leave => self.leave_queue(),
            State::SteppingDown { .. } => self.application_stopped(now, token, in_order),
            _ => {}
        }
    }

    /// Tells how long the application may run by what the store answered last.
    pub(super) fn extend(&mut self) {
        if let (
            State::Leading { held } | State::SteppingDown { held, .. },
            Application::Supervised(_),
        ) = (&self.state, self.policy.application)
        {
            let deadline = held.deadline(&self.timing);
            self.actions.push(Action::ExtendApplication(deadline));
        }
    }

    /// For how long an application is waited for that has been told to stop.
    pub(super) fn end_of_waiting(&self, held: &Held, stopping: Stopping) -> Option<Time> {
        match (self.policy.application, stopping) {
            (Application::Supervised(_), Stopping::Awaited { by }) => {
                Some(by + self.timing.retry_period())
            }
            (Application::Supervised(_), _) if self.intent != Intent::Stop => None,
            _ => Some(held.gone_by()),
        }
    }

    pub(super) fn stop_waiting(&mut self, stopping: Stopping) {
        match (self.policy.application, stopping) {
            // It can't be killed: its lease is not renewed for ever. This candidate takes no other before it is gone.
            (Application::Supervised(_), Stopping::Awaited { .. }) => self.leave_lease_to_run_out(),
            (Application::Supervised(_), _) => self.stop(),
            // Whatever the application does, the lease has run out.
            _ => {
                if let Some(held) = self.state.held() {
                    let (lease, gone_by) = (held.lease.id, held.gone_by());
                    self.release(lease, gone_by, End::Lost);
                }
            }
        }
    }
}
