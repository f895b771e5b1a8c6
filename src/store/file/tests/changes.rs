//! Changes of an election, with crashes, freezes and other candidates between any two steps.

use super::*;

#[test]
fn a_crash_before_the_state_counts_changes_nothing_and_is_cleaned_up() {
    let scene = Scene::new();
    let first = join(&mut scene.candidate("a"), 1).unwrap();
    let found = scene.found();
    scene.directory().prepare(&next_of(&found)).unwrap();

    assert_eq!(scene.found().state, found.state);
    let mut b = scene.candidate("b");
    assert!(join(&mut b, 2).unwrap() > first);
    for _ in 0..8 {
        assert!(keeps_alive(&mut b, 2));
    }
    let files = fs::read_dir(scene.directory().path()).unwrap().count();
    assert!(files <= 7, "{files} files");
}

#[test]
fn a_crash_after_the_state_counts_loses_nothing() {
    let scene = Scene::new();
    let first = join(&mut scene.candidate("a"), 1).unwrap();
    // A release whose author dies before it removes what is left behind.
    let found = scene.found();
    let prepared = scene.directory().prepare(&next_of(&found)).unwrap();
    assert!(scene.directory().commit(&found, prepared).unwrap());

    let mut b = scene.candidate("b");
    let token_of_b = join(&mut b, 2).unwrap();
    assert!(token_of_b > first + 1);
    assert_eq!(standing(&mut b, 2), Standing::First(token_of_b));
}

#[test]
fn a_writer_thawed_long_after_it_read_loses() {
    let scene = Scene::new();
    let mut a = scene.candidate("a");
    let token_of_a = join(&mut a, 1).unwrap();
    let found = scene.found();
    let frozen = scene.directory().prepare(&next_of(&found)).unwrap();
    let another = scene.directory().prepare(&next_of(&found)).unwrap();
    // One loses to the very next change, another when nothing is left of what it read.
    assert!(keeps_alive(&mut a, 1));
    assert!(!scene.directory().commit(&found, another).unwrap());
    for _ in 0..10 {
        assert!(keeps_alive(&mut a, 1));
    }
    assert!(!scene.directory().commit(&found, frozen).unwrap());
    assert_eq!(standing(&mut a, 1), Standing::First(token_of_a));
    assert_eq!(scene.found().head.revision, 12);
}

#[test]
fn a_renewal_that_lands_after_the_sweep_of_its_place_is_lost() {
    let scene = Scene::new();
    let mut dead = scene.candidate_with("a", Duration::ZERO, Some("here"));
    join(&mut dead, 1).unwrap();
    let found = scene.found();
    let mut renewed = found.state.clone();
    renewed.revision += 1;
    renewed.entries[0].expires_at_ns = u64::MAX;
    let frozen = scene.directory().prepare(&renewed).unwrap();

    let mut b = scene.candidate("b");
    let token_of_b = join(&mut b, 2).unwrap();
    assert_eq!(standing(&mut b, 2), Standing::First(token_of_b));
    assert!(!scene.directory().commit(&found, frozen).unwrap());
    assert_eq!(standing(&mut b, 2), Standing::First(token_of_b));
    assert!(!keeps_alive(&mut dead, 1));
}

#[test]
fn a_renewal_that_lands_before_the_sweep_keeps_its_place_first() {
    let scene = Scene::new();
    let mut a = scene.candidate_with("a", Duration::ZERO, Some("here"));
    let token_of_a = join(&mut a, 1).unwrap();
    let found = scene.found();
    let mut renewed = found.state.clone();
    renewed.revision += 1;
    renewed.entries[0].expires_at_ns = u64::MAX;
    let late = scene.directory().prepare(&renewed).unwrap();

    assert!(scene.directory().commit(&found, late).unwrap());
    let mut b = scene.candidate("b");
    join(&mut b, 2).unwrap();
    assert_eq!(standing(&mut b, 2), Standing::Behind);
    assert_eq!(standing(&mut a, 1), Standing::First(token_of_a));
}

#[test]
fn a_first_place_is_first_only_once_the_sweep_is_written() {
    let scene = Scene::new();
    join(&mut scene.candidate("a"), 1).unwrap();
    let mut b = scene.candidate("b");
    let token_of_b = join(&mut b, 2).unwrap();
    let mut stale = scene.found().state;
    stale.revision += 1;
    stale.entries[0].expires_at_ns = 0;
    let found = scene.found();
    let prepared = scene.directory().prepare(&stale).unwrap();
    assert!(scene.directory().commit(&found, prepared).unwrap());

    assert_eq!(standing(&mut b, 2), Standing::First(token_of_b));
    assert_eq!(scene.found().state.entries.len(), 1);
    assert_eq!(scene.found().head.revision, stale.revision + 1);
}

#[test]
fn tokens_go_on_when_the_last_candidate_has_left() {
    let scene = Scene::new();
    let mut last = 0;
    for lease in 1..5 {
        let mut a = scene.candidate("a");
        let token = join(&mut a, lease).unwrap();
        assert!(token > last);
        last = token;
        release(&mut a, lease);
        assert!(scene.found().state.entries.is_empty());
    }
}

#[test]
fn joining_again_with_the_same_lease_takes_no_second_place() {
    let scene = Scene::new();
    let mut a = scene.candidate("a");
    let token = join(&mut a, 1).unwrap();
    assert_eq!(join(&mut a, 1).unwrap(), token);
    assert_eq!(scene.found().state.entries.len(), 1);
}

#[test]
fn what_nobody_waits_for_any_more_is_not_done() {
    let scene = Scene::new();
    let ticket = Ticket::default();
    ticket.cancel();
    let outcome = scene.candidate("a").join(LeaseId(1), &ticket).unwrap();
    assert!(outcome.is_none());
    let mut b = scene.candidate("b");
    join(&mut b, 2).unwrap();
    assert!(scene.found().state.entry(LeaseId(1)).is_none());

    // Nor where the wait ended after it was computed, and nothing of it stays behind.
    let found = scene.found();
    let files = || fs::read_dir(scene.directory().path()).unwrap().count();
    let before = files();
    assert!(!b.replace(&found, &next_of(&found), &ticket).unwrap());
    assert_eq!(scene.found().head, found.head);
    assert_eq!(files(), before);
}

#[test]
fn another_clock_is_trusted_only_after_a_ttl_of_watching() {
    let ttl = Duration::from_millis(150);
    let scene = Scene::new();
    for foreign in [Some("another boot"), None] {
        let mut owner = scene.candidate_with("a", ttl, foreign);
        join(&mut owner, 1).unwrap();
        let mut stale = scene.found().state;
        stale.revision += 1;
        stale.entries[0].expires_at_ns = 0;
        let found = scene.found();
        let prepared = scene.directory().prepare(&stale).unwrap();
        assert!(scene.directory().commit(&found, prepared).unwrap());

        let mut reader = scene.candidate("b");
        let first_seen = clock::now();
        let token_of_reader = join(&mut reader, 2).unwrap();
        while standing(&mut reader, 2) != Standing::First(token_of_reader) {}
        assert!(clock::now().since(first_seen) >= ttl);
        release(&mut reader, 2);
    }
}

#[test]
fn renewals_by_another_clock_are_seen() {
    let ttl = Duration::from_millis(300);
    let scene = Scene::new();
    let mut owner = scene.candidate_with("a", ttl, Some("another boot"));
    join(&mut owner, 1).unwrap();
    let mut reader = scene.candidate("b");
    join(&mut reader, 2).unwrap();
    let mut renewed = clock::now();
    let until = renewed + ttl * 3;
    while clock::now() < until {
        let before = clock::now();
        if before.since(renewed) > ttl / 6 && keeps_alive(&mut owner, 1) {
            renewed = before;
        }
        let place = standing(&mut reader, 2);
        // Unless this test itself stood still for too long.
        assert!(place == Standing::Behind || clock::now().since(renewed) >= ttl);
    }
}

#[test]
fn eight_threads_lose_no_change_and_draw_no_token_twice() {
    let scene = Scene::new();
    let directory = &scene;
    let mut tokens: Vec<Token> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn(move || {
                    let mut ledger = directory.candidate("a");
                    let changes = (0..50).map(|round| {
                        let lease = thread * 100 + round + 1;
                        let token = join(&mut ledger, lease).unwrap();
                        release(&mut ledger, lease);
                        token
                    });
                    let tokens: Vec<Token> = changes.collect();
                    assert!(tokens.is_sorted());
                    tokens
                })
            })
            .collect();
        let tokens = threads.into_iter().flat_map(|t| t.join().unwrap());
        tokens.collect()
    });
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 400);
    assert_eq!(scene.found().head.revision, 800);
    assert!(scene.found().state.entries.is_empty());
}
