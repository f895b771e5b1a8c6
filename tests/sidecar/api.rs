//! The api where it is no port of loopback: a socket in the file system, or a port for all with TLS and a token.

use crate::support::certificates::Certificates;
use crate::support::http::{Client, Question};
use crate::support::process::{EXIT_BOUND, Output, Process, run};
use crate::support::sidecar::{ROLE_BOUND, Sidecar, Spec, run_tenure, tenure};
use crate::support::{eventually, ms};
use rustix::process::Signal;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

const TOKEN: &str = "first-4242424242424242";
const NEXT_TOKEN: &str = "second-171717171717171";

/// Files are looked at every second, and have to come to rest.
const NOTICED: Duration = ms(15_000);

/// More connections than a listener takes.
const TOO_MANY: usize = 300;

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

struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            directory: TempDir::new().unwrap(),
        }
    }

    fn spec(&self, id: &str) -> Spec {
        Spec::on_files(id, &self.directory.path().join("store"))
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("api.sock")
    }

    fn url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    fn settings(&self) -> String {
        let url = self.url();
        format!("api: {url:?}, api_mode: \"0660\", probes: \"127.0.0.1:PROBES\"")
    }

    fn on_socket(&self, id: &str) -> Spec {
        self.spec(id).http(&self.settings())
    }

    fn token_file(&self, token: &str) -> PathBuf {
        let file = self.directory.path().join("token");
        fs::write(&file, format!("{token}\n")).unwrap();
        file
    }

    /// One that leads, and can be reached from everywhere.
    fn for_all(&self, certificates: &Certificates) -> (Sidecar, PathBuf) {
        let token_file = self.token_file(TOKEN);
        let settings = format!(
            "api: \"0.0.0.0:API\", probes: \"127.0.0.1:PROBES\", token_file: {token_file:?}, \
             tls: {{ cert_file: {:?}, key_file: {:?} }}",
            certificates.file("server.pem"),
            certificates.file("server.key"),
        );
        (self.spec("a").http(&settings).start_leading(), token_file)
    }

    fn access(&self, certificates: &Certificates, token_file: &Path) -> [&'static str; 4] {
        let leaked = |file: &Path| -> &'static str { file.display().to_string().leak() };
        let ca_file = leaked(&certificates.file("ca.pem"));
        ["--ca-file", ca_file, "--token-file", leaked(token_file)]
    }
}

/// What the peer has not read is a reason for the kernel to call it a reset.
fn is_cut_off(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

#[track_caller]
fn verb(verb: &str, url: &str, more: &[&str]) -> Output {
    run_tenure(&[&[verb, "--url", url], more].concat())
}

/// The status of an answer, and all of it.
fn over_tls(
    port: u16,
    certificates: &Certificates,
    method: &str,
    path: &str,
    headers: &str,
) -> io::Result<(u16, String)> {
    let trusted = fs::read(certificates.file("ca.pem"))?;
    let roots = tenure::tls::authorities(&trusted).map_err(io::Error::other)?;
    let config = tenure::tls::client(roots, None).map_err(io::Error::other)?;
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ms(5_000)))?;
    let mut tls = StreamOwned::new(session, stream);
    let request = format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    tls.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, answer))
}
