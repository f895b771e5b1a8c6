//! A state of an election's queue, and how it is written down.
//!
//! A file holds one line of JSON whose last member is the CRC-32 of all that precedes it. Whatever is not exactly
//! what a candidate of this format wrote is refused: half a state could hide a leader.

use crate::election::{Candidate, LeaseId, Time, Token};
use crate::store::{Place, Queue};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

const FORMAT: u32 = 1;

/// A state of the queue. Its places are in the order of their tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// How many changes led here.
    pub(super) revision: u64,
    pub(super) entries: Vec<Entry>,
    /// Whether the place that was the first before was given up in order.
    pub(super) handed_over: bool,
}

/// A place in the queue, with its lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Drawn at random by the candidate.
    pub(super) lease: u64,
    /// The revision that made it.
    pub(super) token: Token,
    pub(super) id: String,
    pub(super) advertise: Option<String>,
    pub(super) ttl_ns: u64,
    /// By the owner's clock: ttl after the last renewal began to be written, which is after it was sent.
    pub(super) expires_at_ns: u64,
    /// Which clock that is; none where the owner couldn't tell.
    pub(super) clock: Option<String>,
    /// The revision that last renewed it: changes with every renewal, whatever the clock does.
    pub(super) renewed: u64,
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    revision: u64,
    entries: &'a [Entry],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    handed_over: bool,
}

#[derive(Deserialize)]
struct Read {
    format: u32,
    revision: u64,
    entries: Vec<Entry>,
    #[serde(default)]
    handed_over: bool,
}

impl State {
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(&Written {
            format: FORMAT,
            revision: self.revision,
            entries: &self.entries,
            handed_over: self.handed_over,
        })?;
        text.truncate(text.len() - CLOSING.len());
        let seal = seal(&text);
        text.extend_from_slice(seal.as_bytes());
        Ok(text)
    }

    /// # Errors
    /// What is wrong with the text.
    pub(super) fn decode(text: &[u8]) -> Result<State, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        refuse_other_formats(text)?;
        let (sealed, found) = text
            .split_at_checked(text.len().saturating_sub(SEAL_LENGTH))
            .ok_or("it is cut short")?;
        if found != seal(sealed).as_bytes() {
            return Err("its checksum does not match".into());
        }
        let read: Read = serde_json::from_slice(text).map_err(|err| err.to_string())?;
        if read.format != FORMAT {
            return Err(unknown_format(read.format));
        }
        let state = State {
            revision: read.revision,
            entries: read.entries,
            handed_over: read.handed_over,
        };
        if !state.is_consistent() {
            return Err("its tokens are out of order".into());
        }
        Ok(state)
    }

    pub(super) fn entry(&self, lease: LeaseId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.lease == lease.0)
    }

    pub(super) fn entry_mut(&mut self, lease: LeaseId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.lease == lease.0)
    }

    /// As candidates see it.
    pub(super) fn queue(&self) -> Queue {
        let places = self.entries.iter().map(|entry| {
            let place = Place {
                lease: LeaseId(entry.lease),
                candidate: Candidate {
                    id: entry.id.clone(),
                    advertise: entry.advertise.clone(),
                },
                leaving: false,
            };
            (entry.token, place)
        });
        Queue {
            revision: self.revision,
            places: places.collect(),
            handed_over: self.handed_over,
        }
    }

    pub(super) fn is_first(&self, lease: LeaseId) -> bool {
        self.entries
            .first()
            .is_some_and(|entry| entry.lease == lease.0)
    }

    fn is_consistent(&self) -> bool {
        self.entries.is_sorted_by(|a, b| a.token < b.token)
            && self
                .entries
                .iter()
                .all(|entry| entry.token <= self.revision)
    }
}

impl Entry {
    pub(super) fn ttl(&self) -> Duration {
        Duration::from_nanos(self.ttl_ns)
    }

    pub(super) fn expires_at(&self) -> Time {
        Time::from_nanos(self.expires_at_ns)
    }
}

const CLOSING: &str = "}";
const SEAL_LENGTH: usize = r#","crc32":"00000000"}"#.len() + "\n".len();

fn seal(text: &[u8]) -> String {
    let checksum = crc32fast::hash(text);
    format!(",\"crc32\":\"{checksum:08x}\"{CLOSING}\n")
}

/// Another format may be sealed otherwise, and is to be called by its name even so.
fn refuse_other_formats(text: &[u8]) -> Result<(), String> {
    let digits: String = text
        .strip_prefix(br#"{"format":"#)
        .ok_or("it does not begin as a state does")?
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .map(|byte| char::from(*byte))
        .collect();
    match digits.parse() {
        Ok(FORMAT) => Ok(()),
        Ok(other) => Err(unknown_format(other)),
        Err(_) => Err("its format is not a number".into()),
    }
}

fn unknown_format(format: u32) -> String {
    format!(
        "its format is {format}, and this tenure knows only {FORMAT}; run the same version of tenure everywhere"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    fn state() -> State {
        let entry = |token| Entry {
            lease: token + 100,
            token,
            id: "a\"ä".into(),
            advertise: Some("http://a".into()),
            ttl_ns: 1,
            expires_at_ns: u64::MAX,
            clock: None,
            renewed: 7,
        };
        State {
            revision: 9,
            entries: vec![entry(3), entry(8)],
            handed_over: true,
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written_and_is_json() {
        let text = state().encode().unwrap();
        assert_eq!(State::decode(&text), Ok(state()));
        serde_json::from_slice::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn no_beginning_of_a_state_is_taken_for_one() {
        let text = state().encode().unwrap();
        for length in 0..text.len() {
            assert!(State::decode(&text[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let text = state().encode().unwrap();
        for bit in 0..text.len() * 8 {
            let mut text = text.clone();
            text[bit / 8] ^= 1 << (bit % 8);
            assert!(State::decode(&text).is_err(), "{bit}");
        }
    }

    fn any_state() -> impl Strategy<Value = State> {
        let entry = (
            any::<u64>(),
            any::<(String, Option<String>, Option<String>)>(),
            any::<(u64, u64, u64)>(),
        );
        vec(entry, 0..4).prop_map(|entries| {
            let entries = (1..).zip(entries);
            let entries = entries.map(|(token, (lease, texts, numbers))| Entry {
                lease,
                token,
                id: texts.0,
                advertise: texts.1,
                ttl_ns: numbers.0,
                expires_at_ns: numbers.1,
                clock: texts.2,
                renewed: numbers.2,
            });
            State {
                revision: 9,
                entries: entries.collect(),
                handed_over: false,
            }
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_as_it_was(state in any_state()) {
            prop_assert_eq!(State::decode(&state.encode().unwrap()), Ok(state));
        }

        #[test]
        fn whatever_is_damaged_is_refused(
            state in any_state(),
            at in any::<Index>(),
            taken in 0_usize..40,
            put_in in vec(any::<u8>(), 0..40),
        ) {
            let text = state.encode().unwrap();
            let at = at.index(text.len() + 1);
            let mut damaged = text.clone();
            damaged.splice(at..text.len().min(at + taken), put_in);
            prop_assert!(damaged == text || State::decode(&damaged).is_err());
        }

        #[test]
        fn whatever_is_no_state_is_refused(text in vec(any::<u8>(), 0..200)) {
            prop_assert!(State::decode(&text).is_err());
        }

        #[test]
        fn whatever_bears_a_seal_is_refused_or_written_again_the_same(
            members in vec(select(&MEMBERS[..]), 0..6),
        ) {
            let mut text = format!("{{\"format\":1{}", members.concat()).into_bytes();
            let seal = seal(&text);
            text.extend_from_slice(seal.as_bytes());
            if let Ok(state) = State::decode(&text) {
                prop_assert_eq!(State::decode(&state.encode().unwrap()), Ok(state));
            }
        }
    }

    const MEMBERS: [&str; 9] = [
        ",\"revision\":9",
        ",\"revision\":-1",
        ",\"revision\":18446744073709551616",
        ",\"entries\":[]",
        ",\"entries\":{}",
        ",\"entries\":[[1,2,\"a\",null,1,2,null,3]]",
        ",\"entries\":[{\"lease\":1}]",
        ",\"format\":1",
        ",\"x\":[[[[]]]]",
    ];

    #[test]
    fn another_format_is_called_by_its_name() {
        let refused = State::decode(b"{\"format\":2,\"sealed\":\"otherwise\"}").unwrap_err();
        assert!(refused.contains("its format is 2"), "{refused}");
    }

    #[test]
    fn tokens_out_of_order_or_from_the_future_are_refused() {
        let mut swapped = state();
        swapped.entries.reverse();
        let future = State {
            revision: 7,
            ..state()
        };
        for state in [swapped, future] {
            assert!(State::decode(&state.encode().unwrap()).is_err());
        }
    }
}
