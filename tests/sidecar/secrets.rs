//! Secrets are where they have to be, and nowhere else.

use crate::support::certificates::Certificates;
use crate::support::etcd::Etcd;
use crate::support::sidecar::{ROLE_BOUND, Spec, run_tenure};
use crate::support::{eventually, ms};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TOKEN: &str = "token-515151515151515151";
const PASSWORD: &str = "password-6262626262";

#[test]
fn no_secret_is_in_the_log_at_any_level_nor_in_any_answer_or_output() {
    let etcd = etcd_with_a_user();
    let certificates = Certificates::made();
    let directory = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let file = directory.path().join(name);
        fs::write(&file, content).unwrap();
        file
    };
    let (token_file, password_file) = (file("token", TOKEN), file("password", PASSWORD));
    let status_file = directory.path().join("status.json");
    let settings = format!("username: app, password_file: {password_file:?}");
    let http = format!(
        "api: \"127.0.0.1:API\", probes: \"127.0.0.1:PROBES\", token_file: {token_file:?}, \
         tls: {{ cert_file: {:?}, key_file: {:?} }}",
        certificates.file("server.pem"),
        certificates.file("server.key"),
    );
    let mut a = Spec::on_secured("a", &[etcd.endpoint()], &settings)
        .http(&http)
        .with(&format!("status_file: {status_file:?}"))
        .with("log: { level: trace }")
        .start();
    a.wait_leading(ROLE_BOUND);
    let key = fs::read_to_string(certificates.file("server.key")).unwrap();
    let key_line = key.lines().nth(1).unwrap().to_owned();
    let secrets = [TOKEN, PASSWORD, &key_line];
    let hides = |what: &str, text: &str| {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {what}");
        }
    };

    let url = format!("https://localhost:{}", a.api);
    let ca_file = certificates.file("ca.pem");
    let access = [
        "--url",
        &url,
        "--ca-file",
        path(&ca_file),
        "--token-file",
        path(&token_file),
    ];
    for verb in [
        &["status"][..],
        &["status", "--json"],
        &["is-leader"],
        &["pause"],
        &["resume"],
    ] {
        let output = run_tenure(&[verb, &access].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        hides(verb[0], &format!("{output:?}"));
    }
    for probed in ["/status", "/leader", "/metrics", "/", "/livez"] {
        hides(probed, &a.probe(probed).body);
    }
    let check = run_tenure(&["check", "--config", path(&a.config)]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.stdout.contains(path(&token_file)), "{check:?}");
    hides("check", &format!("{check:?}"));
    // What is found wrong later is not shown either.
    for (complaints, content) in [(1, "short-s3cret"), (2, "s3cret with spaces in it")] {
        fs::write(&token_file, content).unwrap();
        a.signal(Signal::HUP);
        eventually("a complaint", ROLE_BOUND, || {
            let said = a.log().matches("files not reread").count();
            (said == complaints).then_some(())
        });
        assert!(!a.log().contains("s3cret"));
    }
    fs::write(&password_file, "wrong-7373737373").unwrap();
    a.signal(Signal::HUP);
    eventually("a complaint of etcd's", ms(20_000), || {
        a.log().contains("not accepted").then_some(())
    });
    assert!(!a.log().contains("wrong-7373737373"));
    hides(
        "the status file",
        &fs::read_to_string(&status_file).unwrap(),
    );
    a.end_well();
    let log = a.log();
    assert!(
        log.contains("TRACE"),
        "the log is not at trace level:\n{log}"
    );
    hides("the log", &log);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn etcd_with_a_user() -> Etcd {
    let etcd = Etcd::started();
    for command in [
        "user add root:secret".to_owned(),
        "user grant-role root root".to_owned(),
        "role add candidate".to_owned(),
        "role grant-permission candidate readwrite /tenure/ --prefix=true".to_owned(),
        format!("user add app:{PASSWORD}"),
        "user grant-role app candidate".to_owned(),
        "auth enable".to_owned(),
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        etcd.ctl().run(&arguments);
    }
    etcd
}
