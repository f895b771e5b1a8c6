//! `/status` as one screen for people: a pure function of its JSON and the date.

use serde::Deserialize;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// What `/status` says. Fields that a newer sidecar adds are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    version: String,
    id: String,
    store: Store,
    pub(super) elections: Vec<Election>,
}

#[derive(Debug, Deserialize)]
struct Store {
    kind: String,
    connected: bool,
}

/// An election, as the contract has it.
#[derive(Debug, Deserialize)]
pub(super) struct Election {
    pub(super) election: String,
    state: String,
    #[serde(default)]
    held_back: Option<String>,
    at_risk: bool,
    fencing_token: Option<u64>,
    valid_for_ms: Option<u64>,
    since: String,
    leader: Option<Leader>,
}

#[derive(Debug, Deserialize)]
struct Leader {
    id: String,
    advertise: Option<String>,
}

const HEADINGS: [&str; 7] = [
    "ELECTION", "STATE", "LEADER", "SINCE", "TOKEN", "VALID", "AT RISK",
];

/// Writes it.
pub(super) fn write(status: &Status, date: SystemTime, out: &mut dyn Write) -> io::Result<()> {
    let connection = if status.store.connected {
        "connected"
    } else {
        "not connected"
    };
    writeln!(out, "candidate  {}", printable(&status.id))?;
    writeln!(
        out,
        "store      {}, {connection}",
        printable(&status.store.kind)
    )?;
    writeln!(out, "version    {}\n", printable(&status.version))?;
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(status.elections.iter().map(|election| row(election, date)));
    let mut widths = [0; HEADINGS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells = row.iter().zip(widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn row(election: &Election, date: SystemTime) -> [String; HEADINGS.len()] {
    let leader = match &election.leader {
        None => "unknown".to_owned(),
        Some(Leader { id, advertise }) => match advertise {
            None => printable(id),
            Some(address) => format!("{} ({})", printable(id), printable(address)),
        },
    };
    let none = || "-".to_owned();
    [
        printable(&election.election),
        state(election),
        leader,
        since(&election.since, date),
        election.fencing_token.map_or_else(none, |t| t.to_string()),
        election
            .valid_for_ms
            .map_or_else(none, |ms| format!("{}.{} s", ms / 1000, ms % 1000 / 100)),
        if election.at_risk { "yes" } else { "no" }.to_owned(),
    ]
}

fn state(election: &Election) -> String {
    let state = printable(&election.state);
    match &election.held_back {
        None => state,
        Some(why) => format!("{state} ({})", printable(why)),
    }
}

/// The date, and how long ago that is in its two largest units.
fn since(text: &str, date: SystemTime) -> String {
    let parsed = humantime::parse_rfc3339(text).ok();
    let Some(age) = parsed.and_then(|since| date.duration_since(since).ok()) else {
        return printable(text);
    };
    let age = humantime::format_duration(Duration::from_secs(age.as_secs())).to_string();
    let largest: Vec<&str> = age.split(' ').take(2).collect();
    format!("{} ({} ago)", printable(text), largest.join(" "))
}

/// Text from elsewhere as a terminal may get it: ids come from the store, and anybody may write there.
pub(super) fn printable(text: &str) -> String {
    // More than any id of a sidecar has, and far less than the widest column that can be formatted.
    const LONGEST: usize = 256;
    let mut chars = text.chars();
    let short: String = chars.by_ref().take(LONGEST).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    short.replace(is_unprintable, "\u{fffd}") + more
}

/// It would steer the terminal, or turn the words around it round.
fn is_unprintable(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || char.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = r#"{"version":"0.1.0","id":"pod-0","store":{"kind":"etcd","connected":true},"elections":[
        {"election":"payments","id":"pod-0","state":"leader","is_leader":true,"at_risk":false,"fencing_token":4711,
         "valid_for_ms":5230,"since":"1970-01-01T00:00:00.000Z","leader":{"id":"pod-0","advertise":"http://10.0.0.3:8080"},"transitions":3},
        {"election":"reports","id":"pod-0","state":"follower","is_leader":false,"at_risk":false,"fencing_token":null,
         "valid_for_ms":null,"since":"1970-01-01T00:59:58.000Z","leader":null,"transitions":1}]}"#;

    #[test]
    fn a_screen_shows_the_candidate_the_store_and_each_election_in_columns() {
        let status: Status = serde_json::from_str(STATUS).unwrap();
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
        let mut out = Vec::new();
        write(&status, date, &mut out).unwrap();
        let expected = "\
candidate  pod-0
store      etcd, connected
version    0.1.0

ELECTION  STATE     LEADER                        SINCE                              TOKEN  VALID  AT RISK
payments  leader    pod-0 (http://10.0.0.3:8080)  1970-01-01T00:00:00.000Z (1h ago)  4711   5.2 s  no
reports   follower  unknown                       1970-01-01T00:59:58.000Z (2s ago)  -      -      no
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn nothing_that_a_candidate_says_of_itself_is_longer_than_a_column_may_be() {
        assert_eq!(printable(&"ä".repeat(256)).chars().count(), 256);
        let long = printable(&"ä".repeat(100_000));
        assert!(long.chars().count() == 257 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn nothing_that_a_candidate_says_of_itself_moves_the_cursor() {
        assert_eq!(
            printable("a\u{1b}[2J\nb\u{9b}"),
            "a\u{fffd}[2J\u{fffd}b\u{fffd}"
        );
        assert_eq!(printable("a\u{202e}b"), "a\u{fffd}b");
    }
}
