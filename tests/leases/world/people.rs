//! What people do to the Lease, and to the cluster that it is in.

use super::foreign::micro_time;
use super::server::Writer;
use super::{BEGINNING, Happening, LONGEST, World};
use crate::kind::Kind;
use crate::register::Register;
use crate::session::Told;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use std::time::{Duration, SystemTime};

impl World {
    pub(super) fn lay_hands_on_the_lease(&mut self, kind: Kind, a_while: Duration) -> bool {
        let is_there = self.server.register.read().is_some();
        let ttl = self.climate.timing.ttl();
        let chance = self.rng.u64(..);
        match kind {
            Kind::Deleted => {
                if let Some(lease) = self.write(Writer::Usurper, Register::delete) {
                    self.tell(&Told::Deleted(lease));
                }
            }
            // It stays known whose it was.
            Kind::HolderEmptied => {
                self.edit(|spec| spec.holder_identity = Some(String::new()));
            }
            Kind::RenewTimeEdited => {
                let time = micro_time(SystemTime::UNIX_EPOCH + BEGINNING + a_while * 100);
                self.edit(|spec| spec.renew_time = (!chance.is_multiple_of(3)).then_some(time));
            }
            Kind::DurationEdited => {
                let seconds = [1, ttl.as_secs(), ttl.as_secs() * u64::from(LONGEST)];
                let seconds = i32::try_from(seconds[(chance % 3) as usize]).ok();
                self.edit(|spec| spec.lease_duration_seconds = seconds);
            }
            Kind::Labelled => {
                let label = [("at".to_owned(), self.course.now.as_nanos().to_string())];
                self.write(Writer::Editor, |register| {
                    register.edit(|lease, _| lease.metadata.labels = Some(label.into()))
                });
            }
            Kind::Assigned => {
                let preferred = (!chance.is_multiple_of(2)).then(|| "somebody".to_owned());
                self.edit(|spec| {
                    spec.strategy = Some("OldestEmulationVersion".to_owned());
                    spec.preferred_holder = preferred;
                });
                self.at(a_while, Happening::Unassign);
            }
            Kind::LeaseRestored => {
                let moment = self.rng.usize(..self.server.register.moments().max(1));
                if self.server.register.moments() == 0 {
                    return false;
                }
                let writer = Writer::Restorer(self.server.register.number_at(moment));
                return self.write(writer, |register| register.restore_object(moment));
            }
            Kind::ClusterRestored => return self.restore_cluster(),
            _ => return false,
        }
        is_there
    }

    /// The API server starts anew with what there was once; nothing that is under way arrives.
    fn restore_cluster(&mut self) -> bool {
        let moments = self.server.register.moments();
        if moments == 0 {
            return false;
        }
        let moment = self.rng.usize(..moments);
        self.judge.versions_were_set_back();
        self.server.epoch += 1;
        for host in 0..self.hosts.len() {
            self.tell_one(host, Told::Ended);
            self.hosts[host].watch = None;
        }
        let writer = Writer::Restorer(self.server.register.number_at(moment));
        self.write(writer, |register| register.restore_cluster(moment));
        true
    }

    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut LeaseSpec)) {
        self.write(Writer::Editor, |register| {
            register.edit(|_, spec| edit(spec))
        });
    }
}
