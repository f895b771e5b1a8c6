//! A user with no name and no privilege, on a file system that is read-only but for one directory, is enough.

use crate::support::process::{EXIT_BOUND, Process};
use crate::support::sidecar::{ROLE_BOUND, Spec, run_tenure};
use crate::support::{eventually, free_port, skip};
use rustix::process::{Signal, geteuid};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// There is no user of this id.
const NOBODY: u32 = 65_532;

/// In a mount namespace of its own, `$1` alone can be written; then everything that may be given up is.
const CONFINED: &str = "set -e; writable=$1; shift; mount --bind \"$writable\" \"$writable\"; \
    mount -o remount,ro,bind /; umask 000; cd /; exec setpriv --reuid 65532 --regid 65532 --clear-groups \
    --no-new-privs --bounding-set=-all --inh-caps=-all \"$@\"";

#[test]
fn a_user_without_name_or_privileges_runs_it_on_a_file_system_that_is_read_only() {
    // Only root can give up what it has; anybody else tests it by running the other tests.
    if !geteuid().is_root() {
        return skip("what is not had can't be given up");
    }
    let directory = TempDir::new().unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let writable = directory.path().join("writable");
    fs::create_dir(&writable).unwrap();
    chown(&writable, Some(NOBODY), Some(NOBODY)).unwrap();
    let (socket, out) = (writable.join("api.sock"), writable.join("out"));
    let url = format!("unix:{}", socket.display());
    let probes = free_port();
    let status_file = writable.join("status.json");
    let text = Spec::on_files("a", &writable.join("store"))
        .http(&format!("api: {url:?}, probes: \"127.0.0.1:PROBES\""))
        .with(&format!("status_file: {status_file:?}"))
        .yaml(0, probes);
    let config = directory.path().join("tenure.yaml");
    fs::write(&config, text).unwrap();

    // Where it was built, others may not be let in.
    let tenure = directory.path().join("tenure");
    fs::copy(env!("CARGO_BIN_EXE_tenure"), &tenure).unwrap();
    let tenure = tenure.to_str().unwrap();
    let script = format!(
        "{tenure:?} is-leader; echo $? $(id -u) $$ > {out:?}.new; mv {out:?}.new {out:?}; exec sleep 60"
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", CONFINED, "confined"])
        .arg(&writable)
        .args([tenure, "exec", "--config"])
        .arg(&config)
        .args(["--", "sh", "-c", &script]);
    let log = directory.path().join("log");
    let mut sidecar = Process::start(
        "the confined",
        &mut command,
        &log,
        "apt-get install util-linux",
    );
    let said = eventually("the command's words", ROLE_BOUND, || {
        fs::read_to_string(&out).ok()
    });
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[..2], ["0", "65532"], "{said}");

    // Whose memory nobody may look into, is root's in /proc: not even its own user may dump it.
    let owner = |pid: &str| fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
    assert_eq!(owner(&sidecar.id().to_string()), 0);
    assert_eq!(
        owner(words[2]),
        NOBODY,
        "the application's crash is its own affair"
    );

    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(&status_file), 0o644);
    let stored = below(&writable.join("store"));
    assert!(stored.len() > 2, "{stored:?}");
    for path in stored {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    assert_eq!(run_tenure(&["is-leader", "--url", &url]).code, Some(0));
    sidecar.signal(Signal::TERM);
    sidecar.wait_exit(EXIT_BOUND);
    assert!(!socket.exists());
    assert!(!sidecar.log().contains("WARN"), "{}", sidecar.log());
}

/// The directory, and all that is in it.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut all = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(below(&path));
        } else {
            all.push(path);
        }
    }
    all
}
