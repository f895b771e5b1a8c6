//! How a store and its elections come to be, and what is left of it after a crash.

use super::*;

#[test]
fn candidates_that_start_together_create_one_election() {
    let scene = Scene::new();
    let (directory, start) = (&scene, &std::sync::Barrier::new(8));
    std::thread::scope(|scope| {
        for lease in 1..9 {
            scope.spawn(move || {
                let mut ledger = directory.candidate("a");
                start.wait();
                // Opening a store cleans up after crashes, and must not disturb who is alive.
                open_root(directory.root.path()).unwrap();
                join(&mut ledger, lease).unwrap();
            });
        }
    });
    assert_eq!(scene.found().state.entries.len(), 8);
    assert_eq!(scene.found().head.revision, 8);
    open_root(scene.root.path()).unwrap();
    assert_eq!(fs::read_dir(scene.root.path()).unwrap().count(), 1);
}

#[test]
fn what_a_crash_left_of_a_creation_is_removed_and_nothing_else() {
    let scene = Scene::new();
    for name in ["0123456789abcdef.unfinished", "0123456789abcdee.abandoned"] {
        fs::create_dir(scene.root.path().join(name)).unwrap();
        fs::write(scene.root.path().join(name).join("state"), "").unwrap();
    }
    fs::write(scene.root.path().join("0123456789abcdef.probe"), "").unwrap();
    fs::create_dir(scene.root.path().join("mine.abandoned")).unwrap();
    join(&mut scene.candidate("a"), 1).unwrap();
    open_root(scene.root.path()).unwrap();
    let names = fs::read_dir(scene.root.path()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["e.d", "mine.abandoned"]);
}

#[test]
fn the_oddest_names_of_elections_stay_in_the_directory_and_apart() {
    let scene = Scene::new();
    let longest = "x".repeat(253);
    let names = [".", "..", "a", "a.d", "-", &longest];
    for name in names {
        let directory = Directory::new(scene.root.path().to_owned(), name);
        directory.create().unwrap();
        assert_eq!(directory.path().parent(), Some(scene.root.path()));
    }
    let made = fs::read_dir(scene.root.path()).unwrap().count();
    assert_eq!(made, names.len());
}

#[test]
fn files_and_directories_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("tenure");
    open_root(&root).unwrap();
    let directory = Directory::new(root.clone(), ELECTION);
    directory.create().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(directory.path()), 0o700);
    for file in fs::read_dir(directory.path()).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn a_directory_that_cannot_be_had_is_named_with_the_remedy() {
    let scene = Scene::new();
    let file = scene.root.path().join("file");
    fs::write(&file, "").unwrap();
    for (path, remedy) in [
        (
            file.join("under"),
            "set store.file.directory to a directory",
        ),
        (file.clone(), "set store.file.directory to a directory"),
        (
            scene.root.path().join("no/parent"),
            "create the directory that it belongs in",
        ),
        (PathBuf::from("/proc/tenure"), "create the directory"),
    ] {
        let err = open_root(&path).unwrap_err().to_string();
        assert!(err.contains(path.to_str().unwrap()), "{err}");
        assert!(err.contains(remedy), "{err}");
    }
}
