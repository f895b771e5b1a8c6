//! Certificates of a cluster that are exchanged while a sidecar leads on its Leases.

use crate::support::api_server::ApiServer;
use crate::support::certificates::{Certificates, SERVER_NAME};
use crate::support::sidecar::{RETRY_PERIOD, ROLE_BOUND, Sidecar, Spec, TTL};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use serde_json::json;
use std::fs;
use tempfile::TempDir;
use tenure::tls;

/// Longer than it takes to see that files have changed and come to rest.
const REREAD_BOUND: std::time::Duration = ms(10_000);

const REREAD: &str = "the cluster's credentials reread";
const NOT_REREAD: &str = "the cluster's credentials not reread";

const CA: &str = "ca.pem";

/// A server, and the files by which a candidate is let in.
struct Secured {
    server: ApiServer,
    directory: TempDir,
}

impl Secured {
    fn by(certificates: &Certificates) -> Self {
        let server = ApiServer::started();
        server.secure(certificates, &text(certificates, CA));
        let directory = TempDir::new().unwrap();
        // Beside the files that it names.
        let kubeconfig = json!({
            "current-context": "fake",
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake" } }],
            "clusters": [{ "name": "fake", "cluster": {
                "server": format!("https://127.0.0.1:{}", server.port()),
                "certificate-authority": CA,
                "tls-server-name": SERVER_NAME,
            } }],
            "users": [{ "name": "fake", "user": {
                "client-certificate": "client.pem", "client-key": "client.key",
            } }],
        });
        let secured = Secured { server, directory };
        secured.put("kubeconfig", &kubeconfig.to_string());
        for name in [CA, "client.pem", "client.key"] {
            secured.put(name, &text(certificates, name));
        }
        secured
    }

    fn put(&self, name: &str, content: &str) {
        let next = self.directory.path().join("next");
        fs::write(&next, content).unwrap();
        fs::rename(next, self.directory.path().join(name)).unwrap();
    }

    fn start_leading(&self) -> Sidecar {
        let kubeconfig = self.directory.path().join("kubeconfig");
        Spec::on_kubernetes("a", &kubeconfig).start_leading()
    }
}

fn text(certificates: &Certificates, name: &str) -> String {
    fs::read_to_string(certificates.file(name)).unwrap()
}

fn wait_until_said(sidecar: &Sidecar, message: &str, times: usize) {
    eventually(message, REREAD_BOUND, || {
        (sidecar.log().matches(message).count() == times).then_some(())
    });
}

#[test]
fn authorities_and_certificates_of_both_sides_are_exchanged_while_leading() {
    let (old, new) = (Certificates::made(), Certificates::made());
    let cluster = Secured::by(&old);
    let a = cluster.start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a]);

    let both = [&old, &new].map(|made| text(made, CA)).concat();
    cluster.put(CA, &both);
    wait_until_said(&a, REREAD, 1);
    cluster.server.secure(&new, &both);
    let_pass(TTL);
    cluster.put(CA, &text(&new, CA));
    wait_until_said(&a, REREAD, 2);

    // Nobody hangs up this time.
    cluster.put("client.pem", &text(&new, "client.pem"));
    cluster.put("client.key", &text(&new, "client.key"));
    let mine = tls::certificates(text(&new, "client.pem").as_bytes()).unwrap();
    eventually("it is shown", REREAD_BOUND, || {
        (cluster.server.certificate()? == *mine[0]).then_some(())
    });
    let_pass(RETRY_PERIOD * 2);

    assert_eq!(a.wait_leading(ROLE_BOUND), token);
    assert_eq!(witnesses.judged().succession(), ["a"]);
}

#[test]
fn a_damaged_file_leaves_the_former_authorities_in_use_and_is_told_once() {
    let made = Certificates::made();
    let cluster = Secured::by(&made);
    let a = cluster.start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a]);

    cluster.put(CA, "garbage");
    wait_until_said(&a, NOT_REREAD, 1);
    assert!(a.log().contains("ca.pem: holds no certificate in PEM"));
    // Whoever connects now still trusts the former.
    cluster.server.secure(&made, &text(&made, CA));
    let_pass(TTL);
    assert_eq!(a.wait_leading(ROLE_BOUND), token);
    assert_eq!(a.log().matches(NOT_REREAD).count(), 1);

    cluster.put(CA, &text(&made, CA));
    wait_until_said(&a, REREAD, 1);
    assert_eq!(a.wait_leading(ROLE_BOUND), token);
    assert_eq!(witnesses.judged().succession(), ["a"]);
}
