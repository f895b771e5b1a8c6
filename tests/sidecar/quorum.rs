//! A cluster of three etcd members, one or two of which fail.

use crate::support::etcd::EtcdCluster;
use crate::support::sidecar::{ROLE_BOUND, Sidecar, Spec, wait_for_one_leader};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use serde_json::Value;
use std::time::Duration;

const TTL: Duration = ms(6_000);
const RENEW_DEADLINE: Duration = ms(4_000);

/// An election in the cluster, the sidecars' rejoining and a busy machine.
const RECOVERY_BOUND: Duration = ms(20_000);

#[test]
fn one_leads_again_after_a_member_was_killed_and_after_the_raft_leader_was_frozen() {
    let mut cluster = EtcdCluster::started();
    let sidecars = on_each_member_first(&cluster);
    let sidecars = sidecars.each_ref();
    wait_for_one_leader(&sidecars, ROLE_BOUND);
    let witnesses = Witnesses::of(&sidecars);

    // A follower dies. Two of three are a quorum, and endpoints that are dead are passed over.
    let raft_leader = cluster.raft_leader();
    let victim = (raft_leader + 1) % 3;
    cluster.members[victim].kill();
    let_pass(RENEW_DEADLINE + ms(1_000));
    wait_for_one_leader(&sidecars, RECOVERY_BOUND);
    cluster.members[victim].start();
    cluster.members[victim].wait_until_healthy();

    // The cluster's leader hangs: its connections stay open, and nothing comes from it.
    let raft_leader = cluster.raft_leader();
    cluster.members[raft_leader].freeze();
    // What was led before has either been kept or run out by then.
    let_pass(RENEW_DEADLINE + ms(1_000));
    wait_for_one_leader(&sidecars, RECOVERY_BOUND);
    cluster.members[raft_leader].thaw();
    cluster.members[raft_leader].wait_until_healthy();
    let_pass(RENEW_DEADLINE + ms(1_000));
    wait_for_one_leader(&sidecars, RECOVERY_BOUND);
    all_know_the_leader(&sidecars);

    witnesses.judged().assert_always_alive();
}

#[test]
fn without_a_quorum_nobody_leads_and_with_it_again_somebody_does() {
    let mut cluster = EtcdCluster::started();
    let sidecars = on_each_member_first(&cluster);
    let sidecars = sidecars.each_ref();
    wait_for_one_leader(&sidecars, ROLE_BOUND);
    let witnesses = Witnesses::of(&sidecars);

    // One is dead, and the one that leads the cluster hangs.
    let raft_leader = cluster.raft_leader();
    let victim = (raft_leader + 1) % 3;
    cluster.members[victim].kill();
    cluster.members[raft_leader].freeze();
    eventually(
        "nobody leads without a quorum",
        RENEW_DEADLINE + ms(1_000),
        || {
            sidecars
                .iter()
                .all(|sidecar| !sidecar.leads())
                .then_some(())
        },
    );
    let_pass(TTL);
    assert!(sidecars.iter().all(|sidecar| !sidecar.leads()));

    cluster.members[victim].start();
    cluster.members[raft_leader].thaw();
    wait_for_one_leader(&sidecars, RECOVERY_BOUND);
    all_know_the_leader(&sidecars);

    let history = witnesses.judged();
    history.assert_always_alive();
    assert!(
        history.leaderships().len() >= 2,
        "{:?}",
        history.succession()
    );
}

#[test]
fn a_leader_whose_member_of_etcd_is_in_a_minority_goes_to_another_before_its_deadline() {
    let cluster = EtcdCluster::started();
    let minority = (cluster.raft_leader() + 1) % 3;
    let a = Spec::on_endpoints("a", &cluster.endpoints_from(minority))
        .lease(TTL, RENEW_DEADLINE, ms(500))
        .start_leading();
    let b = Spec::on_endpoints("b", &cluster.endpoints_from(minority))
        .lease(TTL, RENEW_DEADLINE, ms(500))
        .start_following();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a, &b]);

    cluster.cut_off(minority);
    let member = cluster.members[minority].ctl();
    eventually("the member knows of no leader", ms(10_000), || {
        member
            .raft_ids()
            .is_none_or(|(_, leader)| leader == 0)
            .then_some(())
    });
    let_pass(RENEW_DEADLINE + ms(1_000));
    assert_eq!(a.wait_leading(ms(1_000)), token);
    cluster.heal();
    eventually("the member knows of a leader again", ms(10_000), || {
        member.raft_ids().filter(|(_, leader)| *leader != 0)
    });
    let_pass(RENEW_DEADLINE + ms(1_000));
    assert_eq!(a.wait_leading(ms(1_000)), token);

    let history = witnesses.judged();
    history.assert_always_alive();
    assert_eq!(history.succession(), ["a"]);
}

#[test]
fn one_leads_again_after_the_raft_leader_was_cut_off_from_the_other_members() {
    let cluster = EtcdCluster::started();
    let sidecars = on_each_member_first(&cluster);
    let sidecars = sidecars.each_ref();
    wait_for_one_leader(&sidecars, ROLE_BOUND);
    let witnesses = Witnesses::of(&sidecars);

    let deposed = cluster.raft_leader();
    cluster.cut_off(deposed);
    let member = cluster.members[deposed].ctl();
    eventually("the member leads the others no more", ms(10_000), || {
        (!member.is_raft_leader()).then_some(())
    });
    let_pass(RENEW_DEADLINE + ms(1_000));
    wait_for_one_leader(&sidecars, RECOVERY_BOUND);
    all_know_the_leader(&sidecars);
    cluster.heal();
    let_pass(RENEW_DEADLINE + ms(1_000));
    wait_for_one_leader(&sidecars, RECOVERY_BOUND);
    all_know_the_leader(&sidecars);

    witnesses.judged().assert_always_alive();
}

/// Each of three candidates knows all members, and tries another one first.
#[track_caller]
fn on_each_member_first(cluster: &EtcdCluster) -> [Sidecar; 3] {
    let id = ["a", "b", "c"];
    [0, 1, 2].map(|i| {
        Spec::on_endpoints(id[i], &cluster.endpoints_from(i))
            .lease(TTL, RENEW_DEADLINE, ms(500))
            .start()
    })
}

#[track_caller]
fn all_know_the_leader(sidecars: &[&Sidecar; 3]) {
    eventually("all know the same leader", RECOVERY_BOUND, || {
        let leaders: Vec<Value> = sidecars
            .iter()
            .filter_map(|sidecar| Some(sidecar.probe_leader()?["leader"]["id"].clone()))
            .collect();
        let agreed = leaders.iter().all(|id| id.is_string() && *id == leaders[0]);
        (leaders.len() == sidecars.len() && agreed).then_some(())
    });
}
