//! What the application finds: its streams, its environment, and nothing of ours.

use crate::stage::{Stage, far};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

#[test]
fn its_streams_are_the_sidecars() {
    let (mut stage, mut streams) = Stage::with_child(&["/bin/cat"], |command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped())
    });
    stage.run(1, far());
    let mut stdin = streams.stdin.take().unwrap();
    stdin.write_all(b"through all of them\n").unwrap();
    drop(stdin);
    assert_eq!(stage.report(), "1 exited 0");
    stage.process.kill();
    let mut output = String::new();
    let mut stdout = streams.stdout.take().unwrap();
    stdout.read_to_string(&mut output).unwrap();
    assert!(output.contains("through all of them\n"), "{output}");
}

#[test]
fn it_is_given_signals() {
    let mut stage = Stage::new(
        "trap 'echo > hup' HUP; trap 'exit 7' USR1; echo > ready; while :; do sleep 0.02; done",
    );
    stage.run(1, far());
    stage.note("ready");
    stage.order("signal 1");
    stage.note("hup");
    stage.order("signal 10");
    assert_eq!(stage.report(), "1 exited 7");
}

#[test]
fn nothing_of_ours_is_in_its_environment() {
    let script = "tr '\\0' '\\n' < /proc/self/environ > application
        tr '\\0' '\\n' < /proc/$(cut -d' ' -f4 /proc/$PPID/stat)/environ > sidecar; echo > done";
    let mut stage = Stage::new(script);
    stage.run(4711, far());
    assert_eq!(stage.report(), "4711 exited 0");
    let read = |name: &str| -> BTreeMap<String, String> {
        let text = stage.note(name);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    };
    let mut expected = read("sidecar");
    expected.insert("TENURE_FENCING_TOKEN".into(), "4711".into());
    expected.insert("STAGE_PAIR".into(), "a pair".into());
    let mut found = read("application");
    // The shell's own.
    for name in ["PWD", "OLDPWD", "SHLVL", "_"] {
        found.remove(name);
        expected.remove(name);
    }
    assert_eq!(found, expected);
}

/// What is found by a process that the test itself starts: a shell may have left it something.
fn found_otherwise(script: &str) -> String {
    let mut command = Command::new("/bin/sh");
    let output = command.args(["-c", script]).stdin(Stdio::null()).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.trim_end().to_owned()
}

#[test]
fn it_has_its_standard_streams_and_no_other_file() {
    // The one that `ls` opens is the last.
    let script = "exec ls -x -w 1000 /proc/self/fd";
    let mut stage = Stage::new(&format!(
        "({script}) > files; echo $PPID > guardian; sleep 1000"
    ));
    stage.run(1, far());
    stage.note("guardian");
    let (found, otherwise) = (stage.note("files"), found_otherwise(script));
    assert_eq!(found, otherwise);
    stage.order("kill");
    assert_eq!(stage.report(), "1 stopped 137");
}

#[test]
fn it_begins_with_signals_as_the_system_gives_them() {
    let script = "grep -E 'Sig(Ign|Blk)' /proc/self/status";
    let mut stage = Stage::new(&format!("{script} > signals"));
    stage.run(1, far());
    assert_eq!(stage.report(), "1 exited 0");
    let [found, otherwise] = [stage.note("signals"), found_otherwise(script)].map(masks);
    assert_eq!(found[0], otherwise[0], "blocked");
    // Those that the sidecar handles are as a new process finds them, whatever this one was started with.
    assert_eq!(found[1] & !otherwise[1], 0, "ignored: {:x}", found[1]);
}

/// The blocked signals, and the ignored.
fn masks(status: String) -> [u64; 2] {
    ["SigBlk:", "SigIgn:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    })
}
