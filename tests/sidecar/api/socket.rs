//! A socket in the file system: who may use it, what becomes of one that is there, and that all verbs find it.

use super::{Scene, TOKEN, TOO_MANY, is_cut_off, verb};
use crate::support::process::{EXIT_BOUND, Process, run};
use crate::support::sidecar::{ROLE_BOUND, Spec, tenure};
use crate::support::{eventually, ms};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

#[test]
fn all_verbs_find_a_sidecar_by_its_socket() {
    let scene = Scene::new();
    let mut a = scene.on_socket("a").start_leading();
    let url = scene.url();
    let mode = fs::metadata(scene.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(verb("is-leader", &url, &[]).code, Some(0));
    let status = verb("status", &url, &[]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.stdout.contains("payments"), "{status:?}");
    assert_eq!(verb("status", &url, &["--json"]).code, Some(0));
    let mut by_environment = tenure();
    by_environment.env("TENURE_URL", &url).arg("is-leader");
    assert_eq!(run(&mut by_environment, "cargo builds it").code, Some(0));
    for (command, said) in [("pause", "paused"), ("resume", "resumed")] {
        let output = verb(command, &url, &[]);
        assert!(output.stdout.starts_with(said), "{output:?}");
    }
    a.wait_leading(ROLE_BOUND);
    let output = verb("resign", &url, &["--stopped", "--cooldown", "1m"]);
    assert_eq!(output.code, Some(0), "{output:?}");

    let file = scene.directory.path().join("watched");
    let mut command = tenure();
    command.args(["watch", "--url", &url]);
    let mut watching = Process::start("watch", &mut command, &file, "cargo builds it");
    eventually("a line", ROLE_BOUND, || {
        watching.log().contains("payments follower").then_some(())
    });
    a.end_well();
    assert_eq!(watching.wait_exit(EXIT_BOUND).code(), Some(0));
    assert!(!scene.socket().exists(), "it is gone with its sidecar");
    assert_eq!(verb("is-leader", &url, &[]).code, Some(2));
}

#[test]
fn a_socket_is_nobody_elses_by_default_and_may_be_given_to_a_group() {
    let scene = Scene::new();
    let settings = format!("api: \"{}\", probes: \"127.0.0.1:PROBES\"", scene.url());
    let mode = |spec: Spec| {
        let mut a = spec.http(&settings).start_leading();
        let found = fs::metadata(scene.socket()).unwrap();
        a.end_well();
        found.permissions().mode() & 0o777
    };
    assert_eq!(mode(scene.spec("a")), 0o600);
    let gid = rustix::process::getegid().as_raw();
    let owned = format!("{settings}, api_mode: 0660, api_owner: \":{gid}\"");
    let mut a = scene.spec("a").http(&owned).start_leading();
    assert_eq!(verb("is-leader", &scene.url(), &[]).code, Some(0));
    a.end_well();
}

#[test]
fn a_socket_of_the_dead_is_replaced_and_one_in_use_is_not() {
    let scene = Scene::new();
    let mut a = scene.on_socket("a").start_leading();
    let mut b = scene.on_socket("b").start();
    assert_eq!(b.wait_exit(ROLE_BOUND).code(), Some(1));
    let log = b.log();
    for words in [
        "http.api: unix:/",
        "stop what listens there, or choose another",
    ] {
        assert!(log.contains(words), "{log}");
    }
    assert_eq!(verb("is-leader", &scene.url(), &[]).code, Some(0));
    // Not even while it is frozen.
    a.freeze();
    b.restart();
    assert_eq!(b.wait_exit(ROLE_BOUND).code(), Some(1));
    a.thaw();

    a.kill();
    assert!(scene.socket().exists());
    a.restart();
    a.wait_leading(ROLE_BOUND);
    assert_eq!(verb("is-leader", &scene.url(), &[]).code, Some(0));
}

#[test]
fn a_socket_takes_no_more_of_anybody_than_a_port_does() {
    let scene = Scene::new();
    let _a = scene.on_socket("a").start_leading();
    let mut idle: Vec<UnixStream> = (0..TOO_MANY)
        .map(|_| {
            let mut stream = UnixStream::connect(scene.socket()).unwrap();
            stream.write_all(b"GET /leader HT").unwrap();
            stream
        })
        .collect();
    assert_eq!(verb("is-leader", &scene.url(), &[]).code, Some(0));
    idle[0].set_read_timeout(Some(ms(10_000))).unwrap();
    assert!(is_cut_off(&mut idle[0]));
}

#[test]
fn a_command_is_told_of_the_socket_and_of_the_token() {
    let scene = Scene::new();
    let token_file = scene.token_file(TOKEN);
    let out = scene.directory.path().join("out");
    let script = format!(
        "echo $TENURE_URL $TENURE_TOKEN_FILE > {out:?}.new; {:?} is-leader; echo $? >> {out:?}.new; mv {out:?}.new {out:?}; exec sleep 60",
        env!("CARGO_BIN_EXE_tenure"),
    );
    let settings = format!("{}, token_file: {token_file:?}", scene.settings());
    let spec = scene.spec("a").http(&settings);
    let mut a = spec.exec(&["sh", "-c", &script]).start_leading();
    let said = eventually("the command's words", ROLE_BOUND, || {
        fs::read_to_string(&out).ok()
    });
    let expected = format!("{} {}\n0\n", scene.url(), token_file.display());
    assert_eq!(said, expected);
    a.term();
    a.wait_exit(EXIT_BOUND);
}
