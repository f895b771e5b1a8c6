//! The thread that waits for the disk, so that nobody else has to.
//!
//! A session has a worker of its own, so a disk that hangs holds up no other session; and at most one request is
//! with it, so nothing piles up meanwhile. The thread ends when the session is dropped, or as soon as the disk
//! lets go of it.

use super::FileStoreError;
use super::directory::Directory;
use super::ledger::{Ledger, Outcome, Sight, Ticket};
use super::watch;
use crate::clock;
use crate::election::{Event, Lease, LeaseId};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc as replies;

/// What a worker is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Join(LeaseId),
    KeepAlive(LeaseId),
    Verify(LeaseId),
    Release(LeaseId),
    HandOver(LeaseId),
    Look,
}

impl Request {
    /// Whether it can't be answered without writing.
    pub(super) fn is_to_write(self) -> bool {
        !matches!(self, Request::Verify(_) | Request::Look)
    }
}

/// A request, on its way.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) request: Request,
    pub(super) ticket: Ticket,
    /// Whether the session lacks a watch.
    pub(super) watch: bool,
}

/// The answer to a [`Command`].
#[derive(Debug)]
pub(super) struct Reply {
    /// None in it, where the ticket was cancelled. No event, where the request was only to look.
    pub(super) outcome: Outcome<Option<Event>>,
    /// The watch that the session lacked. What changed before it began has to be looked for.
    pub(super) watch: Option<OwnedFd>,
}

/// The session's end of a worker.
#[derive(Debug)]
pub(super) struct Worker {
    commands: mpsc::SyncSender<Command>,
    replies: replies::Receiver<Reply>,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(mut ledger: Ledger, ttl: Duration) -> Result<Self, FileStoreError> {
        let (worker, commands, replies) = Worker::ends();
        let serve = move || {
            for command in commands {
                if replies
                    .blocking_send(serve(&mut ledger, ttl, &command))
                    .is_err()
                {
                    break;
                }
            }
        };
        // Never joined: that would be to wait for the disk.
        let thread = thread::Builder::new().name("tenure-file".into());
        thread.spawn(serve).map_err(FileStoreError::Thread)?;
        Ok(worker)
    }

    /// The session's end, and the two of the thread.
    pub(super) fn ends() -> (Self, mpsc::Receiver<Command>, replies::Sender<Reply>) {
        let (commands, for_thread) = mpsc::sync_channel(1);
        let (from_thread, replies) = replies::channel(1);
        (Worker { commands, replies }, for_thread, from_thread)
    }

    /// To be called only while no other command is unanswered.
    pub(super) fn send(&self, command: Command) {
        // Fails only where the thread is gone; then no answer comes, and the session stops waiting for it in time.
        let _ = self.commands.try_send(command);
    }

    /// The answer, if it has come.
    pub(super) fn try_reply(&mut self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }

    /// The answer; never, where the thread is gone. Dropping the future loses nothing.
    pub(super) async fn reply(&mut self) -> Reply {
        match self.replies.recv().await {
            Some(reply) => reply,
            None => std::future::pending().await,
        }
    }
}

fn serve(ledger: &mut Ledger, ttl: Duration, command: &Command) -> Reply {
    let ticket = &command.ticket;
    let sent_at = clock::now();
    let outcome = match command.request {
        Request::Join(id) => ledger.join(id, ticket).map(event(|token| {
            Event::Joined(Lease {
                id,
                token,
                ttl,
                sent_at,
            })
        })),
        Request::KeepAlive(lease) => ledger.keep_alive(lease, ticket).map(event(|renewed| {
            if renewed {
                Event::KeptAlive {
                    lease,
                    sent_at,
                    ttl,
                }
            } else {
                Event::LeaseGone(lease)
            }
        })),
        Request::Verify(lease) => ledger
            .verify(lease, ticket)
            .map(event(|standing| Event::Verified(lease, standing))),
        Request::Release(lease) => ledger
            .release(lease, false, ticket)
            .map(event(|()| Event::Released(lease))),
        Request::HandOver(lease) => ledger
            .release(lease, true, ticket)
            .map(event(|()| Event::Released(lease))),
        Request::Look => ledger
            .look(ticket)
            .map(|seen| seen.map(|((), sight)| (None, sight))),
    };
    let watch = command
        .watch
        .then(|| start_watch(ledger.directory()))
        .flatten();
    Reply { outcome, watch }
}

type Seen<T> = Option<(T, Sight)>;

fn event<T>(name: impl Fn(T) -> Event) -> impl Fn(Seen<T>) -> Seen<Option<Event>> {
    move |seen| seen.map(|(answer, sight)| (Some(name(answer)), sight))
}

fn start_watch(directory: &Directory) -> Option<OwnedFd> {
    watch::start(directory.path())
        .inspect_err(|err| {
            tracing::debug!("watches are not to be had ({err}); looking every retry_period")
        })
        .ok()
}
