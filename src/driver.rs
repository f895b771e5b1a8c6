//! The only owner of a core: waits, steps, acts.
//!
//! It decides nothing. What it guarantees is order: the core's view is published before any of its actions
//! is carried out, and promises are read only after "not leader" is published.

use crate::clock::{self, Alarm};
use crate::election::{Action, Election, Event, Time, Transition};
use crate::metrics::{KeepaliveResult, Recorder};
use crate::status::{Command, ElectionStatus};
use crate::store::Session;
use std::sync::Arc;
use tokio::sync::mpsc;

/// One election of one candidate, driven until it is stopped.
pub struct Driver {
    election: Election,
    session: Box<dyn Session>,
    status: Arc<ElectionStatus>,
    recorder: Recorder,
    commands: mpsc::Receiver<Command>,
    keepalive_began: Time,
}

impl Driver {
    /// Puts the parts together.
    pub fn new(
        election: Election,
        session: Box<dyn Session>,
        status: Arc<ElectionStatus>,
        recorder: Recorder,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        Driver {
            election,
            session,
            status,
            recorder,
            commands,
            keepalive_began: Time::ORIGIN,
        }
    }

    /// Campaigns, leads, follows and rejoins, until it is told to shut down.
    pub async fn run(mut self, mut alarm: Alarm) {
        self.take_in(Event::Tick);
        while !self.election.is_stopped() {
            let timeout = self.election.next_timeout();
            tokio::select! {
                biased;
                // The store comes before whoever asks: a flood of requests delays no keepalive.
                () = alarm.wait_until(timeout) => self.take_in(Event::Tick),
                event = self.session.next() => self.take_in(event),
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
                    self.take_in(Event::ApplicationStopped);
                }
                // Whoever asked may have gone.
                let _ = reply.send(self.election.release_at(clock::now()));
            }
            Command::Ping(reply) => {
                let _ = reply.send(());
            }
            Command::Shutdown => self.take_in(Event::Shutdown),
        }
    }

    fn take_in(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let now = clock::now();
            self.count(&event, now);
            let actions = self.election.step(now, event);
            self.status.publish(self.election.view(), clock::date());
            for action in actions {
                match action {
                    Action::CollectPromises => {
                        next = Some(Event::Promised(self.status.promised_until()));
                    }
                    Action::Report(transition) => self.report(&transition),
                    Action::TookOver(after) => self.recorder.took_over(after),
                    Action::KeepAlive(_) => {
                        self.keepalive_began = clock::now();
                        self.session.begin(action);
                    }
                    Action::Join(_) | Action::Verify(_) | Action::Release(_) => {
                        self.session.begin(action);
                    }
                }
            }
        }
    }

    fn count(&self, event: &Event, now: Time) {
        let result = match event {
            Event::KeptAlive { .. } => KeepaliveResult::Ok,
            Event::KeepAliveFailed(_) => KeepaliveResult::Failed,
            Event::LeaseGone(_) => KeepaliveResult::Gone,
            _ => return,
        };
        self.recorder
            .keepalive(result, now.since(self.keepalive_began));
    }

    fn report(&self, transition: &Transition) {
        self.recorder.transition(transition);
        let view = self.election.view();
        tracing::info!(
            election = self.status.name(),
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            reason = transition.reason.as_str(),
            fencing_token = view.role.claim().map(|claim| claim.token),
            leader = view.holder.as_ref().map(|holder| holder.id.as_str()),
            "transition"
        );
    }
}
