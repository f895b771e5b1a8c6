//! Credentials that are exchanged while a sidecar leads.

use crate::support::certificates::{Certificates, SERVER_NAME};
use crate::support::etcd::Etcd;
use crate::support::relay::{Mode, Relay};
use crate::support::sidecar::{ROLE_BOUND, Sidecar, Spec};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

/// Longer than it takes to see that files have changed and come to rest.
const REREAD_BOUND: std::time::Duration = ms(10_000);

#[test]
fn certificates_and_authorities_are_exchanged_while_leading_and_later_connections_use_the_new_ones()
{
    let (old, new) = (Certificates::made(), Certificates::made());
    // Told from the old ones by when it ends.
    new.issue("client", 20);
    let both = [&old, &new].map(|made| read(&made.file("ca.pem"))).concat();
    let secret = Secret::mounted(&read(&old.file("ca.pem")), &old);
    let server = TempDir::new().unwrap();
    let of_server = |made: &Certificates, trusted: &str| {
        for name in ["server.pem", "server.key"] {
            fs::copy(made.file(name), server.path().join(name)).unwrap();
        }
        fs::write(server.path().join("ca.pem"), trusted).unwrap();
    };
    of_server(&old, &both);
    let mut etcd = Etcd::with_tls_in(server.path());
    etcd.start();
    etcd.wait_until_healthy();
    let mut a = secret.spec("a", &etcd).start_leading();
    let b = secret.spec("b", &etcd).start_following();
    let token = a.wait_leading(ROLE_BOUND);
    let expiry = || a.metric("tenure_certificate_expiry_timestamp_seconds", &["client"]);
    let first_expiry = expiry();
    let witnesses = Witnesses::of(&[&a, &b]);

    // First what is shown, and whom to trust besides.
    secret.swap(&both, &new);
    for sidecar in [&a, &b] {
        reloaded(sidecar, 1.0);
    }
    assert!(expiry() > first_expiry + 10.0 * 86_400.0);
    // Then the server, which takes the old ones no more.
    of_server(&new, &read(&new.file("ca.pem")));
    restart(&mut etcd);
    // Then whom to trust no more.
    secret.swap(&read(&new.file("ca.pem")), &new);
    for sidecar in [&a, &b] {
        reloaded(sidecar, 2.0);
        assert_eq!(sidecar.metric("tenure_credentials_valid", &[]), 1.0);
    }
    restart(&mut etcd);
    let_pass(ms(1_000));
    still_leads(&a, token);

    a.end_well();
    b.wait_leading(ROLE_BOUND);
    assert_eq!(witnesses.judged().succession(), ["a", "b"]);
}

#[test]
fn a_bad_file_leaves_the_former_credentials_in_use_and_is_told_once() {
    let (made, strangers) = (Certificates::made(), Certificates::made());
    let ca = read(&made.file("ca.pem"));
    let secret = Secret::mounted(&ca, &made);
    let mut etcd = Etcd::with_tls(&made);
    etcd.start();
    etcd.wait_until_healthy();
    let a = secret.spec("a", &etcd).start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a]);

    // One that is no certificate, one that etcd does not take, and an authority that etcd is not of.
    secret.swap("garbage", &made);
    failed(&a, 1.0, "store.etcd.tls.ca_file: ");
    secret.swap(&ca, &strangers);
    failed(
        &a,
        2.0,
        "refuses the client certificate in store.etcd.tls.cert_file",
    );
    secret.swap(&read(&strangers.file("ca.pem")), &made);
    failed(
        &a,
        3.0,
        "an authority that is not in store.etcd.tls.ca_file",
    );
    // Time for many a look.
    let_pass(ms(3_500));
    let errors = a.log().matches("ERROR").count();
    assert_eq!(errors, 3, "{}", a.log());
    // What was in use still opens new connections.
    restart(&mut etcd);
    let_pass(ms(1_000));
    still_leads(&a, token);
    assert_eq!(a.metric("tenure_credentials_valid", &[]), 0.0);

    secret.swap(&ca, &made);
    reloaded(&a, 1.0);
    assert_eq!(a.metric("tenure_credentials_valid", &[]), 1.0);
    still_leads(&a, token);
    assert_eq!(witnesses.judged().succession(), ["a"]);
}

#[test]
fn a_certificate_that_etcd_refuses_from_the_start_is_shown_as_invalid_until_one_is_taken() {
    let (made, strangers) = (Certificates::made(), Certificates::made());
    let ca = read(&made.file("ca.pem"));
    let secret = Secret::mounted(&ca, &strangers);
    let mut etcd = Etcd::with_tls(&made);
    etcd.start();
    etcd.wait_until_healthy();
    let a = secret.spec("a", &etcd).start();
    eventually("credentials refused", ROLE_BOUND, || {
        a.status_of("/livez")?;
        (a.metric("tenure_credentials_valid", &[]) == 0.0).then_some(())
    });
    secret.swap(&ca, &made);
    a.wait_leading(REREAD_BOUND);
    assert_eq!(a.metric("tenure_credentials_valid", &[]), 1.0);
}

#[test]
fn a_certificate_that_is_written_before_its_key_is_not_taken_for_a_bad_one() {
    let (made, next) = (Certificates::made(), Certificates::made());
    let both = [&made, &next]
        .map(|made| read(&made.file("ca.pem")))
        .concat();
    fs::write(made.file("trusted.pem"), &both).unwrap();
    let mut etcd = Etcd::with_tls(&made).with(&[&format!(
        "--trusted-ca-file={}",
        made.file("trusted.pem").display()
    )]);
    etcd.start();
    etcd.wait_until_healthy();
    let secret = Secret::mounted(&read(&made.file("ca.pem")), &made);
    let a = secret.spec("a", &etcd).start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    for name in ["client.pem", "client.key"] {
        fs::copy(next.file(name), secret.file(name)).unwrap();
        let_pass(ms(200));
    }
    reloaded(&a, 1.0);
    let failures = a.metric("tenure_credentials_reloads_total", &["failed"]);
    assert_eq!(failures, 0.0, "{}", a.log());
    still_leads(&a, token);
}

#[test]
fn what_is_exchanged_while_nobody_answers_is_not_blamed_for_that_and_taken_into_use_later() {
    let made = Certificates::made();
    let ca = read(&made.file("ca.pem"));
    let secret = Secret::mounted(&ca, &made);
    let mut etcd = Etcd::with_tls(&made);
    etcd.start();
    etcd.wait_until_healthy();
    let a = secret.spec("a", &etcd).start_leading();
    let token = a.wait_leading(ROLE_BOUND);

    etcd.kill();
    made.issue("client", 20);
    secret.swap(&ca, &made);
    // Time to see it, and to be refused many a time.
    let_pass(ms(5_000));
    let failures = a.metric("tenure_credentials_reloads_total", &["failed"]);
    assert_eq!(failures, 0.0, "{}", a.log());
    assert_eq!(a.metric("tenure_credentials_valid", &[]), 1.0);
    etcd.start();
    etcd.wait_until_healthy();
    reloaded(&a, 1.0);
    still_leads(&a, token);
}

#[test]
fn credentials_that_were_refused_cost_no_time_on_endpoints_that_hang() {
    let (made, strangers) = (Certificates::made(), Certificates::made());
    let ca = read(&made.file("ca.pem"));
    let secret = Secret::mounted(&ca, &made);
    let mut etcd = Etcd::with_tls(&made);
    etcd.start();
    etcd.wait_until_healthy();
    let hanging = [(); 4].map(|()| Relay::to(etcd.port()));
    let relayed = hanging
        .iter()
        .map(|relay| relay.endpoint().replace("http:", "https:"));
    let endpoints: Vec<_> = relayed.chain([etcd.endpoint()]).collect();
    // Five answers late, and there is a deadline for seven. Eight would be waited for if each were asked twice.
    let spec = Spec::on_secured("a", &endpoints, &secret.tls());
    let a = spec.lease(ms(9_000), ms(5_600), ms(800)).start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    secret.swap(&ca, &strangers);
    failed(&a, 1.0, "refuses the client certificate");

    for relay in &hanging {
        relay.set(Mode::Silent);
    }
    let_pass(ms(9_000));
    still_leads(&a, token);
}

#[test]
fn a_hangup_exchanges_the_connection_and_costs_no_leadership() {
    let made = Certificates::made();
    let secret = Secret::mounted(&read(&made.file("ca.pem")), &made);
    let mut etcd = Etcd::with_tls(&made);
    etcd.start();
    etcd.wait_until_healthy();
    let mut a = secret.spec("a", &etcd).start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    let opened = etcd.calls()["LeaseKeepAlive"];
    let witnesses = Witnesses::of(&[&a]);
    for count in 1..=3 {
        a.signal(Signal::HUP);
        reloaded(&a, f64::from(count));
    }
    eventually("keepalives on a new connection", ROLE_BOUND, || {
        (etcd.calls()["LeaseKeepAlive"] > opened).then_some(())
    });
    still_leads(&a, token);
    assert_eq!(witnesses.judged().succession(), ["a"]);
}

/// Files as Kubernetes mounts them: links through a link that is exchanged.
struct Secret(TempDir);

impl Secret {
    fn mounted(ca: &str, client: &Certificates) -> Secret {
        let secret = Secret(TempDir::new().unwrap());
        secret.swap(ca, client);
        for name in ["ca.pem", "client.pem", "client.key"] {
            symlink(Path::new("..data").join(name), secret.file(name)).unwrap();
        }
        secret
    }

    fn swap(&self, ca: &str, client: &Certificates) {
        let version = TempDir::new_in(&self.0).unwrap().keep();
        fs::write(version.join("ca.pem"), ca).unwrap();
        for name in ["client.pem", "client.key"] {
            fs::copy(client.file(name), version.join(name)).unwrap();
        }
        symlink(&version, self.file("..new")).unwrap();
        fs::rename(self.file("..new"), self.file("..data")).unwrap();
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn tls(&self) -> String {
        let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| self.file(name));
        format!(
            "tls: {{ ca_file: {ca:?}, cert_file: {cert:?}, key_file: {key:?}, server_name: {SERVER_NAME} }}"
        )
    }

    /// With a lease that outlives an etcd's restart.
    fn spec(&self, id: &str, etcd: &Etcd) -> Spec {
        Spec::on_secured(id, &[etcd.endpoint()], &self.tls()).lease(
            ms(30_000),
            ms(20_000),
            ms(1_000),
        )
    }
}

#[track_caller]
fn reloaded(sidecar: &Sidecar, count: f64) {
    eventually("credentials reread", REREAD_BOUND, || {
        let reloads = sidecar.metric("tenure_credentials_reloads_total", &["\"ok\""]);
        (reloads == count).then_some(())
    });
}

#[track_caller]
fn failed(sidecar: &Sidecar, count: f64, said: &str) {
    eventually("credentials refused", REREAD_BOUND, || {
        let failures = sidecar.metric("tenure_credentials_reloads_total", &["failed"]);
        (failures == count).then_some(())
    });
    eventually(&format!("an error with {said:?}"), ms(2_000), || {
        let log = sidecar.log();
        let mut errors = log.lines().filter(|line| line.contains("ERROR"));
        errors.any(|line| line.contains(said)).then_some(())
    });
}

#[track_caller]
fn still_leads(sidecar: &Sidecar, token: u64) {
    assert_eq!(sidecar.wait_leading(ms(1_000)), token);
    assert_eq!(
        sidecar.metric("tenure_step_downs_total", &["deadline"]),
        0.0
    );
    let transitions = sidecar.metric("tenure_transitions_total", &["\"leader\""]);
    assert_eq!(transitions, 1.0);
}

#[track_caller]
fn restart(etcd: &mut Etcd) {
    etcd.kill();
    etcd.start();
    etcd.wait_until_healthy();
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}
