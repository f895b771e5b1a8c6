//! What is killed or frozen at the worst of times.

use crate::stage::{BOUND, STOP_TIMEOUT, Stage, far, is_alive, signal, state, wait_gone, within};
use crate::support::{eventually, let_pass, ms};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use rustix::process::Signal;
use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::process::Command;
use tenure::clock;

/// An application with a family: a child in its group, and two that left it, one of them with a child.
const FAMILY: &str = "echo $PPID > guardian; trap 'echo > asked' TERM
    sleep 1000 & echo $! > near
    setsid sh -c 'trap \"\" TERM; sleep 1000 & echo $! > below; echo $$ > far; wait' &
    (setsid sh -c 'echo $$ > orphan; exec sleep 1000' &)
    echo $$ > pid; while :; do sleep 0.02; done";

const MEMBERS: [&str; 5] = ["pid", "near", "below", "far", "orphan"];

fn family() -> Stage {
    Stage::new(FAMILY)
}

#[track_caller]
fn assert_all_gone(stage: &Stage) {
    for name in MEMBERS {
        assert!(!is_alive(stage.pid(name)), "{name} survives");
    }
}

#[track_caller]
fn wait_for_family(stage: &Stage) {
    for name in MEMBERS {
        assert!(is_alive(stage.pid(name)), "{name}");
    }
}

#[test]
fn all_of_it_is_gone_when_its_guardian_was_killed() {
    let mut stage = family();
    stage.run(1, far());
    wait_for_family(&stage);
    signal(stage.pid("guardian"), Signal::KILL);
    assert_eq!(stage.report(), "1 stopped 137");
    assert_all_gone(&stage);
    // And the next has a new one.
    fs::remove_file(stage.directory.path().join("guardian")).unwrap();
    stage.run(2, far());
    stage.note("guardian");
    stage.order("kill");
    assert_eq!(stage.report(), "2 stopped 137");
}

#[test]
fn all_of_it_is_gone_when_the_sidecar_was_killed() {
    let mut stage = family();
    stage.run(1, far());
    wait_for_family(&stage);
    stage.process.kill();
    stage.note("asked");
    // It is stubborn, and so it is killed after its timeout.
    wait_gone(stage.pid("guardian"));
    assert_all_gone(&stage);
}

#[test]
fn all_of_it_is_gone_by_the_deadline_while_the_sidecar_is_frozen() {
    let mut stage = family();
    let deadline = within(ms(3_000), ms(4_000));
    stage.run(1, deadline);
    wait_for_family(&stage);
    stage.process.signal(Signal::STOP);
    wait_gone(stage.pid("guardian"));
    let late = clock::now().since(deadline.kill_at);
    assert!(
        clock::now() >= deadline.kill_at && late < ms(1_000),
        "{late:?}"
    );
    assert_all_gone(&stage);
    stage.process.signal(Signal::CONT);
    assert_eq!(stage.report(), "1 stopped 137");
}

#[test]
fn the_sidecar_ends_it_at_the_deadline_while_the_guardian_is_frozen() {
    let mut stage = family();
    let deadline = within(ms(3_000), ms(4_000));
    stage.run(1, deadline);
    wait_for_family(&stage);
    signal(stage.pid("guardian"), Signal::STOP);
    assert_eq!(stage.report(), "1 stopped 137");
    let late = clock::now().since(deadline.kill_at);
    assert!(
        clock::now() >= deadline.kill_at && late < ms(1_000),
        "{late:?}"
    );
    assert_all_gone(&stage);
}

#[test]
fn the_sidecar_carries_out_an_order_that_a_frozen_guardian_does_not() {
    let mut stage = family();
    stage.run(1, far());
    wait_for_family(&stage);
    signal(stage.pid("guardian"), Signal::STOP);
    let begin = clock::now();
    stage.order("stop");
    assert_eq!(stage.report(), "1 stopped 137");
    assert!(clock::now() < begin + STOP_TIMEOUT + ms(2_000));
    assert_all_gone(&stage);
}

#[test]
fn a_guardian_that_was_frozen_for_a_while_has_missed_no_extension() {
    let mut stage = family();
    let deadline = within(ms(2_500), ms(20_000));
    stage.run(1, deadline);
    wait_for_family(&stage);
    let guardian = stage.pid("guardian");
    signal(guardian, Signal::STOP);
    stage.extend(far());
    let_pass(deadline.stop_at.since(clock::now()) + ms(100));
    signal(guardian, Signal::CONT);
    let_pass(ms(300));
    assert!(is_alive(stage.pid("pid")) && stage.try_note("asked").is_none());
}

#[test]
fn both_frozen_past_the_deadline_it_is_gone_before_anything_else() {
    let mut stage = family();
    let deadline = within(ms(2_500), ms(2_600));
    stage.run(1, deadline);
    wait_for_family(&stage);
    let guardian = stage.pid("guardian");
    stage.process.signal(Signal::STOP);
    signal(guardian, Signal::STOP);
    let_pass(deadline.kill_at.since(clock::now()) + ms(200));
    signal(guardian, Signal::CONT);
    wait_gone(guardian);
    assert_all_gone(&stage);
    stage.process.signal(Signal::CONT);
    assert_eq!(stage.report(), "1 stopped 137");
}

#[test]
fn its_first_process_is_gone_with_the_guardian_where_no_sidecar_looks() {
    let mut stage = family();
    stage.run(1, far());
    wait_for_family(&stage);
    stage.process.signal(Signal::STOP);
    signal(stage.pid("guardian"), Signal::KILL);
    wait_gone(stage.pid("pid"));
    stage.process.signal(Signal::CONT);
    assert_eq!(stage.report(), "1 stopped 137");
    assert_all_gone(&stage);
}

/// The guardian is slow to start, so the deadline is there before the guardian is.
#[test]
fn a_guardian_starts_nothing_when_the_time_has_passed() {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    // The message to begin, with the application's input; at the origin of time, all was over.
    let mut begin = [0; 17];
    begin[0] = b'b';
    let stdin = fs::File::open("/dev/null").unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [stdin.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&files));
    let flags = SendFlags::empty();
    sendmsg(&ours, &[IoSlice::new(&begin)], &mut control, flags).unwrap();

    let mut guardian = Command::new(env!("CARGO_BIN_EXE_tenure"));
    guardian.args(["guard", "--stop-timeout=1s", "--", "echo", "ran"]);
    let output = guardian.stdin(theirs).output().unwrap();
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    let mut last = [0; 17];
    rustix::io::read(&ours, &mut last).unwrap();
    assert_eq!(last[0], b'N');
}

#[test]
fn signals_do_not_end_the_guardian() {
    let mut stage = family();
    stage.run(1, far());
    wait_for_family(&stage);
    let guardian = stage.pid("guardian");
    for ending in [Signal::HUP, Signal::INT, Signal::TERM, Signal::QUIT] {
        signal(guardian, ending);
    }
    // It works on.
    stage.order("signal 15");
    stage.note("asked");
    assert!(is_alive(guardian));
    stage.order("kill");
    assert_eq!(stage.report(), "1 stopped 137");
}

#[test]
fn a_killed_first_process_takes_the_rest_with_it() {
    let mut stage = family();
    stage.run(1, far());
    wait_for_family(&stage);
    signal(stage.pid("pid"), Signal::KILL);
    assert_eq!(stage.report(), "1 exited 137");
    assert_all_gone(&stage);
}

#[test]
fn orphans_are_waited_for_by_the_guardian_and_the_guardian_by_the_sidecar() {
    let mut stage = Stage::new(
        "echo $PPID > guardian
        (sh -c 'echo $$ > orphan; while ! [ -e end ]; do sleep 0.01; done' &)
        echo $$ > pid; exec sleep 1000",
    );
    stage.run(1, far());
    let (guardian, orphan) = (stage.pid("guardian"), stage.pid("orphan"));
    stage.note("pid");
    fs::write(stage.directory.path().join("end"), "").unwrap();
    for gone in [orphan, guardian] {
        eventually("nothing to be left of it", BOUND, || {
            state(gone).is_none().then_some(())
        });
        stage.order("kill");
    }
    assert_eq!(stage.report(), "1 stopped 137");
}
