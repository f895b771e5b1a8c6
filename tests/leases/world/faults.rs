//! What breaks: candidates, their hosts, their way to the API, and the API server.

use super::common::News;
use super::{BEGINNING, Happening, World};
use crate::kind::{FAULTS, Kind};
use crate::session::Told;
use std::time::Duration;
use tenure::election::{Event, Hold};

impl World {
    pub(super) fn fault(&mut self) {
        if !self.faulty {
            return;
        }
        let next = Duration::from_millis(self.rng.u64(10..4_000));
        self.at(next, Happening::Fault);
        let host = self.rng.usize(..self.hosts.len());
        let a_while = Duration::from_millis(self.rng.u64(50..15_000));
        let kind = FAULTS[self.rng.usize(..FAULTS.len())];
        self.note(&format!("fault {kind:?} on {host} for {a_while:?}"));
        if self.bring_about(kind, host, a_while) {
            self.count(kind);
            self.course.outcome.faults += 1;
        }
    }

    /// Whether it could be.
    fn bring_about(&mut self, kind: Kind, host: usize, a_while: Duration) -> bool {
        match kind {
            Kind::Freeze => return self.freeze(host, a_while),
            Kind::Crash => {
                let it = &mut self.hosts[host];
                it.candidate.crash();
                it.watch = None;
                self.at(a_while, Happening::To(host, News::Restart));
            }
            Kind::Shutdown => {
                self.at(a_while, Happening::To(host, News::Restart));
                return self.command(host, Event::Shutdown);
            }
            Kind::Resign => {
                let cooldown = a_while / 3;
                return self.command(host, Event::Resign { cooldown });
            }
            Kind::Pause => {
                self.at(a_while, Happening::To(host, News::Lift));
                return self.command(host, Event::Hold(Hold::Paused));
            }
            Kind::RequestsCut | Kind::AnswersCut | Kind::BothCut => {
                let it = &mut self.hosts[host];
                it.requests_pass = kind == Kind::AnswersCut;
                it.answers_pass = kind == Kind::RequestsCut;
                self.at(a_while, Happening::Heal(host));
            }
            Kind::DateSet => {
                let date = BEGINNING + a_while * 1_000;
                self.hosts[host].date = date;
            }
            Kind::WatchEnds => self.tell_one(host, Told::Ended),
            Kind::WatchSilent | Kind::WatchLags => {
                let Some(stream) = &mut self.hosts[host].watch else {
                    return false;
                };
                stream.is_silent |= kind == Kind::WatchSilent;
                stream.lags = a_while / 4;
            }
            Kind::ServerAway => {
                self.server.is_away = true;
                self.at(a_while, Happening::ServerBack);
            }
            Kind::ServerBusy => {
                self.server.is_busy = true;
                self.at(a_while, Happening::ServerBack);
            }
            Kind::ForeignFreeze => {
                for foreign in &mut self.foreign {
                    foreign.is_frozen = !foreign.is_frozen;
                }
            }
            _ => return !self.server.is_away && self.lay_hands_on_the_lease(kind, a_while),
        }
        true
    }

    pub(super) fn mend(&mut self) {
        (self.server.is_away, self.server.is_busy) = (false, false);
        self.happen(Happening::Unassign);
    }
}
