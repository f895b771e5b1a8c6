//! The sentences of the contract, for any store.

use crate::peer::{Peer, draw_lease_id};
use std::time::Duration;
use tenure::clock;
use tenure::election::{Action, Candidate, Event, LeaseId, Standing, Timing};
use tenure::store::Session;

/// A store to test, and an election in it that nobody else takes part in.
pub(crate) trait Bench: Sized {
    /// Whether those who wait have places too, in the order in which they joined. Otherwise only the first has one that
    /// is written down; the others learn their tokens when they have become it.
    const QUEUES: bool = true;

    /// Finds or starts the store.
    async fn set_up() -> Self;

    /// As short as the store can do it: [`timing`] of its shortest ttl.
    fn timing(&self) -> Timing;

    /// Another candidate in the election.
    fn session(&self, candidate: &Candidate) -> Box<dyn Session>;

    /// What a restart of every sidecar does, after all sessions were dropped.
    async fn restart(&mut self);
}

/// The budget of a lease of this ttl.
pub(crate) fn timing(ttl: Duration) -> Timing {
    Timing::new(ttl, ttl * 2 / 3, ttl / 4).unwrap()
}

/// How late the end of a lease may be noticed, on a busy machine and by a store that looks once in a while.
const SLACK: Duration = Duration::from_secs(5);

/// How long anything may take before it counts as never.
pub(crate) const NEVER: Duration = Duration::from_secs(60);

/// Makes a test of each sentence, for one kind of [`Bench`].
#[macro_export]
macro_rules! contract_suite {
    ($store:ident, $bench:ty) => {
        mod $store {
            $crate::contract_suite!(@ $bench:
                the_first_to_join_is_seen_first_and_verified_first,
                the_second_is_behind_and_becomes_first_with_a_greater_token_on_release,
                tokens_go_on_rising_when_everybody_is_started_again,
                tokens_go_on_rising_when_everybody_has_left,
                a_lease_that_nobody_renews_goes_away_after_its_ttl_and_not_before,
                a_lease_that_is_renewed_outlives_its_ttl,
                a_keepalive_on_a_released_lease_says_that_it_is_gone,
                a_keepalive_on_an_expired_lease_says_that_it_is_gone,
                a_keepalive_says_when_it_was_sent,
                a_place_that_was_released_is_verified_as_gone,
                a_place_that_expired_is_verified_as_gone,
                the_end_of_the_own_lease_is_seen_without_asking,
                a_change_of_the_head_is_seen_without_asking,
                an_observer_without_a_place_sees_who_leads,
                releasing_again_is_released_again,
                releasing_what_never_was_is_released,
                a_candidate_that_left_joins_again_with_another_lease_at_the_end,
                one_that_leaves_from_the_middle_disturbs_nobody,
                observations_come_in_order_of_revision,
                the_id_and_the_address_of_the_holder_are_seen_by_others,
                a_lease_says_its_ttl_and_when_it_was_asked_for,
                a_dropped_session_leaves_its_place_until_the_ttl_is_over,
                dropping_the_wait_for_what_happens_next_loses_nothing,
            );
        }
    };
    (@ $bench:ty: $($sentence:ident,)+) => {
        $(
            #[test]
            fn $sentence() {
                $crate::suite::run(async {
                    let bench = <$bench as $crate::suite::Bench>::set_up().await;
                    $crate::suite::$sentence(bench).await;
                });
            }
        )+
    };
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

pub(crate) async fn the_first_to_join_is_seen_first_and_verified_first(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    let lease = a.join().await;
    let seen = a.see_first(lease.id).await;
    assert!(seen.present);
    assert!(seen.revision >= lease.token);
    assert_eq!(seen.holder.unwrap().token, lease.token);
    a.verify_first(&lease).await;
}

pub(crate) async fn the_second_is_behind_and_becomes_first_with_a_greater_token_on_release(
    bench: impl Bench,
) {
    let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
    let first = a.join().await;
    let second = b.join().await;
    if b.queues {
        assert!(second.token > first.token);
    }
    b.see(|seen| seen.is_first(first.id) && seen.present).await;
    assert_eq!(b.verify(second.id).await, Standing::Behind);
    a.verify_first(&first).await;

    a.release(first.id).await;
    b.see_first(second.id).await;
    assert!(b.verify_first(&second).await > first.token);
}

pub(crate) async fn tokens_go_on_rising_when_everybody_is_started_again(mut bench: impl Bench) {
    let mut last = 0;
    for _ in 0..3 {
        let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
        let leases = [a.join().await, b.join().await];
        if !a.queues {
            // Those that have gone without a word are waited for.
            a.stay_until(&leases[0], clock::now() + leases[0].ttl).await;
            a.see_first(leases[0].id).await;
            let token = a.verify_first(&leases[0]).await;
            assert!(token > last);
            last = token;
        }
        for lease in leases.iter().filter(|_| a.queues) {
            assert!(lease.token > last);
            last = lease.token;
        }
        drop((a, b));
        bench.restart().await;
    }
}

pub(crate) async fn tokens_go_on_rising_when_everybody_has_left(bench: impl Bench) {
    let mut last = 0;
    for _ in 0..3 {
        let mut a = Peer::new(&bench, "a");
        let lease = a.join().await;
        assert!(lease.token > last);
        last = lease.token;
        a.release(lease.id).await;
    }
}

pub(crate) async fn a_lease_that_nobody_renews_goes_away_after_its_ttl_and_not_before(
    bench: impl Bench,
) {
    let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
    let dead = a.join().await;
    let lease = b.join().await;
    // It was renewed once, and counts from there.
    let last_sent = a
        .stay_until(&dead, dead.sent_at + a.timing.retry_period())
        .await;
    let gone_from = last_sent + dead.ttl;
    b.stay_until(&lease, gone_from).await;
    b.see_first(lease.id).await;
    let firsts = b.seen.iter().map(|seen| seen.is_first(lease.id));
    let first_at = firsts.zip(&b.seen_at).find(|(is_first, _)| *is_first);
    let (_, first_at) = first_at.unwrap();
    assert!(*first_at >= gone_from);
    assert!(*first_at < gone_from + SLACK);
    b.verify_first(&lease).await;
}

pub(crate) async fn a_lease_that_is_renewed_outlives_its_ttl(bench: impl Bench) {
    let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
    let lease = a.join().await;
    b.see_first(lease.id).await;
    a.stay_until(&lease, lease.sent_at + lease.ttl * 2).await;
    a.verify_first(&lease).await;
    assert_eq!(
        b.see_first(lease.id).await.holder.unwrap().token,
        lease.token
    );
}

pub(crate) async fn a_keepalive_on_a_released_lease_says_that_it_is_gone(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    let lease = a.join().await;
    a.release(lease.id).await;
    assert_eq!(a.keep_alive(lease.id).await, Event::LeaseGone(lease.id));
}

pub(crate) async fn a_keepalive_on_an_expired_lease_says_that_it_is_gone(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    let lease = a.join().await;
    a.see_first(lease.id).await;
    a.see(|seen| !seen.present).await;
    assert_eq!(a.keep_alive(lease.id).await, Event::LeaseGone(lease.id));
}

pub(crate) async fn a_keepalive_says_when_it_was_sent(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    let lease = a.join().await;
    for _ in 0..3 {
        let before = clock::now();
        match a.keep_alive(lease.id).await {
            Event::KeptAlive {
                lease: kept,
                sent_at,
                ttl,
            } => {
                assert_eq!((kept, ttl), (lease.id, lease.ttl));
                assert!(before <= sent_at && sent_at <= clock::now());
            }
            event => panic!("{event:?}"),
        }
    }
}

pub(crate) async fn a_place_that_was_released_is_verified_as_gone(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    let lease = a.join().await;
    a.release(lease.id).await;
    assert_eq!(a.verify(lease.id).await, Standing::Gone);
}

pub(crate) async fn a_place_that_expired_is_verified_as_gone(bench: impl Bench) {
    let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
    let lease = a.join().await;
    let next = b.join().await;
    b.stay_until(&next, lease.sent_at + lease.ttl).await;
    b.see_first(next.id).await;
    assert_eq!(a.verify(lease.id).await, Standing::Gone);
}

pub(crate) async fn the_end_of_the_own_lease_is_seen_without_asking(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    let lease = a.join().await;
    a.see(|seen| seen.present).await;
    let seen = a.see(|seen| !seen.present).await;
    assert!(seen.revision > lease.token);
    assert!(clock::now() >= lease.sent_at + lease.ttl);
}

pub(crate) async fn a_change_of_the_head_is_seen_without_asking(bench: impl Bench) {
    let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
    let lease = a.join().await;
    b.see_first(lease.id).await;
    a.release(lease.id).await;
    let released = clock::now();
    b.see(|seen| seen.holder.is_none()).await;
    assert!(clock::now().since(released) < b.timing.retry_period() + SLACK);
    let again = a.join().await;
    b.see_first(again.id).await;
}

pub(crate) async fn an_observer_without_a_place_sees_who_leads(bench: impl Bench) {
    let mut observer = Peer::new(&bench, "observer");
    let nobody = observer.see(|_| true).await;
    assert_eq!((nobody.holder, nobody.present), (None, false));
    let mut a = Peer::new(&bench, "a");
    let lease = a.join().await;
    assert!(!observer.see_first(lease.id).await.present);
}

pub(crate) async fn releasing_again_is_released_again(bench: impl Bench) {
    let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
    let lease = a.join().await;
    let other = b.join().await;
    for _ in 0..3 {
        a.release(lease.id).await;
    }
    b.verify_first(&other).await;
}

pub(crate) async fn releasing_what_never_was_is_released(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    a.release(LeaseId(0x7eed)).await;
}

pub(crate) async fn a_candidate_that_left_joins_again_with_another_lease_at_the_end(
    bench: impl Bench,
) {
    let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
    let former = a.join().await;
    let other = b.join().await;
    a.release(former.id).await;
    let latter = a.join().await;
    assert_ne!(latter.id, former.id);
    assert_eq!(a.verify(former.id).await, Standing::Gone);
    if a.queues {
        assert!(latter.token > other.token);
        assert_eq!(a.verify(latter.id).await, Standing::Behind);
        assert!(a.see_first(other.id).await.present);
    } else {
        assert!(a.verify_first(&latter).await > former.token);
        assert_eq!(b.verify(other.id).await, Standing::Behind);
    }
}

pub(crate) async fn one_that_leaves_from_the_middle_disturbs_nobody(bench: impl Bench) {
    let mut peers = ["a", "b", "c"].map(|id| Peer::new(&bench, id));
    let [a, b, c] = &mut peers;
    let (first, middle, last) = (a.join().await, b.join().await, c.join().await);
    b.release(middle.id).await;
    a.verify_first(&first).await;
    assert_eq!(c.verify(last.id).await, Standing::Behind);
    a.release(first.id).await;
    c.verify_first(&last).await;
}

pub(crate) async fn observations_come_in_order_of_revision(bench: impl Bench) {
    let mut observer = Peer::new(&bench, "observer");
    let mut a = Peer::new(&bench, "a");
    for _ in 0..5 {
        let lease = a.join().await;
        observer.see_first(lease.id).await;
        a.release(lease.id).await;
        observer.see(|seen| seen.holder.is_none()).await;
    }
    for peer in [&observer, &a] {
        let revisions: Vec<u64> = peer.seen.iter().map(|seen| seen.revision).collect();
        assert!(revisions.is_sorted(), "{revisions:?}");
    }
}

pub(crate) async fn the_id_and_the_address_of_the_holder_are_seen_by_others(bench: impl Bench) {
    let (mut a, mut b) = (Peer::new(&bench, "ä \"1\""), Peer::new(&bench, "b"));
    let lease = a.join().await;
    let holder = b.see_first(lease.id).await.holder.unwrap();
    assert_eq!(holder.id, "ä \"1\"");
    assert_eq!(holder.advertise.unwrap(), "http://ä \"1\":8080");
    assert_eq!((holder.lease, holder.token), (lease.id, lease.token));
}

pub(crate) async fn a_lease_says_its_ttl_and_when_it_was_asked_for(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    let before = clock::now();
    let lease = a.join().await;
    assert_eq!(lease.ttl, a.timing.ttl());
    assert!(before <= lease.sent_at && lease.sent_at <= clock::now());
    assert_ne!(lease.id, LeaseId(0));
    assert!(i64::try_from(lease.id.0).is_ok());
}

pub(crate) async fn a_dropped_session_leaves_its_place_until_the_ttl_is_over(bench: impl Bench) {
    let (mut a, mut b) = (Peer::new(&bench, "a"), Peer::new(&bench, "b"));
    let left = a.join().await;
    drop(a);
    let lease = b.join().await;
    assert_eq!(b.verify(lease.id).await, Standing::Behind);
    b.stay_until(&lease, left.sent_at + left.ttl).await;
    b.see_first(lease.id).await;
    assert!(clock::now() >= left.sent_at + left.ttl);
}

pub(crate) async fn dropping_the_wait_for_what_happens_next_loses_nothing(bench: impl Bench) {
    let mut a = Peer::new(&bench, "a");
    let mut lease = None;
    a.session.begin(Action::Join(draw_lease_id()));
    let bound = clock::now() + NEVER;
    while lease.is_none() || a.seen.is_empty() {
        assert!(clock::now() < bound, "never joined, or never seen");
        // Polled once, dropped, and then the store is given time to go on.
        let event = tokio::select! {
            biased;
            event = a.session.next() => Some(event),
            () = tokio::task::yield_now() => None,
        };
        match event {
            Some(Event::Joined(joined)) => lease = Some(joined),
            Some(Event::JoinFailed { .. }) => a.session.begin(Action::Join(draw_lease_id())),
            Some(Event::Observed(seen)) if seen.present => a.seen.push(seen),
            _ => {}
        }
    }
    assert!(a.seen[0].revision >= lease.unwrap().token);
}
