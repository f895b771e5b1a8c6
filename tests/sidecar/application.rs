//! An application beside the sidecar: it is told what happens, asked how it is, and waited for.

use crate::support::application::Application;
use crate::support::etcd::Etcd;
use crate::support::process::EXIT_BOUND;
use crate::support::sidecar::{
    PREFIX, ROLE_BOUND, Spec, TTL, queue_up, run_tenure, wait_for_places,
};
use crate::support::{eventually, free_port, let_pass, ms};
use serde_json::Value;
use std::fs;
use tempfile::TempDir;
use tenure::clock;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn hooked(id: &str, etcd: &Etcd, application: &Application) -> Spec {
    let hook = |name: &str| format!("{name}: {:?}", application.url(&format!("/{name}")));
    let names = ["on_elected", "on_step_down", "on_leader_changed"].map(hook);
    Spec::on_etcd(id, etcd).with(&format!("hooks: {{ {} }}", names.join(", ")))
}

#[test]
fn an_application_is_told_that_it_leads_that_it_does_not_and_who_does() {
    let (etcd, application) = (Etcd::started(), Application::answering(204));
    let first = hooked("a", &etcd, &application).start_leading();
    let elected = eventually("the hook", ROLE_BOUND, || {
        application.heard("/on_elected").pop()
    });
    assert_eq!(elected.method, "POST");
    let said = json(&elected.body);
    assert_eq!(
        (said["state"].as_str(), said["is_leader"].as_bool()),
        (Some("leader"), Some(true))
    );
    assert_eq!(
        said["fencing_token"],
        first.probe_leader().unwrap()["fencing_token"]
    );
    assert_eq!(said["valid_for_ms"], Value::Null, "a hook is no promise");

    let _second = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    assert_eq!(first.post("/resign").status, 202);
    let stepped_down = eventually("the hook", ROLE_BOUND, || {
        application.heard("/on_step_down").pop()
    });
    assert_eq!(json(&stepped_down.body)["state"], "stepping_down");
    eventually("the new leader's name", ROLE_BOUND, || {
        let changed = application.heard("/on_leader_changed").pop()?;
        (json(&changed.body)["leader"]["id"] == "b").then_some(())
    });
    assert_eq!(application.heard("/on_elected").len(), 1);
    assert_eq!(application.heard("/on_step_down").len(), 1);
}

#[test]
fn a_lease_is_released_only_once_the_application_has_stepped_down() {
    let (etcd, application) = (Etcd::started(), Application::answering(200));
    let mut first = hooked("a", &etcd, &application).start_leading();
    let second = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    application.answer(500);
    let told = clock::now();
    first.term();
    second.wait_leading(TTL + ROLE_BOUND);
    // From the last keepalive that was answered, which was before.
    let waited = clock::now().since(told);
    assert!(
        waited > TTL - ms(1_000),
        "released {waited:?} after a hook that failed"
    );
    assert_eq!(application.heard("/on_step_down").len(), 1);
    assert_eq!(first.wait_exit(EXIT_BOUND).code(), Some(0));
}

#[test]
fn an_application_that_has_stepped_down_is_owed_no_promise() {
    let (etcd, application) = (Etcd::started(), Application::answering(200));
    let mut first = hooked("a", &etcd, &application).start_leading();
    let second = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let promised = json(&first.ask("/leader").body)["valid_for_ms"]
        .as_u64()
        .unwrap();
    let told = clock::now();
    first.term();
    second.wait_leading(ROLE_BOUND);
    let waited = clock::now().since(told);
    assert!(waited < ms(promised) / 2, "{waited:?} of {promised} ms");
}

#[test]
fn a_hook_may_be_a_program_and_one_that_hangs_is_ended_and_delays_no_keepalive() {
    let (etcd, directory) = (Etcd::started(), TempDir::new().unwrap());
    let said = directory.path().join("said");
    let script = format!(
        "cat > {0}; echo \" $TENURE_EVENT $TENURE_FENCING_TOKEN\" >> {0}; sleep 1000",
        said.display()
    );
    let mut only = Spec::on_etcd("a", &etcd)
        .with(&format!(
            "hooks: {{ on_elected: [sh, -c, {script:?}], timeout: 500ms }}"
        ))
        .start_leading();
    let token = only.probe_leader().unwrap()["fencing_token"]
        .as_u64()
        .unwrap();
    eventually("the hook", ROLE_BOUND, || {
        let text = fs::read_to_string(&said).ok()?;
        let (body, rest) = text.split_once(" elected ")?;
        assert_eq!(json(body)["election"], "payments");
        (rest.trim() == token.to_string()).then_some(())
    });
    eventually("the end of the hook", ROLE_BOUND, || {
        only.log().contains("hook failed").then_some(())
    });
    assert!(!only.log().contains("deadline"));
    only.end_well();
}

fn asked(id: &str, etcd: &Etcd, url: &str, more: &str) -> Spec {
    Spec::on_etcd(id, etcd).with(&format!(
        "application: {{ health: {url:?}, interval: 50ms, failure_threshold: 2, {more} }}"
    ))
}

#[test]
fn an_unhealthy_application_does_not_campaign_and_gives_leadership_up_to_a_healthy_one() {
    let etcd = Etcd::started();
    let healthy = [Application::answering(503), Application::answering(200)];
    let spec = |id, at: usize| asked(id, &etcd, &healthy[at].url("/healthz"), "");
    let first = spec("a", 0).start();
    let second = spec("b", 1).start_leading();
    assert_eq!(
        etcd.ctl().places(PREFIX).len(),
        1,
        "an unhealthy candidate queued up"
    );
    healthy[0].answer(200);
    wait_for_places(&etcd, 2);
    healthy[1].answer(500);
    first.wait_leading(ROLE_BOUND);
    assert_eq!(
        second.metric("tenure_step_downs_total", &["unhealthy"]),
        1.0
    );
    let held_back = &second.probe_leader().unwrap()["held_back"];
    assert_eq!(held_back, "unhealthy");
    // Where none is healthy, giving up would help nobody.
    healthy[0].answer(500);
    let_pass(ms(400));
    assert!(first.leads(), "gave leadership up to nobody");
    healthy[1].answer(200);
    second.wait_leading(ROLE_BOUND);
}

#[test]
fn an_unhealthy_leader_may_be_made_to_go_whoever_is_left() {
    let (etcd, application) = (Etcd::started(), Application::answering(200));
    let only = asked(
        "a",
        &etcd,
        &application.url("/"),
        "when_all_unhealthy: release",
    )
    .start_leading();
    application.answer(500);
    only.wait_state("follower", ROLE_BOUND);
    application.answer(200);
    only.wait_leading(ROLE_BOUND);
}

#[test]
fn one_answer_that_fails_makes_nobody_resign() {
    let (etcd, directory) = (Etcd::started(), TempDir::new().unwrap());
    // Every second answer is a failure.
    let flag = directory.path().join("flag");
    let script = format!(
        "if [ -e {0} ]; then rm {0}; exit 1; else touch {0}; fi",
        flag.display()
    );
    let only = Spec::on_etcd("a", &etcd)
        .with(&format!(
            "application: {{ health: [sh, -c, {script:?}], interval: 20ms, failure_threshold: 2, when_all_unhealthy: release }}"
        ))
        .start_leading();
    let_pass(ms(1_000));
    assert_eq!(only.metric("tenure_step_downs_total", &["unhealthy"]), 0.0);
}

#[test]
fn on_shutdown_an_application_container_is_waited_for_until_it_is_gone() {
    let etcd = Etcd::started();
    let port = free_port();
    let application = Application::on(port, 200);
    let shutdown = "shutdown: { wait_for: application, timeout: 20s }";
    let mut first = asked("a", &etcd, &application.url("/"), "")
        .with(shutdown)
        .start_leading();
    let second = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    first.term();
    first.wait_state("stepping_down", ROLE_BOUND);
    // Longer than the lease: keepalives go on.
    let_pass(TTL + ms(1_000));
    assert!(!second.leads() && first.is_running());
    drop(application);
    second.wait_leading(ROLE_BOUND);
    assert_eq!(first.wait_exit(EXIT_BOUND).code(), Some(0));
}

#[test]
fn on_shutdown_an_application_that_is_unhealthy_is_not_gone_and_promises_are_kept() {
    let (etcd, directory) = (Etcd::started(), TempDir::new().unwrap());
    let ok = directory.path().join("ok");
    fs::write(&ok, "").unwrap();
    let health = format!("[test, -e, {ok:?}]");
    let mut first = Spec::on_etcd("a", &etcd)
        .with(&format!(
            "application: {{ health: {health}, interval: 20ms }}"
        ))
        .with("shutdown: { wait_for: application, timeout: 20s }")
        .start_leading();
    let second = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let asked_at = clock::now();
    let promised = json(&first.ask("/leader").body)["valid_for_ms"]
        .as_u64()
        .unwrap();
    first.term();
    first.wait_state("stepping_down", ROLE_BOUND);
    fs::remove_file(&ok).unwrap();
    // By its own word that it is over, promises are kept all the same.
    assert_eq!(first.post("/resign").status, 202);
    second.wait_leading(ROLE_BOUND);
    let waited = clock::now().since(asked_at);
    assert!(
        waited >= ms(promised),
        "led {waited:?} after a promise of {promised} ms"
    );
    assert_eq!(first.wait_exit(EXIT_BOUND).code(), Some(0));
}

#[test]
fn on_shutdown_an_application_may_say_that_it_has_stopped_and_is_not_waited_for_for_ever() {
    let etcd = Etcd::started();
    let spec = |timeout: &str| {
        Spec::on_etcd("a", &etcd).with(&format!(
            "shutdown: {{ wait_for: application, timeout: {timeout} }}"
        ))
    };
    let mut first = spec("60s").start_leading();
    first.term();
    first.wait_state("stepping_down", ROLE_BOUND);
    assert_eq!(first.post("/resign").status, 202);
    assert_eq!(first.wait_exit(EXIT_BOUND).code(), Some(0));
    let mut first = spec("500ms").start_leading();
    let told = clock::now();
    first.term();
    assert_eq!(first.wait_exit(EXIT_BOUND).code(), Some(0));
    assert!(clock::now().since(told) >= ms(500));
}

#[test]
fn whoever_is_paused_leads_nothing_until_resumed() {
    let etcd = Etcd::started();
    let first = Spec::on_etcd("a", &etcd).start_leading();
    let second = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let output = run_tenure(&["pause", "--url", &first.url()]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(
        output.stdout.contains("stays out until resumed"),
        "{}",
        output.stdout
    );
    second.wait_leading(ROLE_BOUND);
    wait_for_places(&etcd, 1);
    assert_eq!(first.probe_leader().unwrap()["held_back"], "paused");
    assert_eq!(first.metric("tenure_step_downs_total", &["pause"]), 1.0);
    let screen = run_tenure(&["status", "--url", &first.url()]).stdout;
    assert!(screen.contains("follower (paused)"), "{screen}");
    // A follower has nothing to release.
    let answer = json(&first.post("/pause").body);
    assert_eq!(
        (&answer["paused"], &answer["released_in_ms"]),
        (&Value::Bool(true), &Value::from(0))
    );
    let output = run_tenure(&["resume", "--url", &first.url()]);
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(0), "resumed payments\n")
    );
    wait_for_places(&etcd, 2);
    second.post("/resign?cooldown=10s");
    first.wait_leading(ROLE_BOUND);
}

#[test]
fn a_takeover_is_delayed_unless_leadership_was_handed_over_in_order() {
    for on_files in [false, true] {
        let (etcd, directory) = (Etcd::started(), TempDir::new().unwrap());
        let spec = |id: &str| {
            let spec = if on_files {
                Spec::on_files(id, directory.path())
            } else {
                Spec::on_etcd(id, &etcd)
            };
            spec.takeover_delay("2s")
        };
        let mut first = spec("a").start_leading();
        let mut second = spec("b").start_following();
        let mut third = spec("c").start_following();
        let_pass(ms(300));
        first.end_well();
        // Both follow; which of them was queued first is not ours to say.
        let told = clock::now();
        eventually("a hand-over at once", ms(1_000), || {
            (second.leads() || third.leads()).then_some(())
        });
        assert!(clock::now().since(told) < ms(1_000));
        let (leader, next) = if second.leads() {
            (&mut second, &mut third)
        } else {
            (&mut third, &mut second)
        };
        leader.kill();
        let killed = clock::now();
        next.wait_leading(TTL + ROLE_BOUND);
        let took = clock::now().since(killed);
        assert!(took > ms(1_500) + ms(2_000), "took over after {took:?}");
    }
}
