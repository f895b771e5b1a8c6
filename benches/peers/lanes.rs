//! Side by side: where all that competitors do is wait, they wait together, each in an election of its own.
//! And the moments at which something is done to them.

use crate::contender::Kind;
use crate::support::{let_pass, ms};
use std::thread;

/// Does the same for each, all at once; the answers come in the order of `kinds`.
pub(crate) fn side_by_side<T: Send>(kinds: &[Kind], one: impl Fn(Kind) -> T + Sync) -> Vec<T> {
    let one = &one;
    thread::scope(|scope| {
        let lanes: Vec<_> = kinds
            .iter()
            .map(|kind| scope.spawn(move || one(*kind)))
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    })
}

/// Lets a candidate that has just queued up begin to watch: etcd serves a watch from a past revision, as Go's is,
/// only at its next look at such watches, of which there are ten a second.
pub(crate) fn settle() {
    let_pass(ms(250));
}

/// Lets up to two seconds pass, so that a fault comes at any moment between two keepalives.
pub(crate) fn any_moment() {
    let_pass(ms(fastrand::u64(0..2_000)));
}
