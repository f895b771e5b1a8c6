//! A user and a password, held for longer than any token.

use crate::support::etcd::{Etcd, with_users};
use crate::support::etcdctl::Etcdctl;
use crate::support::process::run;
use crate::support::sidecar::{
    PREFIX, RETRY_PERIOD, ROLE_BOUND, Sidecar, Spec, wait_for_one_leader,
};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tenure::clock;

#[test]
fn a_leader_outlives_its_simple_tokens_and_all_else_that_ends_them() {
    outlives_its_tokens(&["--auth-token-ttl=1"]);
}

#[test]
fn a_leader_outlives_its_json_web_tokens_and_all_else_that_ends_them() {
    let keys = TempDir::new().unwrap();
    let [private, public] = ["private", "public"].map(|name| keys.path().join(name));
    openssl(&format!("genrsa -out {} 2048", private.display()));
    openssl(&format!(
        "rsa -in {} -pubout -out {}",
        private.display(),
        public.display()
    ));
    let token = format!(
        "--auth-token=jwt,pub-key={},priv-key={},sign-method=RS256,ttl=1s",
        public.display(),
        private.display()
    );
    outlives_its_tokens(&[&token]);
}

/// With tokens that hold for a second.
#[track_caller]
fn outlives_its_tokens(arguments: &[&str]) {
    let (mut etcd, root) = with_users(Etcd::absent().with(arguments));
    let directory = TempDir::new().unwrap();
    let password = password_file(directory.path(), "right-4242");
    let mut a = spec("a", &etcd, &password).start_leading();
    let b = spec("b", &etcd, &password).start_following();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a, &b]);

    let_pass(ms(3_000));
    // Others change, and with them the revision that a token may be bound to.
    for command in [
        "user add other:7",
        "role add other",
        "user grant-role other other",
    ] {
        run_as(&root, command);
        let_pass(ms(500));
    }
    still_led(&a, token);
    // Tokens that were in memory are gone.
    etcd.kill();
    etcd.start();
    etcd.wait_until_healthy();
    let_pass(ms(2_000));
    still_led(&a, token);
    // The user's own password changes: on the server first, and then in the file.
    change_password(&root, "newer-4242");
    let_pass(ms(1_000));
    fs::write(&password, "newer-4242\n").unwrap();
    let_pass(ms(3_000));
    still_led(&a, token);
    // In the file first, and then on the server.
    fs::write(&password, "newest-4242\n").unwrap();
    eventually("the new one is tried", ROLE_BOUND, || {
        [&a, &b]
            .iter()
            .all(|sidecar| sidecar.log().contains("not accepted"))
            .then_some(())
    });
    still_led(&a, token);
    change_password(&root, "newest-4242");
    let_pass(ms(3_000));
    still_led(&a, token);

    // The watches work, on which both rely.
    let key = root.places(PREFIX).remove(0).key;
    root.run(&["del", &key]);
    b.wait_leading(ms(3_000));
    a.wait_state("follower", ROLE_BOUND);
    a.end_well();
    let mut b = b;
    b.end_well();
    assert_eq!(root.lease_count(), 0);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    for sidecar in [&a, &b] {
        let log = sidecar.log();
        assert!(!log.contains("4242"), "{log}");
    }
}

#[test]
fn authentication_may_be_turned_off_and_on_while_a_sidecar_with_a_password_leads() {
    let (mut etcd, root) = with_users(Etcd::absent());
    let directory = TempDir::new().unwrap();
    let password = password_file(directory.path(), "right-4242");
    let a = spec("a", &etcd, &password).start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    root.run(&["auth", "disable"]);
    etcd.kill();
    etcd.start();
    etcd.wait_until_healthy();
    let_pass(ms(1_500));
    still_led(&a, token);
    etcd.ctl().run(&["auth", "enable"]);
    let_pass(ms(1_500));
    still_led(&a, token);
    let key = root.places(PREFIX).remove(0).key;
    root.run(&["del", &key]);
    eventually("it leads anew", ROLE_BOUND, || {
        (a.wait_leading(ROLE_BOUND) > token).then_some(())
    });
}

#[test]
fn an_etcd_that_wants_a_user_where_none_is_set_says_which_keys_to_set() {
    let (etcd, _root) = with_users(Etcd::absent());
    let a = Spec::on_etcd("a", &etcd).start();
    eventually("a remedy", ROLE_BOUND, || {
        let said = "set store.etcd.username and password_file";
        a.log().contains(said).then_some(())
    });
    assert_eq!(a.status_of("/livez"), Some(200));
}

#[test]
fn credentials_that_etcd_refuses_are_shown_as_invalid_until_it_takes_them() {
    let (mut etcd, root) = with_users(Etcd::absent());
    let directory = TempDir::new().unwrap();
    let password = password_file(directory.path(), "wrong-4242");
    let a = spec("a", &etcd, &password).start();
    let wait_valid = |valid| {
        eventually(&format!("credentials valid: {valid}"), ROLE_BOUND, || {
            a.status_of("/livez")?;
            let shown = a.metric("tenure_credentials_valid", &["store.etcd"]);
            (shown == valid).then_some(())
        });
    };
    wait_valid(0.0);
    fs::write(&password, "right-4242\n").unwrap();
    a.wait_leading(ROLE_BOUND);
    wait_valid(1.0);
    // On the server only, which notices with the next connection.
    change_password(&root, "newer-4242");
    etcd.kill();
    etcd.start();
    etcd.wait_until_healthy();
    wait_valid(0.0);
    change_password(&root, "right-4242");
    wait_valid(1.0);
    let stays_valid = || {
        let until = clock::now() + RETRY_PERIOD * 3;
        while clock::now() < until {
            let shown = a.metric("tenure_credentials_valid", &["store.etcd"]);
            assert_eq!(shown, 1.0, "{}", a.log());
            let_pass(ms(50));
        }
    };
    // Neither permission nor an outage has to do with it.
    run_as(&root, "user revoke-role app candidate");
    root.run(&["del", &root.places(PREFIX).remove(0).key]);
    eventually("the loss of its key", ROLE_BOUND, || {
        (!a.leads()).then_some(())
    });
    eventually("no permission", ROLE_BOUND, || {
        a.log().contains("permission denied").then_some(())
    });
    stays_valid();
    etcd.kill();
    eventually("the outage", ROLE_BOUND, || {
        (a.metric("tenure_store_connected", &[]) == 0.0).then_some(())
    });
    stays_valid();
}

/// etcd lets anybody renew a lease, and only some read the keys: so a leader's lease may live on while it can't see that its
/// key is gone.
#[test]
fn a_leader_that_may_read_its_key_no_more_leads_no_longer_than_one_that_cannot_renew() {
    let (mut etcd, root) = with_users(Etcd::absent());
    let directory = TempDir::new().unwrap();
    let password = password_file(directory.path(), "right-4242");
    let renew_deadline = ms(3_000);
    let a = spec("a", &etcd, &password)
        .lease(ms(5_000), renew_deadline, ms(500))
        .start_leading();
    run_as(&root, "user revoke-role app candidate");
    // The watch that was allowed goes with its connection.
    etcd.kill();
    etcd.start();
    etcd.wait_until_healthy();
    root.run(&["del", &root.places(PREFIX).remove(0).key]);
    eventually(
        "the end of its leadership",
        renew_deadline + ms(2_000),
        || (!a.leads()).then_some(()),
    );
    let_pass(ms(1_000));
    assert!(!a.leads());
    run_as(&root, "user grant-role app candidate");
    a.wait_leading(ROLE_BOUND);
}

fn spec(id: &str, etcd: &Etcd, password: &Path) -> Spec {
    let user = format!("username: app, password_file: {password:?}");
    Spec::on_secured(id, &[etcd.endpoint()], &user).lease(ms(15_000), ms(10_000), ms(1_000))
}

fn password_file(directory: &Path, password: &str) -> PathBuf {
    let file = directory.join("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    file
}

#[track_caller]
fn still_led(a: &Sidecar, token: u64) {
    wait_for_one_leader(&[a], ms(1_000));
    assert_eq!(a.wait_leading(ms(1_000)), token);
}

#[track_caller]
fn change_password(root: &Etcdctl, password: &str) {
    run_as(root, "user delete app");
    run_as(root, &format!("user add app:{password}"));
    run_as(root, "user grant-role app candidate");
}

#[track_caller]
fn run_as(root: &Etcdctl, command: &str) {
    let arguments: Vec<&str> = command.split(' ').collect();
    root.run(&arguments);
}

#[track_caller]
fn openssl(arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' '));
    let output = run(&mut command, "install it: apt-get install openssl");
    assert_eq!(output.code, Some(0), "openssl {arguments}: {output:?}");
}
