//! Messages between the candidates and the API server: they get lost, are held up, or arrive soon; and watches lag, or say
//! nothing any more.

use super::common::News;
use super::{Happening, Mail, World};
use crate::error::Failure;
use crate::session::{Message, Said, Told};
use k8s_openapi::api::coordination::v1::Lease;
use std::time::Duration;
use tenure::election::Time;

/// A watch, as the API has it.
#[derive(Debug)]
pub(super) struct Stream {
    id: u64,
    pub(super) is_silent: bool,
    pub(super) lags: Duration,
    /// When what was said last arrives.
    last: Time,
}

impl World {
    /// A request gets lost, is held up, or arrives soon.
    pub(super) fn route(&mut self, from: usize, id: u64, message: Message) {
        let passes = self.hosts[from].requests_pass;
        if !passes && self.rng.bool() {
            return;
        }
        let mut delay = self.delay();
        if !passes {
            // The kernel goes on trying, after the process has given up.
            let held_up = Duration::from_millis(self.rng.u64(500..20_000));
            let faults_last = (Time::ORIGIN + self.climate.faulty).since(self.course.now);
            delay = held_up.min(faults_last + delay);
        }
        let arrive = Happening::Arrive {
            from,
            epoch: self.server.epoch,
            id,
            message,
            is_late: delay > self.climate.timing.retry_period(),
        };
        self.at(delay, arrive);
    }

    pub(super) fn delay(&mut self) -> Duration {
        let slow = self.faulty && self.rng.u8(..) < 8;
        let micros = if slow { 1_500_000 } else { 2_000 };
        Duration::from_micros(self.rng.u64(100..micros))
    }

    pub(super) fn answer(&mut self, to: usize, id: u64, answer: Result<Option<Lease>, Failure>) {
        if self.hosts[to].answers_pass {
            let delay = self.delay();
            self.deliver(delay, to, id, Said::Answer(answer));
        }
    }

    fn deliver(&mut self, after: Duration, to: usize, id: u64, said: Said) {
        let mail = Mail {
            epoch: self.server.epoch,
            id,
            said: Box::new(said),
        };
        self.at(after, Happening::To(to, News::Mail(mail)));
    }

    pub(super) fn watch(&mut self, to: usize, id: u64) {
        self.hosts[to].watch = Some(Stream {
            id,
            is_silent: false,
            lags: Duration::ZERO,
            last: self.course.now,
        });
        self.tell_one(to, Told::Opened);
        if let Some(lease) = self.server.register.read() {
            self.tell_one(to, Told::Is(lease));
        }
    }

    pub(super) fn tell(&mut self, told: &Told) {
        for to in 0..self.hosts.len() {
            self.tell_one(to, told.clone());
        }
    }

    /// What a watch says comes late at worst, and in order; or nothing comes any more.
    pub(super) fn tell_one(&mut self, to: usize, told: Told) {
        let delay = self.delay();
        let now = self.course.now;
        let host = &mut self.hosts[to];
        let Some(stream) = &mut host.watch else {
            return;
        };
        stream.is_silent |= !host.answers_pass;
        if stream.is_silent {
            return;
        }
        stream.last = (now + delay + stream.lags).max(stream.last + Duration::from_nanos(1));
        let (id, after) = (stream.id, stream.last.since(now));
        self.deliver(after, to, id, Said::Told(told));
    }

    pub(super) fn heal(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        (it.requests_pass, it.answers_pass) = (true, true);
    }
}
