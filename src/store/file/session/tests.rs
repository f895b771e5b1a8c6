//! What a session does when the disk is slow, hangs, or holds what can't be read.

use super::super::FileStore;
use super::super::directory::Directory;
use super::*;
use crate::clock::Alarms;
use crate::election::{Candidate, Standing};
use crate::store::{Queue, random};
use rustix::fs::inotify;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

fn test(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bounded = tokio::time::timeout(Duration::from_secs(60), test).await;
        assert!(bounded.is_ok(), "nothing happens any more");
    });
}

fn timing(retry_ms: u64) -> Timing {
    let retry = Duration::from_millis(retry_ms);
    Timing::new(retry * 10, retry * 6, retry).unwrap()
}

fn candidate() -> Candidate {
    Candidate {
        id: "a".into(),
        advertise: None,
    }
}

fn connected() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

/// A session whose disk is this test.
fn with_a_hung_disk() -> (
    FileSession,
    mpsc::Receiver<Command>,
    tokio::sync::mpsc::Sender<Reply>,
) {
    let directory = Directory::new("/nowhere".into(), "e");
    let timing = timing(20);
    let ledger = Ledger::new(directory, candidate(), timing.ttl(), None);
    let mut session = FileSession::new(
        ledger,
        &timing,
        connected(),
        Alarms::start().unwrap().alarm(),
    );
    let (worker, commands, replies) = Worker::ends();
    session.worker = Some(worker);
    (session, commands, replies)
}

fn seen(event: Option<Event>) -> Reply {
    let sight = Sight {
        queue: Queue::default(),
        next_expiry: None,
    };
    Reply {
        outcome: Ok(Some((event, sight))),
        watch: None,
    }
}

async fn outcome(session: &mut FileSession) -> Event {
    loop {
        match session.next().await {
            Event::Observed(_) | Event::Blind => {}
            event => return event,
        }
    }
}

async fn join(session: &mut FileSession) -> LeaseId {
    session.begin(Action::Join(LeaseId(random() >> 1)));
    match outcome(session).await {
        Event::Joined(lease) => lease.id,
        event => panic!("{event:?}"),
    }
}

/// Takes in what happens until nothing does.
async fn idle(session: &mut FileSession) {
    let quiet = Duration::from_millis(150);
    while tokio::time::timeout(quiet, session.next()).await.is_ok() {}
}

fn states(root: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(root.join("e.d")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut states: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    states.sort();
    states
}

#[test]
fn on_a_hung_disk_every_request_fails_within_a_retry_period_or_two() {
    test(async {
        let (mut session, commands, _replies) = with_a_hung_disk();
        let lease = LeaseId(1);
        for (action, failure) in [
            (Action::KeepAlive(lease), Event::KeepAliveFailed(lease)),
            (Action::Verify(lease), Event::VerifyFailed(lease)),
            (Action::Release(lease), Event::ReleaseFailed(lease)),
        ] {
            let begun = clock::now();
            session.begin(action);
            assert_eq!(outcome(&mut session).await, failure);
            assert!(clock::now().since(begun) >= Duration::from_millis(20));
        }
        session.begin(Action::Join(LeaseId(random() >> 1)));
        let begun = clock::now();
        let event = outcome(&mut session).await;
        let Event::JoinFailed { gone_by, .. } = event else {
            panic!("{event:?}");
        };
        assert!(gone_by >= begun + timing(20).ttl());
        // And nothing has piled up: only the first has gone out, and was called back.
        let first = commands.try_recv().unwrap();
        assert_eq!(first.request, Request::KeepAlive(lease));
        assert!(first.ticket.is_cancelled());
        assert!(commands.try_recv().is_err());
        assert!(session.waiting.len() <= 1);
        assert!(!session.connected.load(Ordering::Relaxed));
    });
}

#[test]
fn a_hung_disk_makes_blind_once_and_an_answer_ends_it() {
    test(async {
        let (mut session, commands, replies) = with_a_hung_disk();
        // Polled once, it asks for a look.
        let asked = tokio::time::timeout(Duration::ZERO, session.next()).await;
        assert!(asked.is_err());
        commands.try_recv().unwrap();
        replies.try_send(seen(None)).unwrap();
        assert!(matches!(session.next().await, Event::Observed(_)));

        assert_eq!(session.next().await, Event::Blind);
        let quiet = tokio::time::timeout(Duration::from_millis(100), session.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        commands.try_recv().unwrap();
        replies.try_send(seen(None)).unwrap();
        assert!(matches!(session.next().await, Event::Observed(_)));
        assert!(session.connected.load(Ordering::Relaxed));
    });
}

#[test]
fn an_answer_that_comes_after_the_failure_is_not_told() {
    test(async {
        let (mut session, commands, replies) = with_a_hung_disk();
        let lease = LeaseId(1);
        session.begin(Action::Verify(lease));
        assert_eq!(outcome(&mut session).await, Event::VerifyFailed(lease));
        session.begin(Action::KeepAlive(lease));
        commands.try_recv().unwrap();
        let late = seen(Some(Event::Verified(lease, Standing::First(1))));
        replies.try_send(late).unwrap();
        assert_eq!(outcome(&mut session).await, Event::KeepAliveFailed(lease));
    });
}

#[test]
fn an_answer_that_came_in_time_counts_however_late_it_is_fetched() {
    test(async {
        let (mut session, _commands, replies) = with_a_hung_disk();
        let lease = LeaseId(1);
        session.begin(Action::Verify(lease));
        let answer = Event::Verified(lease, Standing::First(1));
        replies.try_send(seen(Some(answer.clone()))).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(outcome(&mut session).await, answer);
    });
}

#[test]
fn a_release_calls_back_the_keepalive_under_way_and_drops_those_that_wait() {
    test(async {
        let (mut session, commands, replies) = with_a_hung_disk();
        let lease = LeaseId(1);
        session.begin(Action::KeepAlive(lease));
        session.begin(Action::Verify(lease));
        session.begin(Action::Release(lease));
        let keepalive = commands.try_recv().unwrap();
        assert!(keepalive.ticket.is_cancelled());
        let outcome_of_nothing = Reply {
            outcome: Ok(None),
            watch: None,
        };
        replies.try_send(outcome_of_nothing).unwrap();
        assert_eq!(outcome(&mut session).await, Event::ReleaseFailed(lease));
        assert_eq!(
            commands.try_recv().unwrap().request,
            Request::Release(lease)
        );
    });
}

#[test]
fn the_worker_ends_with_its_session() {
    test(async {
        let (session, commands, replies) = with_a_hung_disk();
        drop(session);
        assert!(commands.recv().is_err());
        assert!(replies.is_closed());
    });
}

#[test]
fn an_unreadable_state_makes_blind_and_nobody_leads() {
    test(async {
        let root = tempfile::tempdir().unwrap();
        let store = FileStore::open(root.path(), connected()).unwrap();
        let mut leader = session_on(&store);
        let lease = join(&mut leader).await;
        while !matches!(leader.next().await, Event::Observed(seen) if seen.is_first(lease)) {}
        fs::write(states(root.path()).last().unwrap(), "").unwrap();

        leader.begin(Action::Verify(lease));
        assert_eq!(outcome(&mut leader).await, Event::VerifyFailed(lease));
        leader.begin(Action::KeepAlive(lease));
        assert_eq!(outcome(&mut leader).await, Event::KeepAliveFailed(lease));
        let mut other = session_on(&store);
        other.begin(Action::Join(LeaseId(random() >> 1)));
        assert!(matches!(
            outcome(&mut other).await,
            Event::JoinFailed { .. }
        ));
        while other.next().await != Event::Blind {}
        assert!(!store.connected.load(Ordering::Relaxed));
    });
}

#[test]
fn where_the_directory_is_removed_the_place_is_out_of_sight_at_once() {
    test(async {
        let root = tempfile::tempdir().unwrap();
        let store = FileStore::open(root.path(), connected()).unwrap();
        // Looked at anew in a minute only, unless something is seen to change.
        let mut leader = session_with(&store, 60_000);
        let lease = join(&mut leader).await;
        while leader.watch.is_none() || leader.at_work.is_some() || leader.looks_next() {
            idle(&mut leader).await;
        }
        fs::remove_dir_all(root.path().join("e.d")).unwrap();
        let told = tokio::time::timeout(Duration::from_secs(5), outcome(&mut leader)).await;
        assert_eq!(told, Ok(Event::OutOfSight(lease)));
    });
}

#[test]
fn an_older_copy_puts_the_place_out_of_sight_also_where_nothing_could_be_read_before() {
    test(async {
        let root = tempfile::tempdir().unwrap();
        let store = FileStore::open(root.path(), connected()).unwrap();
        let mut leader = session_on(&store);
        let lease = join(&mut leader).await;
        let directory = root.path().join("e.d");
        let heads = || {
            let files = fs::read_dir(&directory).unwrap();
            let mut heads: Vec<_> = files
                .map(|file| file.unwrap().path())
                .filter(|path| path.to_string_lossy().contains("/head."))
                .collect();
            heads.sort();
            heads
        };
        let [head] = &heads()[..] else {
            panic!("{:?}", heads());
        };
        let name = head.file_name().unwrap().to_string_lossy();
        let nonce = name.rsplit('.').next().unwrap();
        fs::copy(
            head,
            head.with_file_name(format!("head.{:020}.{nonce}", 99)),
        )
        .unwrap();
        while leader.next().await != Event::Blind {}
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(outcome(&mut leader).await, Event::OutOfSight(lease));
    });
}

#[test]
fn what_cannot_be_read_is_looked_at_once_in_a_retry_period() {
    test(async {
        let (mut session, commands, replies) = with_a_hung_disk();
        let until = clock::now() + Duration::from_millis(200);
        let mut looks = 0;
        while clock::now() < until {
            let nothing_more = tokio::time::timeout(Duration::from_millis(1), session.next());
            let _ = nothing_more.await;
            if let Ok(command) = commands.try_recv() {
                assert_eq!(command.request, Request::Look);
                looks += 1;
                let damaged = FileStoreError::corrupt(Path::new("/nowhere"), "damaged");
                let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
                let reply = Reply {
                    outcome: Err(damaged),
                    watch: Some(watch),
                };
                replies.try_send(reply).unwrap();
            }
        }
        // Once more at first, lest half of a change was seen.
        assert!((2..=11).contains(&looks), "{looks}");
    });
}

#[test]
fn without_a_watch_a_change_is_seen_by_looking() {
    test(async {
        let root = tempfile::tempdir().unwrap();
        let store = FileStore::open(root.path(), connected()).unwrap();
        let mut leader = session_on(&store);
        let lease = join(&mut leader).await;
        let mut observer = session_on(&store);
        while !matches!(observer.next().await, Event::Observed(seen) if seen.is_first(lease)) {
            observer.watch = None;
        }
        leader.begin(Action::Release(lease));
        assert_eq!(outcome(&mut leader).await, Event::Released(lease));
        observer.watch = None;
        let event = observer.next().await;
        assert!(
            matches!(&event, Event::Observed(seen) if seen.holder.is_none()),
            "{event:?}"
        );
    });
}

fn session_on(store: &FileStore) -> FileSession {
    session_with(store, 100)
}

fn session_with(store: &FileStore, retry_ms: u64) -> FileSession {
    let timing = timing(retry_ms);
    let sessions = store.sessions(["e"], &candidate(), &timing, &Alarms::start().unwrap());
    sessions.into_iter().next().unwrap()
}
