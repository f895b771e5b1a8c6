//! Real parts for black-box tests: etcd, a relay that misbehaves, the sidecar's own binary, and witnesses
//! who say afterwards who led when. Everything is killed, by its process id, when its owner goes out of
//! scope; what it logged is shown where the test fails.

#![allow(dead_code, reason = "every test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "only tests call this")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

pub mod api_server;
pub mod application;
pub mod browser;
pub mod certificates;
pub mod etcd;
pub mod etcdctl;
pub mod http;
pub mod process;
pub mod relay;
pub mod sidecar;
pub mod witness;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tenure::clock;

/// A duration in milliseconds, for short.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// Where there is none within `bound`; `what` is then said to be missing.
#[track_caller]
pub fn eventually<T>(what: &str, bound: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let give_up = clock::now() + bound;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(clock::now() < give_up, "not within {bound:?}: {what}");
        let_pass(ms(3));
    }
}

/// Lets time pass, where it is the passing of time that is tested.
pub fn let_pass(duration: Duration) {
    let (_never_sends, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(duration);
}

/// Says that a test can't be made here, and why. In CI it has to be.
///
/// # Panics
/// Where `CI` is set.
#[track_caller]
#[expect(clippy::print_stderr, reason = "so that nobody takes it for tested")]
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "can't be tested here: {why}"
    );
    eprintln!("skipped: {why}");
}

/// A port on loopback that nobody else is given.
///
/// They lie below the kernel's range for outgoing connections, so none of those can take the port of a
/// server that is away for a while.
pub fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(next_port);
    // Asked and not listened on: a program that is started just then holds what this process listens on until it is executed,
    // and whoever the port is for would be refused.
    let is_free = |port: &u16| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_err();
    ports.find(is_free).unwrap()
}

/// On such a port, before anybody else does.
pub fn listen() -> TcpListener {
    let mut ports = std::iter::repeat_with(next_port);
    let listener = ports.find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    listener.unwrap()
}

/// Each process begins elsewhere.
fn next_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 40) as u16 * 300;
    20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000
}
