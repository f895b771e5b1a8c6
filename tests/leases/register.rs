//! A Lease as an API server keeps it: every write has a version of its own, and is conditional on the one before. And
//! what people can do to it.

use crate::error::Failure;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use std::collections::BTreeMap;

/// The Lease of the election, if there is one, in a cluster that writes other things too.
#[derive(Debug, Default)]
pub(crate) struct Register {
    version: u64,
    object: Option<Lease>,
    uids: u64,
    /// All that it ever was, but for what is undone.
    past: Vec<Moment>,
    /// Which write came when, by version.
    order: BTreeMap<u64, u64>,
    /// How often the cluster was set back.
    histories: u64,
}

#[derive(Clone, Debug)]
struct Moment {
    version: u64,
    object: Option<Lease>,
}

/// Two histories of a cluster give no object the same version: of the many writes to a cluster, few are to one object.
const HISTORIES: u64 = 1_000;

impl Register {
    pub(crate) fn read(&self) -> Option<Lease> {
        self.object.clone()
    }

    pub(crate) fn create(&mut self, mut lease: Lease) -> Result<Lease, Failure> {
        if self.object.is_some() {
            return Err(Failure::Conflict);
        }
        self.uids += 1;
        lease.metadata.uid = Some(self.uids.to_string());
        Ok(self.write(lease))
    }

    pub(crate) fn replace(&mut self, lease: Lease) -> Result<Lease, Failure> {
        let Some(object) = &self.object else {
            return Err(Failure::Missing);
        };
        let (is, should) = (&object.metadata, &lease.metadata);
        if is.resource_version != should.resource_version || is.uid != should.uid {
            return Err(Failure::Conflict);
        }
        Ok(self.write(lease))
    }

    /// Every change has another.
    pub(crate) fn version(&self) -> Option<&str> {
        let object = self.object.as_ref()?;
        object.metadata.resource_version.as_deref()
    }

    pub(crate) fn holder(&self) -> Option<&str> {
        let identity = self
            .object
            .as_ref()?
            .spec
            .as_ref()?
            .holder_identity
            .as_deref();
        identity.filter(|identity| !identity.is_empty())
    }

    /// Whether it looks as if the last holder had given it up.
    pub(crate) fn looks_given_up(&self) -> bool {
        let spec = self.object.as_ref().and_then(|lease| lease.spec.as_ref());
        spec.is_some_and(|spec| {
            spec.lease_duration_seconds == Some(1) && spec.acquire_time == spec.renew_time
        }) && self.holder().is_none()
    }

    /// Other objects are written.
    pub(crate) fn others_write(&mut self, times: u64) {
        self.version += times * HISTORIES;
    }

    /// By hand, whatever it is now. Whether there is anything to edit.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Lease, &mut LeaseSpec)) -> bool {
        let Some(mut lease) = self.object.clone() else {
            return false;
        };
        let mut spec = lease.spec.take().unwrap_or_default();
        edit(&mut lease, &mut spec);
        lease.spec = Some(spec);
        self.write(lease);
        true
    }

    /// What a watch tells of it: what it was.
    pub(crate) fn delete(&mut self) -> Option<Lease> {
        let lease = self.object.take()?;
        self.version += HISTORIES;
        self.number();
        self.remember();
        Some(self.stamped(lease))
    }

    /// The number of the write that made this version, and of the last one.
    pub(crate) fn number_of(&self, version: u64) -> u64 {
        self.order.get(&version).copied().unwrap_or(0)
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.order.len() as u64
    }

    /// The number of the write that the past moment was made by.
    pub(crate) fn number_at(&self, moment: usize) -> u64 {
        self.number_of(self.past[moment].version)
    }

    /// How much of the past there is.
    pub(crate) fn moments(&self) -> usize {
        self.past.len()
    }

    /// Somebody restores the object from a backup: over the one that is there, or anew. Whether there was one then.
    pub(crate) fn restore_object(&mut self, moment: usize) -> bool {
        let Some(mut lease) = self.past[moment].object.clone() else {
            return false;
        };
        match &self.object {
            Some(object) => lease.metadata.uid = object.metadata.uid.clone(),
            None => {
                self.uids += 1;
                lease.metadata.uid = Some(self.uids.to_string());
            }
        }
        self.write(lease);
        true
    }

    /// Somebody restores the cluster's etcd from a backup: versions go back with all there is, and nobody restores what is undone.
    pub(crate) fn restore_cluster(&mut self, moment: usize) {
        let Moment { version, object } = self.past[moment].clone();
        self.past.truncate(moment + 1);
        self.histories += 1;
        self.version = version - version % HISTORIES + self.histories;
        self.number();
        self.object = object.map(|lease| self.stamped(lease));
    }

    fn write(&mut self, lease: Lease) -> Lease {
        self.version += HISTORIES;
        self.number();
        let lease = self.stamped(lease);
        self.object = Some(lease.clone());
        self.remember();
        lease
    }

    fn stamped(&self, mut lease: Lease) -> Lease {
        lease.metadata.resource_version = Some(self.version.to_string());
        lease
    }

    fn number(&mut self) {
        self.order.insert(self.version, self.last_number() + 1);
    }

    fn remember(&mut self) {
        self.past.push(Moment {
            version: self.version,
            object: self.object.clone(),
        });
    }
}
