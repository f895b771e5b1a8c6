//! Inflicts the faults of a schedule, and heals each when its time is over.
//!
//! Faults overlap, but what is struck already isn't struck again in the same way: a process, the links of a
//! sidecar, and a member suffer one fault at a time. Two of three members are away at once only for short.

use super::errand;
use super::record::{Inflicted, Record, Target, name};
use super::schedule::{Fault, Kind, LONGEST_PAUSE, MEMBERS, SIDECARS, Schedule};
use super::stage::Stage;
use crate::support::http::Client;
use crate::support::relay::Mode;
use crate::support::{let_pass, ms};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

/// A second member is frozen or muted at most for so long.
const SHORT: Duration = ms(1_500);
/// A member that was started takes a while to be of use.
const MEMBER_START: Duration = ms(1_500);
/// Promises, and a lease that can't be released: after that, whoever was told to end has ended.
const END_BOUND: Duration = ms(10_000);
const PATIENCE: Duration = ms(500);

pub(crate) struct Nemesis<'a> {
    stage: &'a mut Stage,
    record: Arc<Record>,
    ongoing: Vec<Ongoing>,
    errands: Vec<JoinHandle<()>>,
}

struct Ongoing {
    fault: Fault,
    target: Target,
    since: Time,
    heals_at: Time,
    /// Its end is on record, and only the target isn't ready for the next one.
    is_over: bool,
}

impl Nemesis<'_> {
    /// Inflicts so many faults, or as many as there is time for, and returns when all are healed.
    pub(crate) fn rage(stage: &mut Stage, record: &Arc<Record>, schedule: Schedule, count: usize) {
        let mut nemesis = Nemesis {
            stage,
            record: Arc::clone(record),
            ongoing: Vec::new(),
            errands: Vec::new(),
        };
        let give_up = clock::now() + LONGEST_PAUSE * count as u32 + END_BOUND;
        for fault in schedule {
            nemesis.heal_until(clock::now() + fault.pause);
            if record.lock().inflicted.len() >= count {
                break;
            }
            if clock::now() > give_up {
                record.offence(format!("not {count} faults by the time for them"));
                break;
            }
            nemesis.look_after_the_sidecars();
            if !nemesis.inflict(&fault) {
                record.lock().passed_over += 1;
            }
        }
        while !nemesis.ongoing.is_empty() {
            nemesis.heal_until(clock::now() + ms(50));
        }
        for errand in nemesis.errands {
            errand.join().unwrap();
        }
    }

    fn heal_until(&mut self, time: Time) {
        loop {
            let now = clock::now();
            let (due, ongoing) = self.ongoing.drain(..).partition(|one| one.heals_at <= now);
            self.ongoing = ongoing;
            for one in due {
                self.heal(one);
            }
            let next = self.ongoing.iter().map(|one| one.heals_at).min();
            let next = next.map_or(time, |next| next.min(time));
            if clock::now() >= time {
                return;
            }
            let_pass(next.since(clock::now()));
        }
    }

    /// Nobody ends but by a fault.
    fn look_after_the_sidecars(&mut self) {
        for who in 0..SIDECARS {
            if self.is_free(Target::Process(who)) && !self.stage.sidecars[who].is_running() {
                let status = self.stage.sidecars[who].wait_exit(PATIENCE);
                let what = format!("{} ended by itself: {status}", name(who));
                self.record.offence(what);
                self.stage.sidecars[who].restart();
            }
        }
    }

    fn is_free(&self, target: Target) -> bool {
        self.ongoing.iter().all(|one| one.target != target)
    }

    /// False where nobody was there to be struck.
    fn inflict(&mut self, fault: &Fault) -> bool {
        match fault.kind {
            Kind::Freeze | Kind::Kill | Kind::Term => self.strike_process(fault),
            Kind::Resign => self.resign(fault),
            Kind::LoseAnswers => self.strike_links(fault, Mode::AnswersLost),
            Kind::LoseRequests => self.strike_links(fault, Mode::RequestsLost),
            Kind::Cut => self.strike_links(fault, Mode::Refuse),
            Kind::Silence => self.strike_links(fault, Mode::Silent),
            Kind::Delay => self.strike_links(fault, Mode::Delay(fault.delay)),
            Kind::FreezeMember | Kind::KillMember | Kind::MuteMember => self.strike_member(fault),
            Kind::MoveRaftLeader => {
                let ctls = self.stage.ctls();
                self.send(fault, move |fault, record| {
                    errand::move_raft_leader(&ctls, fault, record)
                })
            }
            Kind::RevokeLease | Kind::DeleteKey => {
                let ctl = self.stage.ctl();
                self.send(fault, move |fault, record| {
                    errand::tamper(&ctl, fault, record)
                })
            }
        }
    }

    fn strike_process(&mut self, fault: &Fault) -> bool {
        let Some(who) = self.victim(fault, Target::Process) else {
            return false;
        };
        self.begin(fault, Target::Process(who), String::new());
        let sidecar = &mut self.stage.sidecars[who];
        match fault.kind {
            Kind::Freeze => sidecar.freeze(),
            Kind::Kill => sidecar.kill(),
            _ => sidecar.term(),
        }
        true
    }

    fn strike_links(&mut self, fault: &Fault, mode: Mode) -> bool {
        let Some(who) = self.victim(fault, Target::Links) else {
            return false;
        };
        let mut detail = fault
            .link
            .map_or("all links".to_owned(), |to| format!("link to member{to}"));
        if let Mode::Delay(delay) = mode {
            detail += &format!(", {delay:?}");
        }
        self.begin(fault, Target::Links(who), detail);
        self.stage.set_links(who, fault.link, mode);
        true
    }

    fn strike_member(&mut self, fault: &Fault) -> bool {
        let member = fault.victim;
        let free = (0..MEMBERS).filter(|member| self.is_free(Target::Member(*member)));
        let is_short = fault.kind != Kind::KillMember && fault.lasts <= SHORT;
        let needed = if is_short { 2 } else { MEMBERS };
        if free.count() < needed || !self.is_free(Target::Member(member)) {
            return false;
        }
        self.begin(fault, Target::Member(member), String::new());
        let cluster = &mut self.stage.cluster;
        match fault.kind {
            Kind::FreezeMember => cluster.members[member].freeze(),
            Kind::MuteMember => cluster.set_peers_of(member, Mode::Silent),
            _ => cluster.members[member].kill(),
        }
        true
    }

    fn resign(&mut self, fault: &Fault) -> bool {
        let Some(who) = self.record.leader() else {
            return false;
        };
        let path = format!("/resign?cooldown={}ms", fault.delay.as_millis());
        let from = clock::now();
        let mut client = Client::new(self.stage.sidecars[who].api, PATIENCE);
        let answer = client.request("POST", &path, &[]);
        if !answer.is_ok_and(|answer| answer.status == 202) {
            return false;
        }
        self.record.lock().inflicted.push(Inflicted {
            number: fault.number,
            kind: fault.kind,
            target: Target::Process(who),
            from,
            until: Some(clock::now()),
            detail: String::new(),
        });
        true
    }

    /// Whoever it is meant for, or the next one that is free.
    fn victim(&self, fault: &Fault, target: fn(usize) -> Target) -> Option<usize> {
        let leader = fault.at_leader.then(|| self.record.leader()).flatten();
        let others = (0..SIDECARS).map(|step| (fault.victim + step) % SIDECARS);
        let mut victims = leader.into_iter().chain(others);
        victims.find(|who| self.is_free(target(*who)))
    }

    fn begin(&mut self, fault: &Fault, target: Target, detail: String) {
        let since = clock::now();
        self.record.lock().inflicted.push(Inflicted {
            number: fault.number,
            kind: fault.kind,
            target,
            from: since,
            until: None,
            detail,
        });
        self.ongoing.push(Ongoing {
            fault: fault.clone(),
            target,
            since,
            heals_at: since + fault.lasts,
            is_over: false,
        });
    }

    fn send(
        &mut self,
        fault: &Fault,
        errand: impl FnOnce(&Fault, &Record) -> bool + Send + 'static,
    ) -> bool {
        let (fault, record) = (fault.clone(), Arc::clone(&self.record));
        self.errands.push(thread::spawn(move || {
            if !errand(&fault, &record) {
                record.lock().passed_over += 1;
            }
        }));
        true
    }

    fn heal(&mut self, one: Ongoing) {
        if one.is_over {
            return;
        }
        match (one.fault.kind, one.target) {
            (Kind::Freeze, Target::Process(who)) => self.stage.sidecars[who].thaw(),
            (Kind::Kill, Target::Process(who)) => self.stage.sidecars[who].restart(),
            (Kind::Term, Target::Process(who)) => return self.start_once_ended(who, one),
            (_, Target::Links(who)) => self.stage.set_links(who, one.fault.link, Mode::Pass),
            (Kind::FreezeMember, Target::Member(member)) => {
                self.stage.cluster.members[member].thaw();
            }
            (Kind::MuteMember, Target::Member(member)) => {
                self.stage.cluster.set_peers_of(member, Mode::Pass);
            }
            (_, Target::Member(member)) => {
                self.stage.cluster.members[member].start();
                self.ongoing.push(Ongoing {
                    fault: one.fault.clone(),
                    heals_at: clock::now() + MEMBER_START,
                    is_over: true,
                    ..one
                });
            }
            _ => {}
        }
        self.record.lock().healed(one.fault.number);
    }

    fn start_once_ended(&mut self, who: usize, one: Ongoing) {
        let sidecar = &mut self.stage.sidecars[who];
        let ending_for = clock::now().since(one.since);
        if sidecar.is_running() && ending_for < END_BOUND {
            let heals_at = clock::now() + ms(50);
            self.ongoing.push(Ongoing { heals_at, ..one });
            return;
        }
        if sidecar.is_running() {
            let what = format!("{} still runs {ending_for:?} after SIGTERM", name(who));
            self.record.offence(what);
        } else {
            let status = sidecar.wait_exit(PATIENCE);
            if status.code() != Some(0) {
                let what = format!("{} ended on SIGTERM with {status}", name(who));
                self.record.offence(what);
            }
        }
        sidecar.restart();
        self.record.lock().healed(one.fault.number);
    }
}
