//! The verbs of the command line, against real listeners.

use super::harness::{Fixture, follower, holder, leader_for, run, stopped};
use super::{LONG, ONE, TWO, with};
use std::io::Write;
use std::time::Duration;
use tenure::client::{Access, Resignation, is_leader, resign, status, watch};
use tenure::election::Time;
use tenure::http::Surface;
use tokio::sync::watch as changes;

#[test]
fn the_verbs_speak_to_the_listeners_and_exit_as_the_contract_says() {
    with(TWO, async |fixture| {
        let url = fixture.url(Surface::Api);
        let to = Access::to(&url);
        fixture.publish(0, leader_for(LONG));
        fixture.publish(1, follower(Some(holder("b"))));
        assert_eq!(is_leader(&to, Some("payments")).await.unwrap(), 0);
        assert_eq!(is_leader(&to, Some("reports")).await.unwrap(), 1);
        assert_eq!(is_leader(&to, Some("other")).await.unwrap_err().exit, 2);
        assert_eq!(is_leader(&to, None).await.unwrap_err().exit, 2);
        assert_eq!(fixture.promised_until(0), Time::ORIGIN);

        let mut out = Vec::new();
        assert_eq!(status(&to, false, &mut out).await.unwrap(), 0);
        let screen = String::from_utf8(out).unwrap();
        assert!(
            screen.contains("payments  leader    a (http://a:8080)"),
            "{screen}"
        );
        let mut out = Vec::new();
        assert_eq!(status(&to, true, &mut out).await.unwrap(), 0);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["elections"][1]["state"], "follower");

        let asked = |election: &str| Resignation {
            election: Some(election.into()),
            cooldown: Some(Duration::from_secs(3)),
            stopped: true,
        };
        fixture.release_after(0, Some(Duration::ZERO));
        let mut out = Vec::new();
        assert_eq!(resign(&to, &asked("payments"), &mut out).await.unwrap(), 0);
        assert!(
            String::from_utf8(out)
                .unwrap()
                .starts_with("resigned from payments;")
        );
        let error = resign(&to, &asked("reports"), &mut Vec::new()).await;
        assert_eq!(error.unwrap_err().exit, 1);
        let error = resign(&to, &asked("other"), &mut Vec::new()).await;
        assert_eq!(error.unwrap_err().exit, 2);
        let asked_for = (Duration::from_secs(3), true);
        assert_eq!(fixture.resignations(), [asked_for, asked_for]);

        fixture.publish(0, stopped());
        fixture.publish(1, stopped());
        let mut out = Vec::new();
        let watched = watch(&to, std::future::pending(), &mut out).await;
        assert_eq!(watched.unwrap(), 0);
        let lines = String::from_utf8(out).unwrap();
        assert!(lines.contains("payments stopped") && lines.contains("reports stopped"));
        let forever = watch(&to, std::future::ready(()), &mut Vec::new()).await;
        assert_eq!(forever.unwrap(), 0);
    });
}

#[test]
fn watching_prints_one_line_for_the_end_of_a_leadership() {
    /// Says of each line that it was written.
    struct Out(Vec<u8>, changes::Sender<usize>);
    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            self.1.send_modify(|lines| *lines += 1);
            Ok(())
        }
    }
    with(ONE, async |fixture| {
        let url = fixture.url(Surface::Api);
        let to = Access::to(&url);
        fixture.publish(0, leader_for(LONG));
        let mut out = Out(Vec::new(), changes::Sender::new(0));
        let mut lines = out.1.subscribe();
        let end = async {
            lines.wait_for(|lines| *lines == 1).await.unwrap();
            fixture.publish(0, stopped());
        };
        let watched = watch(&to, std::future::pending(), &mut out);
        assert_eq!(tokio::join!(watched, end).0.unwrap(), 0);
        let text = String::from_utf8(out.0).unwrap();
        let states: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split(' ').nth(2))
            .collect();
        assert_eq!(states, ["leader,", "stopped,"]);
    });
}

#[test]
fn the_verbs_say_where_no_sidecar_answers_and_exit_as_the_contract_says() {
    run(async {
        let fixture = Fixture::start(ONE).await;
        let url = fixture.url(Surface::Api);
        let to = Access::to(&url);
        fixture.end().await;
        let mut out = Vec::new();
        let asked = Resignation::default();
        let error = status(&to, false, &mut out).await.unwrap_err();
        assert_eq!(error.exit, 1);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("no sidecar answers at {url}: ")),
            "{text}"
        );
        assert_eq!(is_leader(&to, None).await.unwrap_err().exit, 2);
        assert_eq!(resign(&to, &asked, &mut out).await.unwrap_err().exit, 2);
        let watched = watch(&to, std::future::pending(), &mut out).await;
        assert_eq!(watched.unwrap_err().exit, 1);
        let error = status(&Access::to("https://a:1"), false, &mut out)
            .await
            .unwrap_err();
        assert_eq!(error.exit, 1);
        assert!(out.is_empty());
    });
}
