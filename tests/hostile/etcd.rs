//! Whoever may write to etcd may put anything where a candidate's value is expected.

use super::cases;
use super::said::{Candidate, said_by};
use crate::support::etcd::Etcd;
use crate::support::http::{Client, Events};
use crate::support::sidecar::{ELECTION, PREFIX, ROLE_BOUND, Sidecar, Spec, run_tenure};
use crate::support::{eventually, ms};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use tokio::runtime::Runtime;

/// A follower of a candidate whose value is put by hand.
struct Scene {
    runtime: Runtime,
    client: RefCell<etcd_client::Client>,
    follower: Sidecar,
    _etcd: Etcd,
}

impl Scene {
    fn new() -> Scene {
        let etcd = Etcd::started();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = etcd_client::Client::connect([etcd.endpoint()], None);
        let mut client = runtime.block_on(client).unwrap();
        runtime.block_on(client.put(key(), "x", None)).unwrap();
        let follower = Spec::on_etcd("a", &etcd).start_following();
        Scene {
            runtime,
            client: RefCell::new(client),
            follower,
            _etcd: etcd,
        }
    }

    /// Puts a value, and waits until the follower shows what it says.
    fn leader_says(&self, value: &[u8]) -> Candidate {
        let mut client = self.client.borrow_mut();
        self.runtime
            .block_on(client.put(key(), value, None))
            .unwrap();
        let said = said_by(value);
        let what = format!("shown: {}", value[..value.len().min(80)].escape_ascii());
        eventually(&what, ROLE_BOUND, || {
            let answer = Client::new(self.follower.probes, ms(5_000))
                .get("/leader")
                .ok()?;
            let shown = &answer.json()["leader"];
            (shown["id"] == said.0.as_str() && shown["advertise"].as_str() == said.1.as_deref())
                .then_some(())
        });
        said
    }

    fn page(&self) -> String {
        let accept = [("Accept", "text/html")];
        let page = Client::new(self.follower.probes, ms(5_000)).request("GET", "/", &accept);
        page.unwrap().body
    }
}

fn key() -> String {
    format!("{PREFIX}1")
}

fn markup(page: &str) -> usize {
    page.matches(['<', '>', '"', '\'']).count()
}

#[test]
fn nothing_that_a_foreign_leader_says_breaks_json_the_terminal_the_page_or_the_log() {
    let scene = Scene::new();
    let plain = markup(&scene.page());
    let deep = format!("{{\"id\":\"x\",\"y\":{}", "[".repeat(100_000));
    let nested = format!(
        "{{\"id\":\"x\",\"y\":{}1{}}}",
        "[".repeat(100),
        "]".repeat(100)
    );
    let large = "<é\u{1b}]0;x\u{7}>".repeat(100_000);
    let values: [&[u8]; 19] = [
        b"",
        b"\xff\xfe\x00 \xc3",
        b"\x1b[2J\x1b[31mred\x07\r\nleader\x9b\x7f",
        "\u{9b}31m\u{85}\u{202e}\u{2028}".as_bytes(),
        b"<script>alert('1' & \"2\")</script><img src=x onerror=y>",
        b"null",
        b"42",
        b"[]",
        b"[\"a\"]",
        b"[\"a\",\"b\"]",
        b"{}",
        b"{\"id\":1}",
        b"{\"id\":null,\"advertise\":\"x\"}",
        b"{\"id\":\"a\",\"advertise\":7}",
        b"{\"id\":\"\\u0000\\u001b[2J<b>\",\"advertise\":\"\\\"><script>\\n2026 INFO x\"}",
        b"{\"id\":\"\\ud800\"}",
        nested.as_bytes(),
        deep.as_bytes(),
        large.as_bytes(),
    ];
    for value in values {
        let (id, _) = scene.leader_says(value);
        let shown = &value[..value.len().min(80)].escape_ascii();
        let json = scene.follower.ask("/status").json();
        assert_eq!(json["elections"][0]["leader"]["id"], id.as_str(), "{shown}");
        assert_eq!(
            scene.follower.ask("/").json()["name"],
            id.as_str(),
            "{shown}"
        );
        let api = scene.follower.api;
        let (_, event) = Events::subscribe(api, "/events", ms(5_000))
            .unwrap()
            .next_event()
            .unwrap();
        assert_eq!(event["leader"]["id"], id.as_str(), "{shown}");
        assert_eq!(markup(&scene.page()), plain, "{shown}");
        let status = run_tenure(&["status", "--url", &scene.follower.url()]);
        assert_eq!(status.code, Some(0), "{shown}: {}", status.stderr);
        let controls = status
            .stdout
            .replace('\n', "")
            .chars()
            .any(char::is_control);
        assert!(!controls && status.stdout.contains(ELECTION), "{shown}");
    }
    let log = scene.follower.log();
    for line in log.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.starts_with(|c: char| c.is_ascii_digit()), "{line:?}");
    }
    assert_eq!(scene.follower.status_of("/livez"), Some(200));
}

#[test]
fn any_value_of_a_leaders_key_is_shown_for_what_it_says() {
    let scene = Scene::new();
    let bytes = vec(any::<u8>(), 0..100);
    let pieces: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        "\"id\"",
        ":",
        ",",
        "\"advertise\"",
        "\"a\"",
        "null",
        "1",
        " ",
        "\\",
        "\"\\u0000\"",
        "\n",
        "true",
        "1e999",
        "{\"id\":\"a\"}",
        "{\"id\":\"a\",",
        "\u{feff}",
    ];
    let json = vec(select(pieces), 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    let runner = &mut TestRunner::new(cases(150));
    let result = runner.run(&prop_oneof![bytes, json], |value| {
        scene.leader_says(&value);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
