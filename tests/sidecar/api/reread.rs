//! Tokens and certificates whose files change under a sidecar that runs.

use super::{NEXT_TOKEN, Scene, TOKEN, TOO_MANY, is_cut_off, over_tls};
use crate::support::certificates::Certificates;
use crate::support::sidecar::{ROLE_BOUND, Sidecar};
use crate::support::{eventually, ms};
use rustix::process::Signal;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

/// Files are looked at every second, and have to come to rest.
const NOTICED: Duration = ms(15_000);

#[test]
fn a_token_counts_from_when_its_file_holds_it_and_the_former_no_longer() {
    let scene = Scene::new();
    let certificates = Certificates::made();
    let (mut a, token_file) = scene.for_all(&certificates);
    let status = |token: &str| {
        let header = format!("Authorization: Bearer {token}\r\n");
        over_tls(a.api, &certificates, "GET", "/livez", &header).map(|answer| answer.0)
    };
    assert_eq!(status(TOKEN).unwrap(), 200);
    fs::write(&token_file, NEXT_TOKEN).unwrap();
    eventually("the next token", NOTICED, || {
        (status(NEXT_TOKEN).ok()? == 200).then_some(())
    });
    assert_eq!(status(TOKEN).unwrap(), 401);
    // One that is no good takes nobody's access away.
    fs::write(&token_file, "short").unwrap();
    eventually("a complaint", NOTICED, || {
        a.log().contains("files not reread").then_some(())
    });
    assert_eq!(status(NEXT_TOKEN).unwrap(), 200);
    let is_valid = |a: &Sidecar| a.metric("tenure_credentials_valid", &["http.token_file"]) == 1.0;
    assert!(!is_valid(&a));
    let failures = a.metric(
        "tenure_credentials_reloads_total",
        &["http.token_file", "failed"],
    );
    assert_eq!(failures, 1.0, "said once");
    assert!(!a.log().contains(NEXT_TOKEN) && !a.log().contains(TOKEN));
    // Who doesn't want to wait for it says so.
    fs::write(&token_file, TOKEN).unwrap();
    a.signal(Signal::HUP);
    let header = format!("Authorization: Bearer {TOKEN}\r\n");
    eventually("the first token", ms(4_000), || {
        let answer = over_tls(a.api, &certificates, "GET", "/livez", &header).ok()?;
        (answer.0 == 200).then_some(())
    });
    assert!(is_valid(&a));
}

#[test]
fn certificates_are_reread_when_they_change_and_probes_have_their_own() {
    let scene = Scene::new();
    let (first, second) = (Certificates::made(), Certificates::made());
    let place = |certificates: &Certificates| {
        for name in ["server.pem", "server.key"] {
            let file = scene.directory.path().join(name);
            fs::copy(certificates.file(name), file).unwrap();
        }
    };
    place(&first);
    let settings = format!(
        "api: \"127.0.0.1:API\", probes: \"127.0.0.1:PROBES\", probes_tls: {{ cert_file: {:?}, key_file: {:?} }}",
        scene.directory.path().join("server.pem"),
        scene.directory.path().join("server.key"),
    );
    let a = scene.spec("a").http(&settings).start();
    eventually("a leader", ROLE_BOUND, || {
        let answer = over_tls(a.probes, &first, "GET", "/leader", "").ok()?;
        (answer.0 == 200).then_some(())
    });
    assert!(over_tls(a.probes, &second, "GET", "/leader", "").is_err());
    assert_eq!(a.ask("/leader").status, 200, "the api is as it was");
    let expiry = |a: &Sidecar| {
        let metrics = over_tls(a.probes, &first, "GET", "/metrics", "").unwrap().1;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("tenure_certificate_expiry"));
        let line = line.expect("it has one").to_owned();
        assert!(
            line.contains("certificate=\"server\",key=\"http.probes_tls\""),
            "{line}"
        );
        line
    };
    expiry(&a);
    place(&second);
    eventually("the second certificate", NOTICED, || {
        over_tls(a.probes, &second, "GET", "/leader", "").ok()
    });
    assert!(over_tls(a.probes, &first, "GET", "/leader", "").is_err());
    assert!(!a.log().contains("ERROR"), "{}", a.log());

    // Who never begins to speak TLS is in nobody's way.
    let idle: Vec<TcpStream> = (0..TOO_MANY)
        .map(|_| TcpStream::connect(("127.0.0.1", a.probes)).unwrap())
        .collect();
    let answer = over_tls(a.probes, &second, "GET", "/livez", "").unwrap();
    assert_eq!(answer.0, 200);
    let mut first_one = &idle[0];
    first_one.set_read_timeout(Some(ms(10_000))).unwrap();
    assert!(is_cut_off(&mut first_one));
}
