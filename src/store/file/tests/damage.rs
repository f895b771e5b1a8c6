//! What is not as candidates left it is reported, and never taken for an election without a leader.

use super::*;
use crate::store::file::state::Entry;
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn a_damaged_state_is_reported_and_never_taken_for_an_empty_one() {
    type Damage = fn(&Path);
    let damages: [Damage; 6] = [
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "{}\n").unwrap(),
        |path| {
            let text = fs::read(path).unwrap();
            fs::write(path, &text[..text.len() / 2]).unwrap();
        },
        |path| {
            let mut text = fs::read(path).unwrap();
            text[40] ^= 4;
            fs::write(path, text).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        |path| fs::remove_file(path).unwrap(),
    ];
    for (index, damage) in damages.into_iter().enumerate() {
        let scene = Scene::new();
        let mut leader = scene.candidate("a");
        join(&mut leader, 1).unwrap();
        let path = scene.path_of_state();
        damage(&path);

        let err = join(&mut scene.candidate("b"), 2).unwrap_err().to_string();
        assert!(err.contains(path.to_str().unwrap()), "{index}: {err}");
        assert!(err.contains("let a ttl pass"), "{index}: {err}");
        assert!(is_cut_off(&mut leader, 1), "{index}");
        assert!(is_cut_off(&mut scene.candidate("c"), 3), "{index}");
    }
}

#[test]
fn a_symbolic_link_or_a_fifo_in_place_of_a_state_is_reported_and_not_waited_for() {
    for make in [
        |path: &Path| std::os::unix::fs::symlink("/dev/null", path).unwrap(),
        |path: &Path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        },
    ] {
        let scene = Scene::new();
        let mut leader = scene.candidate("a");
        join(&mut leader, 1).unwrap();
        let path = scene.path_of_state();
        fs::remove_file(&path).unwrap();
        make(&path);
        assert!(is_cut_off(&mut leader, 1));
    }
}

#[test]
fn no_head_or_two_are_reported() {
    let scene = Scene::new();
    let mut a = scene.candidate("a");
    join(&mut a, 1).unwrap();
    let head = scene.path_of_head();
    let second = head.with_extension("0123456789abcdef");
    fs::write(&second, "").unwrap();
    assert!(is_cut_off(&mut a, 1));
    let err = join(&mut scene.candidate("b"), 2).unwrap_err();
    assert!(err.to_string().contains("2 files head.*"), "{err}");

    fs::remove_file(&second).unwrap();
    fs::remove_file(&head).unwrap();
    assert!(is_cut_off(&mut a, 1));
    let err = join(&mut scene.candidate("b"), 2).unwrap_err();
    assert!(err.to_string().contains("0 files head.*"), "{err}");
}

#[test]
fn an_election_mended_as_the_error_says_goes_on_with_greater_tokens() {
    let scene = Scene::new();
    let mut a = scene.candidate("a");
    join(&mut a, 1).unwrap();
    let intact = scene.found();
    let lost_token = join(&mut scene.candidate("b"), 2).unwrap();
    let (head, state) = (scene.path_of_head(), scene.path_of_state());
    fs::write(&state, "damaged").unwrap();
    assert!(is_cut_off(&mut a, 1));

    let directory = scene.directory();
    let raised = |name: String| name.replace(".00000000000000000001.", ".00000000000000000003.");
    let old_state = intact.head.state_name();
    fs::rename(
        directory.path().join(&old_state),
        directory.path().join(raised(old_state)),
    )
    .unwrap();
    fs::rename(head, directory.path().join(raised(intact.head.name()))).unwrap();

    assert_eq!(scene.found().state.revision, 3);
    assert!(keeps_alive(&mut a, 1));
    let token = join(&mut scene.candidate("c"), 3).unwrap();
    assert!(token > lost_token, "{token} {lost_token}");
}

#[test]
fn a_directory_that_went_back_or_away_is_not_believed() {
    let scene = Scene::new();
    let mut a = scene.candidate("a");
    join(&mut a, 1).unwrap();
    let backup = scene.root.path().join("backup");
    fs::rename(scene.directory().path(), &backup).unwrap();
    assert!(is_cut_off(&mut a, 1));
    assert!(!scene.directory().path().exists());

    join(&mut scene.candidate("b"), 2).unwrap();
    assert!(keeps_alive(&mut scene.candidate("b"), 2));
    fs::remove_dir_all(&backup).unwrap();
    fs::rename(scene.directory().path(), &backup).unwrap();
    let mut late = scene.candidate("c");
    for _ in 0..3 {
        join(&mut late, 3).unwrap();
        assert!(keeps_alive(&mut late, 3));
    }
    fs::remove_dir_all(scene.directory().path()).unwrap();
    fs::rename(&backup, scene.directory().path()).unwrap();
    let err = join(&mut late, 4).unwrap_err().to_string();
    assert!(err.contains("went back from revision 4 to 2"), "{err}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_bytes_replace_a_state_cut_everybody_off(bytes in vec(any::<u8>(), 0..300)) {
        let scene = Scene::new();
        let mut leader = scene.candidate("a");
        join(&mut leader, 1).unwrap();
        fs::write(scene.path_of_state(), bytes).unwrap();
        prop_assert!(is_cut_off(&mut leader, 1));
        prop_assert!(is_cut_off(&mut scene.candidate("b"), 2));
    }

    #[test]
    fn whatever_numbers_a_sealed_state_holds_nobody_panics(
        numbers in vec(any::<(u64, u64, u64)>(), 0..2),
        lease in 1_u64..3,
        clock in prop_oneof![Just(None), Just(Some("here".to_owned()))],
    ) {
        let scene = Scene::new();
        let mut leader = scene.candidate("a");
        join(&mut leader, 1).unwrap();
        let mut state = scene.found().state;
        let entries = (1..).zip(numbers);
        let entries = entries.map(|(token, (ttl_ns, expires_at_ns, renewed))| Entry {
            lease,
            token,
            id: String::new(),
            advertise: None,
            ttl_ns,
            expires_at_ns,
            clock: clock.clone(),
            renewed,
        });
        state.entries = entries.take(usize::try_from(state.revision).unwrap()).collect();
        fs::write(scene.path_of_state(), state.encode().unwrap()).unwrap();
        let ticket = Ticket::default();
        for ledger in [&mut leader, &mut scene.candidate("b")] {
            // Only that it comes back is of interest.
            let _ = ledger.look(&ticket);
            let _ = ledger.keep_alive(LeaseId(1), &ticket);
            let _ = ledger.verify(LeaseId(1), &ticket);
            let _ = ledger.join(LeaseId(2), &ticket);
            let _ = ledger.release(LeaseId(2), false, &ticket);
        }
    }
}
