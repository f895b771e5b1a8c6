//! What was done and what was seen, as it happens.
//!
//! Of all claims with one token only the earliest and latest times are kept: the judge needs no more.

use super::schedule::{Kind, SIDECARS};
use crate::support::ms;
use crate::support::witness::Claim;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

/// Whoever claimed so lately is taken for the leader.
const LATELY: Duration = ms(150);

/// Written by many threads.
pub(crate) struct Record {
    history: Mutex<History>,
}

#[derive(Default)]
pub(crate) struct History {
    pub(crate) began: Time,
    pub(crate) ended: Time,
    pub(crate) leaderships: BTreeMap<u64, Leadership>,
    pub(crate) periods: Vec<Period>,
    pub(crate) inflicted: Vec<Inflicted>,
    pub(crate) tamperings: Vec<Tampering>,
    /// Faults of the schedule that found nobody to strike.
    pub(crate) passed_over: usize,
    pub(crate) answers: u64,
    pub(crate) scrapes: u64,
    pub(crate) promises: u64,
    /// What is wrong whatever the judge says.
    pub(crate) offences: Vec<(Time, String)>,
    /// By sidecar: the period that goes on.
    open: [Option<usize>; SIDECARS],
}

/// All claims with one token, by whatever interface.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    pub(crate) who: usize,
    pub(crate) token: u64,
    pub(crate) claims: u64,
    pub(crate) first_asked: Time,
    /// The earliest answer.
    pub(crate) first_answered: Time,
    /// The latest question.
    pub(crate) last_asked: Time,
    pub(crate) last_answered: Time,
    /// Until when an application was promised that nobody else leads.
    pub(crate) promised_until: Option<Time>,
}

/// A time in which every answer on `probes` claimed the same.
#[derive(Clone, Debug)]
pub(crate) struct Period {
    pub(crate) who: usize,
    pub(crate) token: u64,
    pub(crate) from: Time,
    pub(crate) until: Time,
    pub(crate) answers: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Process(usize),
    Links(usize),
    Member(usize),
    Cluster,
}

/// A fault that has come true.
#[derive(Clone, Debug)]
pub(crate) struct Inflicted {
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) from: Time,
    /// None while it lasts.
    pub(crate) until: Option<Time>,
    pub(crate) detail: String,
}

/// A leader's key or lease was taken away behind its back.
#[derive(Clone, Debug)]
pub(crate) struct Tampering {
    pub(crate) token: u64,
    pub(crate) tried_at: Time,
    pub(crate) done_at: Time,
    /// False where etcd didn't answer in time: it may happen yet, or never.
    pub(crate) is_certain: bool,
}

impl Record {
    pub(crate) fn new() -> Record {
        let history = History {
            began: clock::now(),
            ..History::default()
        };
        Record {
            history: Mutex::new(history),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }

    pub(crate) fn into_history(self) -> History {
        self.history.into_inner().unwrap()
    }

    pub(crate) fn offence(&self, what: String) {
        self.lock().offences.push((clock::now(), what));
    }

    /// Whoever leads now.
    pub(crate) fn leader(&self) -> Option<usize> {
        let history = self.lock();
        let (_, leadership) = history.leaderships.last_key_value()?;
        let age = clock::now().since(leadership.last_answered);
        (age < LATELY).then_some(leadership.who)
    }
}

impl History {
    /// What was answered on `probes`.
    pub(crate) fn probed(&mut self, who: usize, claim: Option<&Claim>) {
        self.answers += 1;
        let Some(claim) = claim else {
            self.open[who] = None;
            return;
        };
        self.claimed(claim);
        if let Some(open) = self.open[who]
            && self.periods[open].token == claim.token
        {
            self.periods[open].until = claim.answered_at;
            self.periods[open].answers += 1;
            return;
        }
        self.open[who] = Some(self.periods.len());
        self.periods.push(Period {
            who,
            token: claim.token,
            from: claim.asked_at,
            until: claim.answered_at,
            answers: 1,
        });
    }

    /// Nothing was answered.
    pub(crate) fn unanswered(&mut self, who: usize) {
        self.open[who] = None;
    }

    pub(crate) fn claimed(&mut self, claim: &Claim) {
        let known = self.leaderships.entry(claim.token);
        let leadership = known.or_insert_with(|| Leadership {
            who: claim.who,
            token: claim.token,
            claims: 0,
            first_asked: claim.asked_at,
            first_answered: claim.answered_at,
            last_asked: claim.asked_at,
            last_answered: claim.answered_at,
            promised_until: None,
        });
        leadership.claims += 1;
        leadership.first_asked = leadership.first_asked.min(claim.asked_at);
        leadership.first_answered = leadership.first_answered.min(claim.answered_at);
        leadership.last_asked = leadership.last_asked.max(claim.asked_at);
        leadership.last_answered = leadership.last_answered.max(claim.answered_at);
        if leadership.who != claim.who {
            let (one, other) = (name(leadership.who), name(claim.who));
            let what = format!("token {} is claimed by {one} and by {other}", claim.token);
            self.offences.push((claim.answered_at, what));
        }
    }

    /// An application was told that it may act for so long. It counts that from its question.
    pub(crate) fn promised(&mut self, claim: &Claim, valid_for: Duration) {
        self.claimed(claim);
        self.promises += 1;
        let until = claim.asked_at + valid_for;
        if let Some(leadership) = self.leaderships.get_mut(&claim.token) {
            leadership.promised_until = leadership.promised_until.max(Some(until));
        }
    }

    /// Ends a fault.
    pub(crate) fn healed(&mut self, number: usize) {
        let mut inflicted = self.inflicted.iter_mut();
        if let Some(fault) = inflicted.find(|fault| fault.number == number) {
            fault.until = Some(clock::now());
        }
    }

    /// In seconds since the beginning.
    pub(crate) fn seconds(&self, time: Time) -> f64 {
        time.since(self.began).as_secs_f64()
    }
}

/// What a sidecar is called.
pub(crate) fn name(who: usize) -> char {
    char::from(b'a' + who as u8)
}
