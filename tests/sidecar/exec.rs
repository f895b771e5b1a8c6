//! `tenure exec`: a command runs only while its candidate leads, and is gone before another's begins.
//!
//! The commands of all candidates write into one file, a line each few milliseconds, with their fencing token. The kernel
//! appends one line after the other: so whatever the clocks say, a line of an older token after one of a newer token would
//! be work that was done beside the new leader.

use crate::support::etcd::Etcd;
use crate::support::process::EXIT_BOUND;
use crate::support::relay::{Mode, Relay};
use crate::support::sidecar::{PREFIX, RETRY_PERIOD, ROLE_BOUND, Sidecar, Spec, TTL, run_tenure};
use crate::support::{eventually, ms};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tenure::shutdown::FORWARDED;

/// Longer than a lease takes to run out, and a successor to begin.
const TAKEOVER: Duration = TTL.saturating_add(ms(6_000));

/// What the commands do, in one place.
struct Diary {
    directory: TempDir,
}

impl Diary {
    fn new() -> Diary {
        Diary {
            directory: TempDir::new().unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("diary")
    }

    /// A command that works until it is told to stop; `on_term` is what it does then, as the shell says it.
    fn worker(&self, on_term: &str) -> String {
        let file = self.file();
        format!(
            "trap {on_term:?} TERM; while :; do echo \"$TENURE_FENCING_TOKEN $$ works\" >> {file:?}; sleep 0.003; done"
        )
    }

    /// One that ends when it is told to.
    fn obedient(&self) -> String {
        let file = self.file();
        self.worker(&format!(
            "echo $TENURE_FENCING_TOKEN $$ ends >> {}; exit 0",
            file.display()
        ))
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The tokens, in the order in which their commands worked.
    fn tokens(&self) -> Vec<u64> {
        let lines = self.lines();
        let tokens = lines
            .iter()
            .filter_map(|line| line.split(' ').next()?.parse().ok());
        let mut tokens: Vec<u64> = tokens.collect();
        tokens.dedup();
        tokens
    }

    /// Nobody worked beside a newer leader.
    #[track_caller]
    fn is_in_order(&self) {
        let tokens = self.tokens();
        assert!(tokens.is_sorted(), "work beside a newer leader: {tokens:?}");
    }

    /// The process that works under the newest token.
    fn worker_of(&self, token: u64) -> Option<Pid> {
        let lines = self.lines();
        let line = lines
            .iter()
            .rfind(|line| line.starts_with(&format!("{token} ")))?;
        Pid::from_raw(line.split(' ').nth(1)?.parse().ok()?)
    }

    /// Waits until a command works under a token after this one.
    #[track_caller]
    fn wait_for_work_after(&self, token: u64) -> u64 {
        eventually("work under a later token", TAKEOVER, || {
            self.tokens().last().copied().filter(|last| *last > token)
        })
    }
}

fn candidate(id: &str, endpoints: &[String], command: &str) -> Sidecar {
    Spec::on_endpoints(id, endpoints)
        .exec(&["sh", "-c", command])
        .start()
}

fn pair(etcd: &Etcd, diary: &Diary, command: &str) -> (Sidecar, Sidecar, u64) {
    let first = candidate("a", &[etcd.endpoint()], command);
    first.wait_leading(ROLE_BOUND);
    let token = diary.wait_for_work_after(0);
    let second = candidate("b", &[etcd.endpoint()], command);
    second.wait_state("follower", ROLE_BOUND);
    (first, second, token)
}

fn is_alive(pid: Pid) -> bool {
    rustix::process::test_kill_process(pid).is_ok()
}

#[test]
fn on_sigterm_the_command_ends_first_and_its_standby_begins_at_once() {
    let (etcd, diary) = (Etcd::started(), Diary::new());
    let (mut first, second, token) = pair(&etcd, &diary, &diary.obedient());
    first.term();
    let later = diary.wait_for_work_after(token);
    assert_eq!(first.wait_exit(EXIT_BOUND).code(), Some(0));
    assert_eq!(second.wait_leading(ROLE_BOUND), later);
    assert!(diary.lines().iter().any(|line| line.ends_with("ends")));
    diary.is_in_order();
}

#[test]
fn a_command_that_does_not_end_is_killed_before_its_standby_begins() {
    let (etcd, diary) = (Etcd::started(), Diary::new());
    let (mut first, _second, token) = pair(&etcd, &diary, &diary.worker(""));
    let worker = diary.worker_of(token).unwrap();
    first.term();
    diary.wait_for_work_after(token);
    assert!(!is_alive(worker));
    assert_eq!(first.wait_exit(EXIT_BOUND).code(), Some(128 + 9));
    diary.is_in_order();
}

#[test]
fn the_exit_of_the_command_is_the_exit_of_the_sidecar_and_a_standby_begins_at_once() {
    let etcd = Etcd::started();
    let mut first = candidate("a", &[etcd.endpoint()], "sleep 0.5; exit 3");
    first.wait_leading(ROLE_BOUND);
    let second = candidate("b", &[etcd.endpoint()], "sleep 1000");
    assert_eq!(first.wait_exit(EXIT_BOUND).code(), Some(3));
    // Released, not run out.
    second.wait_leading(TTL / 2);
    let mut third = candidate("c", &[etcd.endpoint()], "kill -USR2 $$");
    drop(second);
    assert_eq!(third.wait_exit(TAKEOVER).code(), Some(128 + 12));
}

#[test]
fn a_candidate_may_rejoin_when_its_command_has_ended() {
    let (etcd, diary) = (Etcd::started(), Diary::new());
    let file = diary.file();
    let command = format!(
        "echo $TENURE_FENCING_TOKEN $$ works >> {}; exit 1",
        file.display()
    );
    let mut only = Spec::on_etcd("a", &etcd)
        .with("exec: { on_exit: rejoin }")
        .exec(&["sh", "-c", &command])
        .start();
    let first = diary.wait_for_work_after(0);
    let second = diary.wait_for_work_after(first);
    diary.wait_for_work_after(second);
    assert!(only.metric("tenure_step_downs_total", &["application_ended"]) >= 1.0);
    // No more often than keepalives are sent.
    assert!(RETRY_PERIOD >= ms(500));
    only.end_well();
}

#[test]
fn a_frozen_sidecar_s_command_is_gone_before_the_next_begins() {
    for on_term in ["", "exit 0"] {
        let (etcd, diary) = (Etcd::started(), Diary::new());
        let (mut first, mut second, mut token) = pair(&etcd, &diary, &diary.worker(on_term));
        for _ in 0..3 {
            let worker = diary.worker_of(token).unwrap();
            first.freeze();
            token = diary.wait_for_work_after(token);
            assert!(!is_alive(worker), "its command outlived a frozen sidecar");
            first.thaw();
            first.wait_state("follower", ROLE_BOUND);
            std::mem::swap(&mut first, &mut second);
        }
        diary.is_in_order();
    }
}

#[test]
fn a_killed_sidecar_s_command_is_gone_before_the_next_begins() {
    let (etcd, diary) = (Etcd::started(), Diary::new());
    let (mut first, mut second, mut token) = pair(&etcd, &diary, &diary.worker(""));
    for _ in 0..3 {
        let worker = diary.worker_of(token).unwrap();
        first.kill();
        token = diary.wait_for_work_after(token);
        assert!(!is_alive(worker), "its command outlived a killed sidecar");
        first.restart();
        first.wait_state("follower", ROLE_BOUND);
        std::mem::swap(&mut first, &mut second);
    }
    diary.is_in_order();
}

#[test]
fn a_sidecar_that_is_cut_off_stops_its_command_before_the_next_begins() {
    for mode in [Mode::Silent, Mode::AnswersLost, Mode::Refuse] {
        let (etcd, diary) = (Etcd::started(), Diary::new());
        let relay = Relay::to(etcd.port());
        let command = diary.obedient();
        let first = candidate("a", &[relay.endpoint()], &command);
        first.wait_leading(ROLE_BOUND);
        let token = diary.wait_for_work_after(0);
        let second = candidate("b", &[etcd.endpoint()], &command);
        second.wait_state("follower", ROLE_BOUND);
        relay.set(mode);
        let later = diary.wait_for_work_after(token);
        // It had time to end well.
        let ended = diary
            .lines()
            .iter()
            .any(|line| *line == format!("{token} {} ends", pid(&diary, token)));
        assert!(ended, "{mode:?}: not asked to end");
        relay.set(Mode::Pass);
        first.wait_state("follower", ROLE_BOUND);
        diary.is_in_order();
        assert_eq!(second.wait_leading(ROLE_BOUND), later);
    }
}

fn pid(diary: &Diary, token: u64) -> i32 {
    diary.worker_of(token).unwrap().as_raw_pid()
}

/// The only child of a process that is a guardian.
fn guardian_of(sidecar: &Sidecar) -> Pid {
    let id = sidecar.id();
    eventually("a guardian", ROLE_BOUND, || {
        let tasks = fs::read_dir(format!("/proc/{id}/task")).ok()?;
        tasks.flatten().find_map(|task| {
            let children = fs::read_to_string(task.path().join("children")).ok()?;
            Pid::from_raw(children.split(' ').next()?.trim().parse().ok()?)
        })
    })
}

#[test]
fn a_command_dies_with_its_guardian_and_the_next_begins_after_it() {
    for signal in [Signal::KILL, Signal::STOP] {
        let (etcd, diary) = (Etcd::started(), Diary::new());
        let (first, _second, token) = pair(&etcd, &diary, &diary.worker(""));
        let worker = diary.worker_of(token).unwrap();
        kill_process(guardian_of(&first), signal).unwrap();
        if signal == Signal::STOP {
            // Frozen, it can't be asked: the sidecar kills it when the time is over.
            first.post("/resign");
        }
        diary.wait_for_work_after(token);
        assert!(!is_alive(worker));
        diary.is_in_order();
    }
}

#[test]
fn whoever_resigns_stops_its_command_and_may_run_it_again_later() {
    let (etcd, diary) = (Etcd::started(), Diary::new());
    let (first, second, token) = pair(&etcd, &diary, &diary.obedient());
    let answer = first.post("/resign?cooldown=100ms&stopped=true");
    assert_eq!(answer.status, 202, "{}", answer.body);
    let later = diary.wait_for_work_after(token);
    second.post("/resign?cooldown=10s");
    diary.wait_for_work_after(later);
    first.wait_leading(ROLE_BOUND);
    diary.is_in_order();
}

#[test]
fn a_deleted_key_kills_the_command() {
    let (etcd, diary) = (Etcd::started(), Diary::new());
    let (_first, _second, token) = pair(&etcd, &diary, &diary.worker(""));
    let worker = diary.worker_of(token).unwrap();
    let ctl = etcd.ctl();
    ctl.run(&["del", &ctl.places(PREFIX)[0].key]);
    eventually("the command's end", ms(2_000), || {
        (!is_alive(worker)).then_some(())
    });
    diary.wait_for_work_after(token);
}

#[test]
fn signals_reach_the_command() {
    let (etcd, diary) = (Etcd::started(), Diary::new());
    let traps: String = FORWARDED
        .map(|signal| {
            let number = signal.as_raw();
            format!(
                "trap 'echo 1 $$ signal {number} >> {:?}' {number};",
                diary.file()
            )
        })
        .concat();
    let ready = format!("echo 1 $$ ready >> {:?};", diary.file());
    let command = format!("{traps} {ready} while :; do sleep 0.01; done");
    let mut only = candidate("a", &[etcd.endpoint()], &command);
    let said = |what: &str| {
        eventually(what, ROLE_BOUND, || {
            let lines = diary.lines();
            lines.iter().any(|line| line.ends_with(what)).then_some(())
        });
    };
    said("ready");
    for signal in FORWARDED {
        only.signal(signal);
        said(&format!("signal {}", signal.as_raw()));
    }
}

#[test]
fn what_can_t_be_run_is_said_before_anybody_campaigns() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("c.yaml");
    let exec = |text: &str, command: &[&str]| {
        fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap();
        run_tenure(&[&["exec", "--config", config, "--"], command].concat())
    };
    let store = format!("store: {{ file: {{ directory: {:?} }} }}", directory.path());
    let output = exec(&format!("election: e\n{store}"), &["no-such-command"]);
    assert_eq!(output.code, Some(127));
    assert!(
        output.stderr.contains("command not found"),
        "{}",
        output.stderr
    );
    let output = exec(&format!("election: e\n{store}"), &["/etc/passwd"]);
    assert_eq!(output.code, Some(126));
    let script = directory.path().join("script");
    fs::write(&script, "#!/nowhere/interpreter -x\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let output = exec(
        &format!("election: e\n{store}"),
        &[script.to_str().unwrap()],
    );
    assert_eq!(output.code, Some(127));
    let said = r#"interpreter "/nowhere/interpreter" is not found"#;
    assert!(output.stderr.contains(said), "{}", output.stderr);
    assert!(!output.stderr.contains("started"), "{}", output.stderr);
    for (config, said) in [
        ("elections: [e, f]", "one election"),
        (
            "election: e\nhooks: { on_step_down: /bin/true }",
            "on_step_down",
        ),
        (
            "election: e\napplication: { health: /bin/true }",
            "application.health",
        ),
        ("election: e\nshutdown: { wait_for: none }", "wait_for"),
        (
            "election: e\nexec: { stop_timeout: 9s }",
            "exec.stop_timeout",
        ),
    ] {
        let output = exec(&format!("{config}\n{store}"), &["true"]);
        assert_eq!(output.code, Some(2), "{config}: {}", output.stderr);
        assert!(output.stderr.contains(said), "{config}: {}", output.stderr);
    }
    let output = exec(&format!("election: e\n{store}"), &[]);
    assert_eq!(output.code, Some(2));
}
