//! What the worlds have in common: how time passes, and what becomes of hosts. This is a part of each of them, so that nothing
//! stands between; what else a `World` and a `Host` are, each says for itself.

use super::{Happening, Mail, World};
use crate::kind::Kind;
use crate::simulated::outcome::Outcome;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use tenure::election::{Event, Time};

/// What reaches a candidate, once its host is not frozen.
#[derive(Debug)]
pub(super) enum News {
    /// Its clock; the number tells the newest from those before.
    Wake(u64),
    Restart,
    /// Its application asks whether it may act.
    Ask,
    /// What held it back does no more.
    Lift,
    Mail(Mail),
}

/// What is to come, in a time of its own, and what has come of it.
#[derive(Debug, Default)]
pub(super) struct Course {
    pub(super) now: Time,
    agenda: BTreeMap<(Time, u64), Happening>,
    sequence: u64,
    pub(super) outcome: Outcome,
}

/// Long enough for any message that is not held up.
pub(super) const PROMPT: Duration = Duration::from_millis(50);

impl World {
    /// Starts the candidates, and lets it all happen.
    pub(super) fn play(&mut self, end: Time) {
        for host in 0..self.hosts.len() {
            let start = Duration::from_millis(self.rng.u64(..200));
            self.at(start, Happening::To(host, News::Restart));
            self.at(start, Happening::To(host, News::Ask));
        }
        while let Some(((time, _), happening)) = self.course.agenda.pop_first() {
            if time > end || self.course.outcome.crime.is_some() {
                break;
            }
            if !self.closed {
                let passed = time.since(self.course.now);
                self.course.outcome.lasted += passed;
                self.course.outcome.led += passed * u32::from(self.leader().is_some());
            }
            self.course.now = time;
            self.happen(happening);
            self.judge();
        }
    }

    pub(super) fn at(&mut self, after: Duration, happening: Happening) {
        self.course.sequence += 1;
        let key = (self.course.now + after, self.course.sequence);
        self.course.agenda.insert(key, happening);
    }

    pub(super) fn count(&mut self, kind: Kind) {
        *self.course.outcome.counts.entry(kind).or_default() += 1;
    }

    pub(super) fn note(&mut self, what: &str) {
        let millis = self.course.now.as_nanos() / 1_000_000;
        // Writing to a string does not fail.
        let _ = writeln!(self.course.outcome.trace, "{millis:>7} ms  {what}");
    }

    pub(super) fn accuse(&mut self, crime: String) {
        self.note(&crime);
        self.course.outcome.crime.get_or_insert(crime);
    }

    pub(super) fn bring(&mut self, to: usize, news: News) {
        if self.hosts[to].frozen {
            self.hosts[to].missed.push(news);
        } else {
            self.reach(to, news);
        }
    }

    /// Whether it was not before.
    pub(super) fn freeze(&mut self, host: usize, a_while: Duration) -> bool {
        if self.hosts[host].frozen {
            return false;
        }
        self.hosts[host].frozen = true;
        self.at(a_while, Happening::Thaw(host));
        true
    }

    /// It finds all that came meanwhile, in an order of its own choosing where two queues meet: its clock first,
    /// or its mail.
    pub(super) fn thaw(&mut self, host: usize) {
        self.hosts[host].frozen = false;
        let mut missed = std::mem::take(&mut self.hosts[host].missed);
        if self.rng.bool() {
            missed.sort_by_key(|news| !matches!(news, News::Wake(_)));
        }
        for news in missed {
            self.reach(host, news);
            self.judge();
        }
    }

    /// Whether it can be told.
    pub(super) fn command(&mut self, host: usize, event: Event) -> bool {
        if self.hosts[host].frozen || !self.hosts[host].candidate.is_running() {
            return false;
        }
        let now = self.local(host);
        self.hosts[host].stopping |= event == Event::Shutdown;
        self.hosts[host].candidate.take_in(now, event);
        self.after(host);
        true
    }

    /// Routes what a candidate sent, and sets its alarm.
    pub(super) fn after(&mut self, host: usize) {
        for (id, message) in std::mem::take(&mut self.hosts[host].candidate.outbox.sent) {
            self.route(host, id, message);
        }
        let now = self.local(host);
        let it = &mut self.hosts[host];
        it.wakes += 1;
        if let Some(wait) = it.candidate.waits(now) {
            let (wait, wake) = (it.clock.takes_to_count(wait), News::Wake(it.wakes));
            self.at(wait, Happening::To(host, wake));
        }
    }

    pub(super) fn end_faults(&mut self) {
        self.note("faults end");
        self.faulty = false;
        self.mend();
        for host in 0..self.hosts.len() {
            self.heal(host);
            if self.hosts[host].frozen {
                self.thaw(host);
            }
            self.at(PROMPT, Happening::To(host, News::Restart));
            self.at(PROMPT, Happening::To(host, News::Lift));
        }
    }

    /// Everybody is told to shut down, and leaves nothing behind.
    pub(super) fn close(&mut self) {
        self.judge_the_calm();
        self.closed = true;
        for host in 0..self.hosts.len() {
            self.command(host, Event::Shutdown);
        }
    }

    pub(super) fn leader(&self) -> Option<usize> {
        (0..self.hosts.len()).find(|name| {
            let candidate = &self.hosts[*name].candidate;
            candidate.claim(self.local(*name)).is_some()
        })
    }
}
