//! The API server: it answers, applies writes, and tells those who watch.

use super::World;
use crate::errand::Request;
use crate::error::Failure;
use crate::kind::Kind;
use crate::record::unheld;
use crate::register::Register;
use crate::session::{Message, Told};

#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) register: Register,
    /// Of its connections: its restart ends them all.
    pub(super) epoch: u64,
    pub(super) is_away: bool,
    pub(super) is_busy: bool,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Writer {
    Candidate(usize),
    /// Somebody who edits what is there.
    Editor,
    /// Whoever doesn't wait, and leaves nothing that tells of it.
    Usurper,
    /// Whoever brings back what the write of that number made.
    Restorer(u64),
}

impl World {
    pub(super) fn arrive(&mut self, from: usize, id: u64, message: Message, is_late: bool) {
        if self.server.is_away {
            return;
        }
        let request = match message {
            Message::Watch => return self.watch(from, id),
            Message::Ask(request) => request,
        };
        if self.server.is_busy && self.rng.bool() {
            let busy = Failure::Unreachable("too many requests".to_owned());
            return self.answer(from, id, Err(busy));
        }
        let is_write = !matches!(request, Request::Read);
        let answer = self.write(Writer::Candidate(from), |register| match request {
            Request::Read => Ok(register.read()),
            Request::Create => register.create(unheld("e")).map(Some),
            Request::Replace(lease) => register.replace(*lease).map(Some),
        });
        match &answer {
            Err(Failure::Conflict) => self.count(Kind::Conflict),
            Err(Failure::Missing) => self.count(Kind::Missing),
            Ok(_) if is_write => {
                if is_late {
                    self.count(Kind::WrittenLate);
                }
                if !self.hosts[from].answers_pass {
                    self.count(Kind::WrittenUnanswered);
                }
            }
            _ => {}
        }
        self.answer(from, id, answer);
    }

    /// Somebody may write. Those who watch are told.
    pub(super) fn write<T>(&mut self, writer: Writer, write: impl FnOnce(&mut Register) -> T) -> T {
        self.server.register.others_write(self.rng.u64(..3));
        let before = self.server.register.holder().map(str::to_owned);
        let version = self.server.register.version().map(str::to_owned);
        let outcome = write(&mut self.server.register);
        if self.server.register.version() == version.as_deref() {
            return outcome;
        }
        let holder = self.server.register.holder().map(str::to_owned);
        if before != holder {
            self.note(&format!("server: {before:?} → {holder:?} by {writer:?}"));
        }
        let lost = before.filter(|before| holder.as_ref() != Some(before));
        match writer {
            Writer::Candidate(_) => {}
            Writer::Editor if !self.server.register.looks_given_up() => self.judge.taken_out(lost),
            Writer::Editor | Writer::Usurper => self.judge.dispossessed(lost),
            Writer::Restorer(earlier) => {
                let numbers = [earlier, self.server.register.last_number()];
                self.judge.restored(numbers, lost, holder);
            }
        }
        if let Some(lease) = self.server.register.read() {
            self.tell(&Told::Is(lease));
        }
        outcome
    }
}
