//! What breaks.

use super::common::News;
use super::{Happening, World};
use std::time::Duration;
use tenure::election::{Event, Hold};

impl World {
    pub(super) fn fault(&mut self) {
        if !self.faulty {
            return;
        }
        self.course.outcome.faults += 1;
        let host = self.rng.usize(..self.hosts.len());
        let a_while = Duration::from_millis(self.rng.u64(50..15_000));
        // It begins when all is released, which may be after the last fault: a leader is due all the same.
        let cooldown = a_while / 3;
        let kind = self.rng.u8(..18);
        self.note(&format!("fault {kind} on {host} for {a_while:?}"));
        if !(10..=15).contains(&kind) {
            self.ails(host, a_while);
        }
        match kind {
            0..=2 | 16 | 17 => {
                self.freeze(host, a_while);
            }
            3 => {
                if let Some(lease) = self.hosts[host].candidate.own {
                    self.store.abandon(lease);
                }
                self.hosts[host].candidate.crash();
                self.hosts[host].watching = None;
                self.at(a_while, Happening::To(host, News::Restart));
            }
            4 => {
                self.command(host, Event::Shutdown);
                self.at(a_while, Happening::To(host, News::Restart));
            }
            5 => {
                self.command(host, Event::Resign { cooldown });
            }
            6 => {
                self.command(host, Event::Resign { cooldown });
                if !self.hosts[host].frozen {
                    self.hosts[host].candidate.promises.given.clear();
                }
                self.command(host, Event::ApplicationSaysItStopped);
            }
            7..=9 => {
                let it = &mut self.hosts[host];
                (it.requests_pass, it.answers_pass) =
                    [(false, true), (true, false), (false, false)][usize::from(kind) - 7];
                self.at(a_while, Happening::Heal(host));
            }
            14 => {
                let hold = [Hold::Paused, Hold::Unhealthy][self.rng.usize(..2)];
                self.command(host, Event::Hold(hold));
                self.at(a_while, Happening::To(host, News::Lift));
            }
            15 => {
                self.hosts[host].candidate.guardian.stop_takes = a_while / 4;
            }
            10 => self.store.change_leader(self.store_now()),
            11 => {
                self.store_away = true;
                for host in 0..self.hosts.len() {
                    self.ails(host, a_while);
                }
                self.at(a_while, Happening::StoreBack);
            }
            _ => {
                if let Some(lease) = self.store.tamper(kind == 12) {
                    self.judge.tampered_at.insert(lease, self.course.now);
                    self.tell_watchers();
                }
            }
        }
        let next = Duration::from_millis(self.rng.u64(10..6_000));
        self.at(next, Happening::Fault);
    }

    pub(super) fn mend(&mut self) {
        self.store_away = false;
    }
}
