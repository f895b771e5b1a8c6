//! What can be wrong with TLS to etcd, and that it is said so that it can be mended.

use crate::support::certificates::{Certificates, SERVER_NAME};
use crate::support::etcd::Etcd;
use crate::support::sidecar::{ROLE_BOUND, Spec};
use crate::support::{eventually, ms};
use std::fs;

#[test]
fn a_file_that_can_t_be_used_is_refused_at_start_with_its_key_and_its_name() {
    let made = Certificates::made();
    let strangers = Certificates::made();
    let write = |name: &str, text: &[u8]| fs::write(made.file(name), text).unwrap();
    write("empty", b"");
    write("garbage", b"no PEM\n");
    write("binary", &[0xff, 0x00, 0x30]);
    write(
        "damaged",
        b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    );
    write(
        "hollow",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    made.openssl("pkey -in client.key -aes256 -passout pass:secret-4242 -out encrypted");
    made.openssl("ec -in client.key -aes256 -passout pass:secret-4242 -out encrypted-as-of-old");
    fs::copy(strangers.file("client.key"), made.file("stranger.key")).unwrap();
    made.issue("expired", -1);
    // As it comes out of a variable of the environment.
    let key_text = fs::read_to_string(made.file("client.key")).unwrap();
    let secret = key_text.lines().nth(1).unwrap().to_owned();
    write("key-in-a-line", key_text.replace('\n', "\\n").as_bytes());
    write(
        "key-without-end",
        &key_text.as_bytes()[..key_text.len() - 20],
    );

    let (ca, cert, key) = ("ca.pem", "client.pem", "client.key");
    for (files, at_fault, said) in [
        (
            ["missing", cert, key],
            ("ca_file", "missing"),
            "No such file",
        ),
        (
            ["empty", cert, key],
            ("ca_file", "empty"),
            "holds no certificate in PEM",
        ),
        (
            ["garbage", cert, key],
            ("ca_file", "garbage"),
            "holds no certificate in PEM",
        ),
        (["binary", cert, key], ("ca_file", "binary"), "UTF-8"),
        (["damaged", cert, key], ("ca_file", "damaged"), "is damaged"),
        (
            ["hollow", cert, key],
            ("ca_file", "hollow"),
            "certificate 1 in it can't be read",
        ),
        (
            [ca, "empty", key],
            ("cert_file", "empty"),
            "holds no certificate in PEM",
        ),
        ([ca, key, key], ("cert_file", key), "but a private key"),
        (
            [ca, "hollow", key],
            ("cert_file", "hollow"),
            "can't be read",
        ),
        (
            [ca, "expired.pem", "expired.key"],
            ("cert_file", "expired.pem"),
            "; renew it",
        ),
        (
            [ca, cert, "missing"],
            ("key_file", "missing"),
            "No such file",
        ),
        (
            [ca, cert, "garbage"],
            ("key_file", "garbage"),
            "holds no private key in PEM",
        ),
        ([ca, cert, cert], ("key_file", cert), "but a certificate"),
        (
            [ca, cert, "encrypted"],
            ("key_file", "encrypted"),
            "is encrypted; decrypt it",
        ),
        (
            [ca, cert, "encrypted-as-of-old"],
            ("key_file", "encrypted-as-of-old"),
            "is encrypted; decrypt it",
        ),
        (
            [ca, cert, "key-in-a-line"],
            ("key_file", "key-in-a-line"),
            "is damaged",
        ),
        (
            [ca, cert, "key-without-end"],
            ("key_file", "key-without-end"),
            "is damaged",
        ),
        (
            [ca, "key-in-a-line", key],
            ("cert_file", "key-in-a-line"),
            "is damaged",
        ),
        (
            ["key-in-a-line", cert, key],
            ("ca_file", "key-in-a-line"),
            "is damaged",
        ),
        (
            [ca, cert, "stranger.key"],
            ("key_file", "stranger.key"),
            "is not the key of the certificate",
        ),
    ] {
        let [ca, cert, key] = files.map(|name| made.file(name));
        let settings =
            format!("tls: {{ ca_file: {ca:?}, cert_file: {cert:?}, key_file: {key:?} }}");
        let endpoints = ["https://127.0.0.1:1".to_owned()];
        let mut a = Spec::on_secured("a", &endpoints, &settings).start();
        let status = a.wait_exit(ROLE_BOUND);
        assert!(matches!(status.code(), Some(1 | 2)), "{files:?}: {status}");
        let place = format!(
            "store.etcd.tls.{}: {}",
            at_fault.0,
            made.file(at_fault.1).display()
        );
        let log = a.log();
        assert!(
            log.contains(&place) && log.contains(said),
            "{files:?}: {log}"
        );
        assert_eq!(log.lines().count(), 1, "{log}");
        // Nor as a list of its bytes.
        assert!(!log.contains(&secret) && !log.contains("45, 45"), "{log}");
    }
}

#[test]
fn what_only_the_handshake_shows_is_said_with_the_endpoint_and_the_remedy() {
    let made = Certificates::made();
    let strangers = Certificates::made();
    let expired = Certificates::made();
    expired.issue("server", -1);
    let [mut mutual, mut one_way, mut outdated, mut plain] = [
        Etcd::with_tls(&made),
        Etcd::with_server_tls(&made),
        Etcd::with_server_tls(&expired),
        Etcd::absent(),
    ];
    for etcd in [&mut mutual, &mut one_way, &mut outdated, &mut plain] {
        etcd.start();
    }
    for etcd in [&mut mutual, &mut one_way, &mut outdated, &mut plain] {
        etcd.wait_until_healthy();
    }
    let identity = |of: &Certificates| {
        let (cert, key) = (of.file("client.pem"), of.file("client.key"));
        format!("cert_file: {cert:?}, key_file: {key:?}")
    };
    let named = format!("server_name: {SERVER_NAME}");
    let tls = |ca: &Certificates, more: &str| {
        format!("tls: {{ ca_file: {:?}, {more} }}", ca.file("ca.pem"))
    };
    let over = |scheme: &str, etcd: &Etcd| format!("{scheme}://127.0.0.1:{}", etcd.port());
    for (endpoint, settings, said) in [
        (
            over("https", &outdated),
            tls(&expired, &named),
            "the server's certificate has expired",
        ),
        (
            over("https", &one_way),
            tls(&made, ""),
            "the server's certificate is not for 127.0.0.1, but for etcd.local, localhost; set store.etcd.tls.server_name",
        ),
        (
            over("https", &one_way),
            tls(&strangers, &named),
            "an authority that is not in store.etcd.tls.ca_file",
        ),
        (
            over("https", &one_way),
            format!("tls: {{ {named} }}"),
            "name a file with its certificate in store.etcd.tls.ca_file",
        ),
        (
            over("https", &mutual),
            tls(&made, &named),
            "set store.etcd.tls.cert_file and key_file",
        ),
        (
            over("https", &mutual),
            tls(&made, &format!("{named}, {}", identity(&strangers))),
            "refuses the client certificate in store.etcd.tls.cert_file",
        ),
        (
            over("https", &plain),
            tls(&made, &named),
            "write http:// for this endpoint",
        ),
        (
            over("http", &one_way),
            String::new(),
            "write https:// for this endpoint",
        ),
    ] {
        let a = Spec::on_secured("a", std::slice::from_ref(&endpoint), &settings)
            .environment("SSL_CERT_FILE", &strangers.file("ca.pem"))
            .start();
        eventually(&format!("it says {said:?}"), ROLE_BOUND, || {
            let log = a.log();
            let mut lines = log.lines().filter(|line| line.contains(said));
            lines.any(|line| line.contains(&endpoint)).then_some(())
        });
        assert_eq!(a.status_of("/livez"), Some(200));
        assert_eq!(a.status_of("/leader"), Some(503));
    }
}

#[test]
fn without_a_ca_file_the_authorities_of_the_system_are_trusted() {
    let made = Certificates::made();
    let mut etcd = Etcd::with_server_tls(&made);
    etcd.start();
    etcd.wait_until_healthy();
    let settings = format!("tls: {{ server_name: {SERVER_NAME} }}");
    let spec = Spec::on_secured("a", &[etcd.endpoint()], &settings);
    let mut a = spec
        .clone()
        .environment("SSL_CERT_FILE", &made.file("ca.pem"))
        .start_leading();
    a.end_well();
    // A system without any says so at the start.
    let mut b = spec
        .environment("SSL_CERT_FILE", &made.file("none"))
        .environment("SSL_CERT_DIR", &made.file("none"))
        .start();
    let status = b.wait_exit(ms(5_000));
    assert!(matches!(status.code(), Some(1 | 2)), "{status}");
    assert!(
        b.log().contains("store.etcd.tls.ca_file: is not set"),
        "{}",
        b.log()
    );
}
