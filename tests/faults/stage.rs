//! Where it happens: three members of etcd, five sidecars, and a relay on every way between them.

use super::record::name;
use super::schedule::{MEMBERS, SIDECARS};
use crate::support::etcd::{Etcd, EtcdCluster};
use crate::support::etcdctl::Etcdctl;
use crate::support::ms;
use crate::support::relay::{Mode, Relay};
use crate::support::sidecar::{Sidecar, Spec};
use std::time::Duration;

pub(crate) const TTL: Duration = ms(3_000);
const RENEW_DEADLINE: Duration = ms(2_000);
const RETRY_PERIOD: Duration = ms(400);

// Dropped in this order: the sidecars first.
pub(crate) struct Stage {
    pub(crate) sidecars: Vec<Sidecar>,
    /// By sidecar, then by member.
    links: Vec<Vec<Relay>>,
    pub(crate) cluster: EtcdCluster,
}

impl Stage {
    pub(crate) fn set() -> Stage {
        let cluster = EtcdCluster::started();
        let relays = || {
            cluster
                .members
                .iter()
                .map(|member| Relay::to(member.port()))
        };
        let links: Vec<Vec<Relay>> = (0..SIDECARS).map(|_| relays().collect()).collect();
        let sidecars = links.iter().enumerate().map(|(who, links)| {
            // Each tries another member first.
            let endpoints = links
                .iter()
                .map(Relay::endpoint)
                .cycle()
                .skip(who % MEMBERS);
            let endpoints: Vec<String> = endpoints.take(MEMBERS).collect();
            Spec::on_endpoints(&name(who).to_string(), &endpoints)
                .lease(TTL, RENEW_DEADLINE, RETRY_PERIOD)
                .start()
        });
        Stage {
            sidecars: sidecars.collect(),
            links,
            cluster,
        }
    }

    /// The links of a sidecar to one member, or to all.
    pub(crate) fn set_links(&self, who: usize, member: Option<usize>, mode: Mode) {
        for (to, link) in self.links[who].iter().enumerate() {
            if member.is_none_or(|member| member == to) {
                link.set(mode);
            }
        }
    }

    /// On all members.
    pub(crate) fn ctl(&self) -> Etcdctl {
        Etcdctl::new(&self.cluster.endpoints_from(0))
    }

    /// One for each member.
    pub(crate) fn ctls(&self) -> Vec<Etcdctl> {
        self.cluster.members.iter().map(Etcd::ctl).collect()
    }
}
