//! Any bytes in place of a state of the file store, on the file that ships.
//!
//! The input is read as it stands, and once more with a seal that fits, which nobody finds by chance.

#![no_main]

#[path = "../../../src/store/file/state.rs"]
#[allow(dead_code, reason = "the ledger uses the rest")]
mod state;

/// As the file that ships calls them.
use tenure::{election, store};

use libfuzzer_sys::fuzz_target;
use state::State;

fuzz_target!(|data: &[u8]| {
    check(data);
    let seal = format!(",\"crc32\":\"{:08x}\"}}\n", crc32fast::hash(data));
    check(&[data, seal.as_bytes()].concat());
});

fn check(text: &[u8]) {
    let state = match State::decode(text) {
        Ok(state) => state,
        Err(problem) => {
            assert!(!problem.is_empty());
            return;
        }
    };
    let again = state.encode().expect("written again");
    assert_eq!(State::decode(&again), Ok(state.clone()));

    let tokens: Vec<u64> = state.entries.iter().map(|entry| entry.token).collect();
    assert!(tokens.is_sorted_by(|a, b| a < b));
    assert!(tokens.last().is_none_or(|last| *last <= state.revision));
    let queue = state.queue();
    assert_eq!(queue.revision, state.revision);
    assert!(queue.places.keys().eq(&tokens));
    for entry in &state.entries {
        let (ttl, expires_at) = (entry.ttl(), entry.expires_at());
        assert_eq!(ttl.as_nanos(), entry.ttl_ns.into());
        assert_eq!(expires_at.as_nanos(), entry.expires_at_ns);
    }
    damaged_it_is_refused(text);
}

/// Cut short or with a bit flipped; where, the text says itself.
fn damaged_it_is_refused(text: &[u8]) {
    let somewhere = crc32fast::hash(text) as usize;
    assert!(State::decode(&text[..somewhere % text.len()]).is_err());
    let mut flipped = text.to_vec();
    flipped[somewhere % text.len()] ^= 1 << (somewhere >> 29);
    assert!(State::decode(&flipped).is_err());
}
