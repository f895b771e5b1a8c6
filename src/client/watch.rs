//! `tenure watch`: a line per change, as it happens.

use super::connection::{Chunks, Connection};
use super::screen::printable;
use super::sidecar::{Access, Sidecar};
use super::{Answer, ClientError, Why};
use crate::clock;
use crate::status::rfc3339;
use hyper::StatusCode;
use serde_json::Value;
use std::io::Write;

/// `tenure watch`: a line for each change of each election, until the sidecar ends or `stop` does. 0 then.
///
/// # Errors
/// Where no sidecar answers at first, or the output can't be written; the exit status is 1.
pub async fn watch(
    access: &Access,
    stop: impl Future<Output = ()>,
    out: &mut dyn Write,
) -> Result<u8, ClientError> {
    let watched = async {
        let to = Sidecar::find(access)?;
        let mut events = open(&to).await?;
        while let Some(event) = events.next().await {
            if event.name == "state" {
                writeln!(out, "{} {}", rfc3339(clock::date()), line(&event.data))?;
                out.flush()?;
            }
        }
        Ok(())
    };
    let result = tokio::select! {
        result = watched => result,
        () = stop => Ok(()),
    };
    result.map(|()| 0).map_err(|why: Why| why.exits(1))
}

async fn open(to: &Sidecar) -> Result<Events, Why> {
    let connection = Connection::open(to).await?;
    let (status, mut chunks) = connection.stream(to, "/events").await?;
    if status != StatusCode::OK {
        let body = chunks.next().await.unwrap_or_default();
        return Err(Answer { status, body }.refusal(to));
    }
    Ok(Events {
        chunks,
        unread: Vec::new(),
    })
}

/// `payments leader pod-0 token 4711`
fn line(data: &str) -> String {
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(printable);
    let election = text(&data["election"]).unwrap_or_default();
    let state = text(&data["state"]).unwrap_or_default();
    let leader = text(&data["leader"]["id"]).map_or("led by nobody known".to_owned(), |id| {
        format!("led by {id}")
    });
    let token = data["fencing_token"]
        .as_u64()
        .map_or(String::new(), |token| format!(", token {token}"));
    format!("{election} {state}, {leader}{token}")
}

/// A server-sent event.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    name: String,
    data: String,
}

impl Event {
    /// Comments, and blocks without data, are no events.
    fn parse(block: &str) -> Option<Event> {
        let field = |name| {
            let value = block.lines().find_map(|line| line.strip_prefix(name))?;
            Some(value.trim_start().to_owned())
        };
        Some(Event {
            name: field("event:")?,
            data: field("data:")?,
        })
    }
}

/// The events of one stream.
struct Events {
    chunks: Chunks,
    unread: Vec<u8>,
}

/// Longer than any event of a sidecar.
const EVENT_BYTES: usize = 64 * 1024;

impl Events {
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(block) = take_block(&mut self.unread) {
                if let Some(event) = Event::parse(&block) {
                    return Some(event);
                }
            }
            if self.unread.len() > EVENT_BYTES {
                return None;
            }
            let chunk = self.chunks.next().await?;
            self.unread.extend_from_slice(&chunk);
        }
    }
}

/// What comes before the first empty line, if that has been received.
fn take_block(unread: &mut Vec<u8>) -> Option<String> {
    let end = unread.windows(2).position(|pair| pair == b"\n\n")?;
    let block: Vec<u8> = unread.drain(..end + 2).collect();
    Some(String::from_utf8_lossy(&block).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_stream_is_cut() {
        let text = ": ping\n\nevent: state\ndata: {\"a\":1}\n\nevent: renewed\ndata: {}\n\n";
        let mut unread = Vec::new();
        let mut found = Vec::new();
        for byte in text.bytes() {
            unread.push(byte);
            found.extend(take_block(&mut unread).and_then(|block| Event::parse(&block)));
        }
        let event = |name: &str, data: &str| Event {
            name: name.into(),
            data: data.into(),
        };
        assert_eq!(found, [event("state", "{\"a\":1}"), event("renewed", "{}")]);
    }

    #[test]
    fn a_line_says_the_election_the_state_the_leader_and_the_token() {
        let led = r#"{"election":"payments","state":"leader","leader":{"id":"pod-0\u001b[2J"},"fencing_token":7}"#;
        assert_eq!(
            line(led),
            "payments leader, led by pod-0\u{fffd}[2J, token 7"
        );
        let unknown = r#"{"election":"payments","state":"starting","leader":null}"#;
        assert_eq!(line(unknown), "payments starting, led by nobody known");
    }
}
