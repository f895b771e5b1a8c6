//! The only owner of a core: waits, steps, acts.
//!
//! It decides nothing. What it guarantees is order, in [`take_in`]: the core's view is published before any of
//! its actions is carried out, and promises are read only after "not leader" is published.

use crate::clock::{self, Alarm};
use crate::election::{Action, Deadline, Election, Event, Hold, Time, Token, Transition, View};
use crate::metrics::{KeepaliveResult, Recorder};
use crate::status::{Application, Command, ElectionStatus};
use crate::store::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a core's steps act on.
pub trait Surroundings {
    /// The time, by the clock that leases are measured with.
    fn now(&self) -> Time;
    /// Shows the core's view to whoever asks from now on.
    fn publish(&mut self, view: View);
    /// When the last promise given so far ends.
    fn promised_until(&mut self) -> Time;
    /// Begins a request to the store.
    fn begin(&mut self, action: Action);
    /// Starts the application.
    fn run(&mut self, token: Token, deadline: Deadline);
    /// Lets the application run for longer.
    fn extend(&mut self, deadline: Deadline);
    /// Has the application stopped; what comes of it is an event.
    fn stop(&mut self, token: Token, at_once: bool);
    /// The role has changed.
    fn report(&mut self, transition: &Transition);
    /// This candidate leads, so long after the former leader was gone.
    fn took_over(&mut self, after: Duration);
}

/// Has the core take in an event, and carries out what it says.
pub fn take_in(election: &mut Election, event: Event, surroundings: &mut impl Surroundings) {
    let mut next = Some(event);
    while let Some(event) = next.take() {
        let actions = election.step(surroundings.now(), event);
        surroundings.publish(election.view());
        for action in actions {
            match action {
                Action::CollectPromises => {
                    next = Some(Event::Promised(surroundings.promised_until()));
                }
                Action::Report(transition) => surroundings.report(&transition),
                Action::TookOver(after) => surroundings.took_over(after),
                Action::RunApplication(token, deadline) => surroundings.run(token, deadline),
                Action::ExtendApplication(deadline) => surroundings.extend(deadline),
                Action::StopApplication { token, at_once } => surroundings.stop(token, at_once),
                Action::Join(_)
                | Action::KeepAlive(_)
                | Action::Verify(_)
                | Action::Release(_)
                | Action::HandOver(_) => surroundings.begin(action),
            }
        }
    }
}

/// An application that is told what to do, and none of it waits. What comes of it is sent as a
/// [`Command::Application`].
pub trait Attendant: Send {
    /// Starts it under this fencing token.
    fn run(&self, token: Token, deadline: Deadline);
    /// Lets it run for longer.
    fn extend(&self, deadline: Deadline);
    /// Has it stopped.
    fn stop(&self, token: Token, at_once: bool);
}

/// One election of one candidate, driven until it is stopped.
pub struct Driver {
    election: Election,
    sidecar: Sidecar,
    commands: mpsc::Receiver<Command>,
}

/// What surrounds a core in a sidecar.
struct Sidecar {
    session: Box<dyn Session>,
    status: Arc<ElectionStatus>,
    recorder: Recorder,
    attendant: Option<Box<dyn Attendant>>,
    keepalive_began: Time,
}

impl Driver {
    /// Puts the parts together.
    pub fn new(
        election: Election,
        session: Box<dyn Session>,
        status: Arc<ElectionStatus>,
        recorder: Recorder,
        attendant: Option<Box<dyn Attendant>>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let sidecar = Sidecar {
            session,
            status,
            recorder,
            attendant,
            keepalive_began: Time::ORIGIN,
        };
        Driver {
            election,
            sidecar,
            commands,
        }
    }

    /// Campaigns, leads, follows and rejoins, until it is told to shut down.
    pub async fn run(mut self, mut alarm: Alarm) {
        self.take_in(Event::Tick);
        while !self.election.is_stopped() {
            let timeout = self.election.next_timeout();
            tokio::select! {
                biased;
                // The store comes before whoever asks: a flood of requests delays no keepalive. Its events come
                // first: whatever is due is done with the next of them, and a deadline comes before any.
                event = self.sidecar.session.next() => self.take_in(event),
                () = alarm.wait_until(timeout) => self.take_in(Event::Tick),
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => self.take_in(Event::Shutdown),
                },
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Resign {
                cooldown,
                stopped,
                reply,
            } => {
                self.take_in(Event::Resign { cooldown });
                if stopped {
                    self.take_in(Event::ApplicationSaysItStopped);
                }
                // Whoever asked may have gone.
                let _ = reply.send(self.election.release_at(clock::now()));
            }
            Command::Pause { reply } => {
                self.take_in(Event::Hold(Hold::Paused));
                let _ = reply.send(self.election.release_at(clock::now()));
            }
            Command::Resume { reply } => {
                self.take_in(Event::Lift(Hold::Paused));
                let _ = reply.send(());
            }
            Command::Healthy(true) => self.take_in(Event::Lift(Hold::Unhealthy)),
            Command::Healthy(false) => self.take_in(Event::Hold(Hold::Unhealthy)),
            Command::Application(news) => self.take_in(match news {
                Application::Stopped { token, in_order } => {
                    Event::ApplicationStopped { token, in_order }
                }
                Application::Ending(token) => Event::ApplicationEnding(token),
                Application::NotStopped(token) => Event::ApplicationNotStopped(token),
                Application::Ended {
                    token,
                    leave,
                    in_order,
                } => Event::ApplicationEnded {
                    token,
                    leave,
                    in_order,
                },
                Application::Gone => Event::ApplicationGone,
            }),
            Command::Deregistered(token) => self.take_in(Event::Deregistered(token)),
            Command::Ping(reply) => {
                let _ = reply.send(());
            }
            Command::Shutdown => self.take_in(Event::Shutdown),
        }
    }

    fn take_in(&mut self, event: Event) {
        self.sidecar.count(&event);
        take_in(&mut self.election, event, &mut self.sidecar);
    }
}

impl Sidecar {
    fn count(&self, event: &Event) {
        let result = match event {
            Event::KeptAlive { .. } => KeepaliveResult::Ok,
            Event::KeepAliveFailed(_) => KeepaliveResult::Failed,
            Event::LeaseGone(_) => KeepaliveResult::Gone,
            _ => return,
        };
        self.recorder
            .keepalive(result, clock::now().since(self.keepalive_began));
    }
}

impl Surroundings for Sidecar {
    fn now(&self) -> Time {
        clock::now()
    }

    fn publish(&mut self, view: View) {
        self.status.publish(view, clock::date());
    }

    fn promised_until(&mut self) -> Time {
        self.status.promised_until()
    }

    fn begin(&mut self, action: Action) {
        if matches!(action, Action::KeepAlive(_)) {
            self.keepalive_began = clock::now();
        }
        self.session.begin(action);
    }

    fn run(&mut self, token: Token, deadline: Deadline) {
        if let Some(attendant) = &self.attendant {
            attendant.run(token, deadline);
        }
    }

    fn extend(&mut self, deadline: Deadline) {
        if let Some(attendant) = &self.attendant {
            attendant.extend(deadline);
        }
    }

    fn stop(&mut self, token: Token, at_once: bool) {
        if let Some(attendant) = &self.attendant {
            attendant.stop(token, at_once);
        }
    }

    fn report(&mut self, transition: &Transition) {
        self.recorder.transition(transition);
        self.status.record(*transition, clock::date());
        let snapshot = self.status.snapshot();
        tracing::info!(
            election = self.status.name(),
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            reason = transition.reason.as_str(),
            fencing_token = snapshot.view.role.claim().map(|claim| claim.token),
            leader = snapshot
                .view
                .holder
                .as_ref()
                .map(|holder| holder.id.as_str()),
            "transition"
        );
    }

    fn took_over(&mut self, after: Duration) {
        self.recorder.took_over(after);
    }
}
