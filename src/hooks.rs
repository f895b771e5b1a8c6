//! Hooks: the application is told what happens to its election. They run beside the election, which waits for one
//! of them only where that is its order: a step-down is over when `on_step_down` has succeeded.
//!
//! One at a time for each election, and always about the newest state: what came and went while another hook ran is
//! not told. A step-down ends whatever hook runs, and comes first.

use crate::call::{Caller, Message};
use crate::clock;
use crate::config::{CallConfig, HooksConfig};
use crate::driver::Attendant;
use crate::election::{Deadline, LeaseId, Role, Token};
use crate::status::{Application, Command, ElectionHandle, Snapshot};
use hyper::body::Bytes;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// Orders a step-down to be told of.
#[derive(Debug)]
pub struct StepDown(watch::Sender<Option<Token>>);

/// The hooks of one election.
#[derive(Debug)]
pub struct Hooks {
    config: Arc<HooksConfig>,
    caller: Caller,
    election: ElectionHandle,
    orders: watch::Receiver<Option<Token>>,
    /// Told last.
    elected: Option<Token>,
    leader: Option<Leader>,
}

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leader {
    Own(Token),
    Other(LeaseId),
}

impl Attendant for StepDown {
    fn run(&self, _: Token, _: Deadline) {}

    fn extend(&self, _: Deadline) {}

    fn stop(&self, token: Token, _: bool) {
        // It is told once of each leadership, however often it is ordered.
        self.0
            .send_if_modified(|ordered| ordered.replace(token) != Some(token));
    }
}

impl Hooks {
    /// With the way to order a step-down.
    pub fn new(
        config: Arc<HooksConfig>,
        caller: Caller,
        election: ElectionHandle,
    ) -> (Self, StepDown) {
        let (order, orders) = watch::channel(None);
        let hooks = Hooks {
            config,
            caller,
            election,
            orders,
            elected: None,
            leader: None,
        };
        (hooks, StepDown(order))
    }

    /// Tells of what happens until the election has ended.
    pub async fn run(mut self) {
        let mut changes = self.election.status.subscribe();
        loop {
            let ended = tokio::select! {
                biased;
                ordered = self.orders.changed() => match ordered {
                    Ok(()) => {
                        self.step_down().await;
                        false
                    }
                    Err(_) => true,
                },
                change = changes.recv() => matches!(change, Err(RecvError::Closed)),
            };
            if ended {
                return;
            }
            self.tell_news().await;
        }
    }

    /// What is new in the newest state.
    async fn tell_news(&mut self) {
        let snapshot = self.election.status.snapshot();
        let leader = match (snapshot.view.role, &snapshot.view.holder) {
            (Role::Leader(claim), _) => Some(Leader::Own(claim.token)),
            (_, Some(holder)) => Some(Leader::Other(holder.lease)),
            // Who leads next is news.
            (_, None) => return,
        };
        if let Some(Leader::Own(token)) = leader
            && self.elected.replace(token) != Some(token)
        {
            let hook = self.config.on_elected.clone();
            self.tell("elected", hook, &snapshot).await;
        }
        if self.leader != leader {
            self.leader = leader;
            let hook = self.config.on_leader_changed.clone();
            self.tell("leader_changed", hook, &snapshot).await;
        }
    }

    /// Unless a step-down is ordered meanwhile.
    async fn tell(&mut self, event: &'static str, hook: Option<CallConfig>, snapshot: &Snapshot) {
        let Some(hook) = hook else {
            return;
        };
        let message = self.message(event, snapshot, None);
        let mut orders = self.orders.clone();
        let told = self.caller.tell(&hook, message, self.config.timeout);
        tokio::select! {
            biased;
            _ = orders.changed() => {
                tracing::warn!(election = self.election.status.name(), event, "hook ended by a step-down");
            }
            told = told => if let Err(error) = told {
                tracing::warn!(election = self.election.status.name(), event, %error, "hook failed");
            },
        }
    }

    async fn step_down(&mut self) {
        let token = *self.orders.borrow_and_update();
        let (Some(token), Some(hook)) = (token, &self.config.on_step_down) else {
            return;
        };
        let snapshot = self.election.status.snapshot();
        let message = self.message("step_down", &snapshot, Some(token));
        let told = self.caller.tell(hook, message, self.config.timeout).await;
        let news = match told {
            Ok(()) => Application::Stopped {
                token,
                in_order: true,
            },
            Err(error) => {
                let election = self.election.status.name();
                tracing::error!(election, %error, "on_step_down failed: the lease is not released, and runs out");
                Application::NotStopped(token)
            }
        };
        // Fails where the election has ended.
        let _ = self
            .election
            .commands
            .send(Command::Application(news))
            .await;
    }

    /// `ended` is the token of the leadership that is over.
    fn message(&self, event: &'static str, snapshot: &Snapshot, ended: Option<Token>) -> Message {
        let answer = self.election.status.answer_of(snapshot, clock::now());
        let token = ended.or(answer.fencing_token);
        let mut env = vec![
            ("TENURE_EVENT", event.to_owned()),
            ("TENURE_ELECTION", answer.election.clone()),
            ("TENURE_ID", answer.id.clone()),
            ("TENURE_STATE", answer.state.to_owned()),
        ];
        env.extend(token.map(|token| ("TENURE_FENCING_TOKEN", token.to_string())));
        // Nothing in an answer can fail to serialize.
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        Message {
            body: Bytes::from(body),
            env,
        }
    }
}
