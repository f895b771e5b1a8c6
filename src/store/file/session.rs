//! A candidate's session: requests in their order, each bounded in time, and the queue observed all the while.
//!
//! It never waits for the disk itself. Requests line up here and go to the [`Worker`] one at a time; what is not
//! answered within a retry_period has failed, whether the worker is still at it or not. Then its ticket is
//! cancelled, so that it takes effect now or never.

use super::FileStoreError;
use super::ledger::{Ledger, Sight, Ticket};
use super::watch::Watch;
use super::worker::{Command, Reply, Request, Worker};
use crate::clock::{self, Alarm};
use crate::election::{Action, Event, LeaseId, Observation, Time, Timing};
use crate::store::{Namesakes, Session};
use std::collections::VecDeque;
use std::mem::Discriminant;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A [`Session`] with a [`FileStore`](super::FileStore).
#[derive(Debug)]
pub struct FileSession {
    ledger: Ledger,
    timing: Timing,
    connected: Arc<AtomicBool>,
    /// Started with the first request.
    worker: Option<Worker>,
    /// What the worker is at.
    at_work: Option<Task>,
    waiting: VecDeque<Task>,
    /// What happened and was not fetched yet.
    ready: VecDeque<Event>,
    /// The lease that was asked for last.
    own: Option<LeaseId>,
    /// What the core was shown last; none where it is to be shown anew.
    shown: Option<Observation>,
    is_blind: bool,
    namesakes: Namesakes,
    /// What is wrong with the store, as far as people were told.
    trouble: Option<Trouble>,
    look_at: Time,
    next_expiry: Option<Time>,
    alarm: Alarm,
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Task {
    request: Request,
    /// From then on it has failed.
    deadline: Time,
    ticket: Ticket,
    /// Whether its outcome was told, or interests nobody any more.
    settled: bool,
}

#[derive(Debug)]
struct Trouble {
    kind: Discriminant<FileStoreError>,
    /// Whether it takes a request that writes to see that it is over.
    writing: bool,
}

impl FileSession {
    pub(super) fn new(
        ledger: Ledger,
        timing: &Timing,
        connected: Arc<AtomicBool>,
        alarm: Alarm,
    ) -> Self {
        FileSession {
            ledger,
            timing: *timing,
            connected,
            worker: None,
            at_work: None,
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            own: None,
            shown: None,
            is_blind: false,
            namesakes: Namesakes::default(),
            trouble: None,
            look_at: Time::ORIGIN,
            next_expiry: None,
            alarm,
            watch: None,
        }
    }

    async fn next_event(&mut self) -> Event {
        loop {
            self.fetch_reply();
            self.proceed(clock::now());
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            let now = clock::now();
            let bound = self.next_bound(now).since(now);
            tokio::select! {
                reply = reply(&mut self.worker) => self.replied(reply),
                () = changed(&mut self.watch) => self.look_at = Time::ORIGIN,
                () = self.alarm.wait_until(self.next_expiry) => {
                    self.next_expiry = None;
                    self.look_at = Time::ORIGIN;
                }
                () = tokio::time::sleep(bound) => {}
            }
        }
    }

    /// Does what is due: gives up what takes too long, looks, keeps the worker busy.
    fn proceed(&mut self, now: Time) {
        self.give_up_overdue(now);
        if self.look_at <= now && !self.looks_next() {
            self.look_at = now + self.timing.retry_period();
            self.line_up(Request::Look, now);
        }
        self.dispatch();
    }

    fn dispatch(&mut self) {
        if self.at_work.is_none()
            && let Some(task) = self.waiting.pop_front()
        {
            self.send(task);
        }
    }

    fn line_up(&mut self, request: Request, now: Time) {
        self.waiting.push_back(Task {
            request,
            deadline: now + self.timing.retry_period(),
            ticket: Ticket::default(),
            settled: false,
        });
    }

    /// A look that the worker is at may have begun before what is to be looked for.
    fn looks_next(&self) -> bool {
        self.waiting
            .iter()
            .any(|task| task.request == Request::Look)
    }

    fn send(&mut self, task: Task) {
        if self.worker.is_none() {
            match Worker::start(self.ledger.clone(), self.timing.ttl()) {
                Ok(worker) => self.worker = Some(worker),
                Err(err) => return self.fail(task.request, &err),
            }
        }
        let command = Command {
            request: task.request,
            ticket: task.ticket.clone(),
            watch: self.watch.is_none(),
        };
        if let Some(worker) = &self.worker {
            worker.send(command);
            self.at_work = Some(task);
        }
    }

    /// When to come back if nothing happens.
    fn next_bound(&self, now: Time) -> Time {
        let tasks = self.at_work.iter().chain(&self.waiting);
        let deadlines = tasks.filter(|task| !task.settled).map(|task| task.deadline);
        let look_at = (!self.looks_next()).then_some(self.look_at);
        let retry_at = now + self.timing.retry_period();
        deadlines.chain(look_at).fold(retry_at, Time::min)
    }

    fn give_up_overdue(&mut self, now: Time) {
        let is_overdue = |task: &Task| !task.settled && task.deadline <= now;
        let mut failed = Vec::new();
        if let Some(task) = self.at_work.as_mut().filter(|task| is_overdue(task)) {
            task.ticket.cancel();
            task.settled = true;
            failed.push(task.request);
        }
        self.waiting.retain(|task| {
            if is_overdue(task) {
                failed.push(task.request);
            }
            !is_overdue(task)
        });
        for request in failed {
            let err = FileStoreError::TimedOut {
                path: self.ledger.directory().path().to_owned(),
                after: self.timing.retry_period(),
            };
            self.fail(request, &err);
        }
    }

    /// An answer that has come counts, however late it is looked for.
    fn fetch_reply(&mut self) {
        if let Some(reply) = self.worker.as_mut().and_then(Worker::try_reply) {
            self.replied(reply);
        }
    }

    fn replied(&mut self, reply: Reply) {
        let Some(task) = self.at_work.take() else {
            return;
        };
        // One of what can't be read would have that looked at again and again.
        let watch = reply.watch.filter(|_| reply.outcome.is_ok());
        if let Some(watch) = watch.and_then(|inotify| Watch::new(inotify).ok()) {
            self.watch = Some(watch);
            self.look_at = Time::ORIGIN;
        }
        match reply.outcome {
            Ok(Some((event, sight))) => {
                self.works(task.request);
                if !task.settled {
                    self.ready.extend(event);
                }
                self.see(sight);
            }
            Ok(None) => {}
            Err(err) if task.settled => self.note_trouble(task.request, &err),
            Err(err) => self.fail(task.request, &err),
        }
    }

    fn fail(&mut self, request: Request, err: &FileStoreError) {
        self.note_trouble(request, err);
        if let (FileStoreError::WentBack { .. }, Some(own)) = (err, self.own) {
            // Whoever finds the directory so may lead at once, for what it can tell.
            self.ready.push_back(Event::OutOfSight(own));
        }
        let event = match request {
            Request::Join(lease) => Event::JoinFailed {
                lease,
                // No change is computed later than now on this request's behalf.
                gone_by: clock::now() + self.timing.ttl(),
            },
            Request::KeepAlive(lease) => Event::KeepAliveFailed(lease),
            Request::Verify(lease) => Event::VerifyFailed(lease),
            Request::Release(lease) | Request::HandOver(lease) => Event::ReleaseFailed(lease),
            Request::Look => return self.go_blind(),
        };
        self.ready.push_back(event);
    }

    fn go_blind(&mut self) {
        // The directory may have been replaced: another is to be watched.
        self.watch = None;
        self.next_expiry = None;
        self.shown = None;
        if !self.is_blind {
            self.is_blind = true;
            // Half of the directory may have been seen, while it was being removed.
            self.look_at = Time::ORIGIN;
            self.ready.push_back(Event::Blind);
        }
    }

    fn see(&mut self, sight: Sight) {
        self.next_expiry = sight.next_expiry;
        self.is_blind = false;
        let id = &self.ledger.candidate().id;
        self.namesakes.warn_of(&sight.queue, self.own, id);
        let observation = sight.queue.observation(self.own);
        let is_news = self.shown.as_ref().is_none_or(|shown| {
            // Every renewal has a revision of its own.
            let shown = Observation {
                revision: observation.revision,
                ..shown.clone()
            };
            shown != observation
        });
        if is_news {
            self.shown = Some(observation.clone());
            self.ready.push_back(Event::Observed(observation));
        }
    }

    fn works(&mut self, request: Request) {
        self.connected.store(true, Ordering::Relaxed);
        // On a full disk looking goes on working.
        if let Some(trouble) = &self.trouble
            && (request.is_to_write() || !trouble.writing)
        {
            self.trouble = None;
            tracing::info!("the store answers again");
        }
    }

    /// Warns once when it begins, and again when it changes.
    fn note_trouble(&mut self, request: Request, err: &FileStoreError) {
        self.connected.store(false, Ordering::Relaxed);
        let kind = std::mem::discriminant(err);
        let before = self.trouble.as_ref();
        if before.is_none_or(|trouble| trouble.kind != kind) {
            tracing::warn!("{err}");
        }
        let writing = request.is_to_write() || before.is_some_and(|trouble| trouble.writing);
        self.trouble = Some(Trouble { kind, writing });
    }

    /// Lets go of all that was asked for so far but the looking.
    fn settle_all(&mut self) {
        self.waiting.retain(|task| task.request == Request::Look);
        if let Some(task) = &mut self.at_work
            && task.request != Request::Look
        {
            task.ticket.cancel();
            task.settled = true;
        }
    }
}

impl Session for FileSession {
    fn begin(&mut self, action: Action) {
        let request = match action {
            Action::Join(lease) => {
                self.own = Some(lease);
                Request::Join(lease)
            }
            Action::KeepAlive(lease) => Request::KeepAlive(lease),
            Action::Verify(lease) => Request::Verify(lease),
            Action::Release(lease) => {
                self.settle_all();
                Request::Release(lease)
            }
            Action::HandOver(lease) => {
                self.settle_all();
                Request::HandOver(lease)
            }
            _ => return,
        };
        if let Request::Join(_) | Request::Release(_) | Request::HandOver(_) = request {
            // The core may have forgotten what it was shown while it had lost the store.
            self.shown = None;
        }
        self.line_up(request, clock::now());
        self.dispatch();
    }

    fn next(&mut self) -> Pin<Box<dyn Future<Output = Event> + Send + '_>> {
        Box::pin(self.next_event())
    }
}

impl Drop for FileSession {
    fn drop(&mut self) {
        if let Some(task) = &self.at_work {
            task.ticket.cancel();
        }
    }
}

async fn reply(worker: &mut Option<Worker>) -> Reply {
    match worker {
        Some(worker) => worker.reply().await,
        None => std::future::pending().await,
    }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
