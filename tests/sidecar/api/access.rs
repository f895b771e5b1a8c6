//! Who is answered on a port, and to whom a token is sent.

use super::{NEXT_TOKEN, Scene, TOKEN, over_tls, verb};
use crate::support::certificates::Certificates;
use crate::support::http::{Client, Question};
use crate::support::ms;
use crate::support::sidecar::ROLE_BOUND;
use std::fs;
use std::path::Path;

#[test]
fn a_port_for_all_wants_tls_and_the_token_for_every_path() {
    let scene = Scene::new();
    let certificates = Certificates::made();
    let (mut a, token_file) = scene.for_all(&certificates);
    let with_token = format!("Authorization: Bearer {TOKEN}\r\n");
    for (method, path, status) in [
        ("GET", "/leader", 200),
        ("HEAD", "/leader", 200),
        ("GET", "/", 200),
        ("GET", "/livez", 200),
        ("GET", "/nowhere", 404),
        ("POST", "/resign?stopped=maybe", 400),
    ] {
        let answer = over_tls(a.api, &certificates, method, path, &with_token).unwrap();
        assert_eq!(answer.0, status, "{method} {path}: {}", answer.1);
        for wrong in [
            String::new(),
            "Authorization: Bearer\r\n".to_owned(),
            format!("Authorization: Bearer {NEXT_TOKEN}\r\n"),
            format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
            format!("Authorization: Basic {TOKEN}\r\n"),
            format!("Authorization: {TOKEN}\r\n"),
            format!("{with_token}{with_token}"),
        ] {
            let answer = over_tls(a.api, &certificates, method, path, &wrong).unwrap();
            assert_eq!(answer.0, 401, "{method} {path} {wrong}");
            let asks = "www-authenticate: Bearer realm=\"tenure\"";
            assert!(answer.1.contains(asks), "{}", answer.1);
        }
    }
    let named = format!("Host: pod-0.payments.svc\r\n{with_token}");
    let answer = over_tls(a.api, &certificates, "GET", "/leader", &named).unwrap();
    assert_eq!(answer.0, 200, "who knows the token may call it anything");
    let lower = format!("authorization: bearer {TOKEN}\r\n");
    let answer = over_tls(a.api, &certificates, "GET", "/leader", &lower).unwrap();
    assert_eq!(answer.0, 200);
    assert!(
        Client::new(a.api, ms(5_000)).get("/leader").is_err(),
        "no TLS, no answer"
    );

    let url = format!("https://localhost:{}", a.api);
    let access = scene.access(&certificates, &token_file);
    assert_eq!(verb("is-leader", &url, &access).code, Some(0));
    let screen = verb("status", &url, &access);
    assert!(screen.stdout.contains("payments"), "{screen:?}");
    let refused = verb("status", &url, &access[..2]);
    assert!(refused.stderr.contains("401"), "{refused:?}");
    let resigned = verb("resign", &url, &[&access[..], &["--stopped"]].concat());
    assert_eq!(resigned.code, Some(0), "{resigned:?}");
    a.end_well();
}

#[test]
fn a_request_by_another_name_is_refused_by_the_api_and_not_by_the_probes() {
    let scene = Scene::new();
    let a = scene.spec("a").start_leading();
    let asked = |port: u16| {
        let mut question = Question::connect(port, ms(5_000)).unwrap();
        question
            .send(b"GET /leader HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            .unwrap();
        question.answer().unwrap()
    };
    let refused = asked(a.api);
    assert_eq!(refused.status, 421);
    assert!(refused.json()["error"].is_string());
    assert_eq!(asked(a.probes).status, 200);
}

#[test]
fn a_token_is_never_sent_where_others_can_hear_it_nor_to_whom_nobody_vouches_for() {
    let scene = Scene::new();
    let token_file = scene.token_file(TOKEN);
    let token = ["--token-file", token_file.to_str().unwrap()];
    let output = verb("status", "http://10.0.0.3:4040", &token);
    assert!(output.stderr.contains("for all to read"), "{output:?}");
    let output = verb("status", "https://localhost:1", &token);
    assert!(output.stderr.contains("--ca-file is needed"), "{output:?}");
    let output = verb(
        "status",
        "http://localhost:1",
        &["--token-file", "/nowhere"],
    );
    assert!(
        output.stderr.contains("--token-file /nowhere: "),
        "{output:?}"
    );

    let certificates = Certificates::made();
    let (a, token_file) = scene.for_all(&certificates);
    let strangers = Certificates::made();
    let url = format!("https://localhost:{}", a.api);
    let output = verb("status", &url, &scene.access(&strangers, &token_file));
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stderr
            .contains("is not trusted: it is of an authority"),
        "{output:?}"
    );

    let without_tls = format!("http://localhost:{}", a.api);
    let output = verb("status", &without_tls, &[]);
    assert!(output.stderr.contains("say https://"), "{output:?}");
    let plain = scene.spec("b").start_following();
    let with_tls = format!("https://localhost:{}", plain.api);
    let output = verb(
        "status",
        &with_tls,
        &scene.access(&certificates, &token_file),
    );
    assert!(output.stderr.contains("say http://"), "{output:?}");
    drop(plain);

    // As openssl makes it where nothing else is asked for.
    drop(a);
    let scene = Scene::new();
    strangers.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=tenure \
         -addext subjectAltName=DNS:localhost -keyout server.key -out server.pem",
    );
    fs::copy(strangers.file("server.pem"), strangers.file("ca.pem")).unwrap();
    let (a, token_file) = scene.for_all(&strangers);
    let url = format!("https://localhost:{}", a.api);
    let output = verb("status", &url, &scene.access(&strangers, &token_file));
    assert!(output.stderr.contains("CA:FALSE"), "{output:?}");
}

#[test]
fn what_is_no_good_at_the_start_is_said_by_key_and_file_but_not_shown() {
    let scene = Scene::new();
    let certificates = Certificates::made();
    let bad_token = scene.directory.path().join("bad-token");
    fs::write(&bad_token, "s3cret").unwrap();
    let other_key = certificates.file("client.key");
    let damaged_key = scene.directory.path().join("damaged.key");
    let key = fs::read_to_string(certificates.file("server.key")).unwrap();
    let middle = key.len() / 2;
    fs::write(
        &damaged_key,
        [&key[..middle], "AAAA", &key[middle + 4..]].concat(),
    )
    .unwrap();
    let identity = |key: &Path| {
        let cert = certificates.file("server.pem");
        format!("tls: {{ cert_file: {cert:?}, key_file: {key:?} }}")
    };
    for (settings, words) in [
        (
            format!("token_file: {bad_token:?}"),
            [
                "http.token_file: /",
                "/bad-token: the token has 6 characters",
            ],
        ),
        (
            "token_file: /nowhere/token".to_owned(),
            ["http.token_file: ", "/nowhere/token: "],
        ),
        (
            identity(&other_key),
            [
                "http.tls: /",
                "/client.key: does not go with the certificate",
            ],
        ),
        (
            identity(&damaged_key),
            ["http.tls: /", "/damaged.key: can't be used: "],
        ),
        (
            identity(&certificates.file("server.pem")),
            [
                "http.tls: /",
                "/server.pem: holds no private key in PEM, but a certificate",
            ],
        ),
        (
            identity(Path::new("/nowhere/key")),
            ["http.tls: ", "/nowhere/key: "],
        ),
    ] {
        let settings = format!("api: \"127.0.0.1:API\", probes: \"127.0.0.1:PROBES\", {settings}");
        let mut a = scene.spec("a").http(&settings).start();
        assert_eq!(a.wait_exit(ROLE_BOUND).code(), Some(1));
        let log = a.log();
        for word in words {
            assert!(log.contains(word), "no {word} in {log}");
        }
        assert!(!log.contains("s3cret") && !log.contains("BEGIN"), "{log}");
    }
}
