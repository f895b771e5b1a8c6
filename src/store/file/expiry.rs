//! When a place in the queue has expired, by the clock of whoever looks.
//!
//! Not earlier than ttl after its last renewal was sent. The owner stops leading a drift margin before that.
//!
//! Where owner and reader share a clock, the time written into the place says it. Two processes share one when
//! the host has not been restarted in between and both are in the same time namespace: their [`ClockDomain`] is
//! the same. Where it is not, or not known, the written time means nothing; the place then has expired once the
//! reader has seen it without a renewal for its whole ttl. Its last renewal was sent before the reader saw it, so
//! that is never too early.

use super::state::{Entry, State};
use crate::election::Time;
use std::collections::HashMap;
use std::fs;

/// Which CLOCK_BOOTTIME a process reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClockDomain(String);

impl ClockDomain {
    /// This process's own; none where the kernel doesn't tell.
    pub(super) fn own() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs::read_link("/proc/self/ns/time").ok()?;
        // The number of a namespace is used again after its end; its offset from the host's clock need not be the
        // same.
        let offsets = fs::read_to_string("/proc/self/timens_offsets").ok()?;
        let words = [&boot, namespace.to_str()?, &offsets];
        let words: Vec<&str> = words.into_iter().flat_map(str::split_whitespace).collect();
        Some(ClockDomain(words.join(" ")))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn named(name: &str) -> Self {
        ClockDomain(name.into())
    }
}

/// Since when each place has been seen without a renewal.
#[derive(Clone, Debug, Default)]
pub(super) struct Sightings(HashMap<u64, Sighting>);

#[derive(Clone, Copy, Debug)]
struct Sighting {
    renewed: u64,
    since: Time,
}

impl Sightings {
    /// Takes in a state. `now` was read *after* the state: a renewal must not look older than it is.
    pub(super) fn take_in(&mut self, state: &State, now: Time) {
        let before = std::mem::take(&mut self.0);
        self.0 = state
            .entries
            .iter()
            .map(|entry| {
                let known = before.get(&entry.lease).copied();
                let sighting = known
                    .filter(|sighting| sighting.renewed == entry.renewed)
                    .unwrap_or(Sighting {
                        renewed: entry.renewed,
                        since: now,
                    });
                (entry.lease, sighting)
            })
            .collect();
    }

    /// When the place will have expired; it has to have been [taken in](Self::take_in).
    pub(super) fn expiry(&self, entry: &Entry, own: Option<&ClockDomain>, now: Time) -> Time {
        match (own, &entry.clock) {
            (Some(own), Some(clock)) if own.as_str() == clock => entry.expires_at(),
            _ => {
                let sighting = self.0.get(&entry.lease);
                sighting.map_or(now, |sighting| sighting.since) + entry.ttl()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(clock: Option<&str>, renewed: u64) -> Entry {
        Entry {
            lease: 1,
            token: 1,
            id: "a".into(),
            advertise: None,
            ttl_ns: 10,
            expires_at_ns: 5,
            clock: clock.map(str::to_owned),
            renewed,
        }
    }

    fn see(sightings: &mut Sightings, entry: &Entry, at: u64) -> u64 {
        let state = State {
            revision: 9,
            entries: vec![entry.clone()],
            handed_over: false,
        };
        let now = Time::from_nanos(at);
        sightings.take_in(&state, now);
        let own = ClockDomain::named("here");
        sightings.expiry(entry, Some(&own), now).as_nanos()
    }

    #[test]
    fn the_time_written_by_the_same_clock_counts() {
        assert_eq!(
            see(&mut Sightings::default(), &entry(Some("here"), 1), 100),
            5
        );
    }

    #[test]
    fn the_time_written_by_another_clock_does_not_count() {
        for clock in [Some("there"), None] {
            let mut sightings = Sightings::default();
            assert_eq!(see(&mut sightings, &entry(clock, 1), 100), 110);
            assert_eq!(see(&mut sightings, &entry(clock, 1), 109), 110);
            assert_eq!(see(&mut sightings, &entry(clock, 2), 109), 119);
        }
    }

    #[test]
    fn nothing_is_the_same_clock_as_an_unknown_one() {
        let unknown = entry(None, 1);
        let expiry = Sightings::default().expiry(&unknown, None, Time::from_nanos(100));
        assert_eq!(expiry.as_nanos(), 110);
    }

    #[test]
    fn this_process_knows_its_clock_and_it_stays_the_same() {
        assert!(ClockDomain::own().is_some());
        assert_eq!(ClockDomain::own(), ClockDomain::own());
    }
}
