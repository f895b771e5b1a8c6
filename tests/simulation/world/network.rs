//! Messages between the candidates and the store: they get lost, are held up, come twice, or arrive soon.

use super::common::{News, PROMPT};
use super::{Happening, Mail, World};
use crate::candidate::{Answer, Message, Request};
use std::time::Duration;
use tenure::election::{Standing, Time};

impl World {
    /// Sends a request off: it arrives soon, late, twice, or never.
    pub(super) fn route(&mut self, from: usize, id: u64, message: Message) {
        let passes = self.hosts[from].requests_pass;
        let arrive = || Happening::Arrive { from, id, message };
        if !passes && self.rng.bool() {
            return;
        }
        let delay = self.delay(from);
        let delay = if passes {
            delay
        } else {
            // The kernel goes on trying, after the process has given up.
            let held_up = Duration::from_millis(self.rng.u64(500..20_000));
            held_up.min(self.faults_last() + delay)
        };
        if self.faulty && self.rng.u8(..) < 3 {
            let again = delay + Duration::from_millis(self.rng.u64(1..5_000));
            self.at(again.min(self.faults_last() + delay), arrive());
        }
        self.at(delay, arrive());
    }

    /// For how long faults go on: what they hold up arrives soon after.
    fn faults_last(&self) -> Duration {
        (Time::ORIGIN + self.climate.faulty).since(self.course.now)
    }

    /// Of a message from or to this host.
    fn delay(&mut self, host: usize) -> Duration {
        let slow = self.faulty && self.rng.u8(..) < 8;
        let micros = if slow { 1_500_000 } else { 2_000 };
        let delay = Duration::from_micros(self.rng.u64(100..micros));
        if slow {
            self.ails(host, delay);
        }
        delay
    }

    /// Something holds up what this host is told, for so long.
    pub(super) fn ails(&mut self, host: usize, lasts: Duration) {
        let sound_again = self.course.now + lasts + PROMPT;
        let since = &mut self.hosts[host].sound_since;
        *since = (*since).max(sound_again);
    }

    pub(super) fn arrive(&mut self, from: usize, id: u64, message: Message) {
        if self.store_away {
            return;
        }
        let now = self.store_now();
        let by_old = self.rng.bool();
        let ttl = self.climate.granted;
        let revision = self.store.observation(None).revision;
        let Message {
            generation,
            request,
        } = message;
        let answer = match request {
            Request::Grant(lease) => {
                self.store.grant(now, lease, ttl);
                self.judge.owners.insert(lease, from);
                Answer::Granted(ttl)
            }
            Request::Enter(lease) => Answer::Entered(self.store.enter(lease)),
            Request::KeepAlive(lease) => Answer::Renewed(self.store.keep_alive(now, lease, by_old)),
            Request::Verify(lease) => {
                let standing = self.store.standing(lease);
                if let Standing::First(_) = standing {
                    self.judge.verified.insert(lease);
                }
                Answer::Standing(standing)
            }
            Request::Revoke(lease) => {
                self.store.revoke(lease);
                Answer::Revoked
            }
            Request::Observe => {
                let host = &mut self.hosts[from];
                // One that comes late is of a connection that nobody listens to.
                host.watching = host.watching.max(Some(generation));
                Answer::Sight(self.store.observation(host.candidate.own))
            }
        };
        self.note(&format!("store: {request:?} → {answer:?}"));
        let is_sight = matches!(answer, Answer::Sight(_));
        let mail = Mail {
            generation,
            id,
            answer,
        };
        self.send_back(from, is_sight, mail);
        if self.store.observation(None).revision != revision {
            self.tell_watchers();
        }
    }

    pub(super) fn tell_watchers(&mut self) {
        for to in 0..self.hosts.len() {
            let Some(generation) = self.hosts[to].watching else {
                continue;
            };
            let own = self.hosts[to].candidate.own;
            let mail = Mail {
                generation,
                id: 0,
                answer: Answer::Sight(self.store.observation(own)),
            };
            self.send_back(to, true, mail);
        }
    }

    /// Answers get lost; what a watch says comes late at worst, and in order.
    fn send_back(&mut self, to: usize, in_order: bool, mail: Mail) {
        let delay = self.delay(to);
        if !self.hosts[to].answers_pass {
            if in_order {
                self.hosts[to].stuck.push(mail);
            }
            return;
        }
        let mut time = self.course.now + delay;
        if in_order {
            time = time.max(self.hosts[to].last_sight + Duration::from_nanos(1));
            self.hosts[to].last_sight = time;
        }
        let after = time.since(self.course.now);
        self.at(after, Happening::To(to, News::Mail(mail)));
    }

    pub(super) fn heal(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        (it.requests_pass, it.answers_pass) = (true, true);
        for mail in std::mem::take(&mut it.stuck) {
            self.send_back(host, true, mail);
        }
    }
}
