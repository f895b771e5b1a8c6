//! The verbs that change something: `resign`, `pause`, `resume`.

use super::connection::Answer;
use super::sidecar::{Access, Sidecar};
use super::url::encoded;
use super::{ClientError, Why, ask, screen};
use hyper::{Method, StatusCode};
use std::io::{self, Write};
use std::time::Duration;

/// What `tenure resign` asks for.
#[derive(Clone, Debug, Default)]
pub struct Resignation {
    /// Which election; the only one by default.
    pub election: Option<String>,
    /// How long to stay out; the sidecar's default otherwise.
    pub cooldown: Option<Duration>,
    /// Whether the application has stopped, so that no promise is to be kept.
    pub stopped: bool,
}

/// `tenure resign`: asks the sidecar to resign. 0, 1 not leader, 2 no answer.
///
/// # Errors
/// Where no sidecar answers, or it refuses for another reason than not leading.
pub async fn resign(
    access: &Access,
    resignation: &Resignation,
    out: &mut dyn Write,
) -> Result<u8, ClientError> {
    let asked = async {
        let to = Sidecar::find(access)?;
        let mut path = format!("/resign?stopped={}", resignation.stopped);
        if let Some(name) = &resignation.election {
            path += &format!("&election={}", encoded(name));
        }
        if let Some(cooldown) = resignation.cooldown {
            path += &format!("&cooldown={}ms", cooldown.as_millis());
        }
        let answer = ask(&to, Method::POST, &path).await?;
        if answer.status != StatusCode::ACCEPTED {
            return Err(answer.refusal(&to));
        }
        let accepted: Accepted = answer.parse(&to)?;
        let stays_out = match accepted.cooldown_ms {
            Some(cooldown) => format!("stays out for {cooldown} ms"),
            None => "was resigning already".to_owned(),
        };
        accepted.tell("resigned from", &stays_out, out)?;
        Ok(0)
    };
    asked.await.map_err(|why: Why| {
        let not_leader =
            matches!(&why, Why::Refused { status, .. } if *status == StatusCode::CONFLICT);
        why.exits(if not_leader { 1 } else { 2 })
    })
}

/// `tenure pause`: has the sidecar give up what it holds, and stay out until resumed. 0, or 2 where nobody answers.
///
/// # Errors
/// Where no sidecar answers, or it refuses.
pub async fn pause(
    access: &Access,
    election: Option<&str>,
    out: &mut dyn Write,
) -> Result<u8, ClientError> {
    let asked = async {
        let to = Sidecar::find(access)?;
        let answer = call(&to, "/pause", election, StatusCode::ACCEPTED).await?;
        let accepted: Accepted = answer.parse(&to)?;
        accepted.tell("paused", "stays out until resumed", out)?;
        Ok(0)
    };
    asked.await.map_err(|why: Why| why.exits(2))
}

/// `tenure resume`: has a paused sidecar campaign again. 0, or 2 where nobody answers.
///
/// # Errors
/// Where no sidecar answers, or it refuses.
pub async fn resume(
    access: &Access,
    election: Option<&str>,
    out: &mut dyn Write,
) -> Result<u8, ClientError> {
    #[derive(serde::Deserialize)]
    struct Resumed {
        election: String,
    }
    let asked = async {
        let to = Sidecar::find(access)?;
        let answer = call(&to, "/resume", election, StatusCode::OK).await?;
        let resumed: Resumed = answer.parse(&to)?;
        writeln!(out, "resumed {}", screen::printable(&resumed.election))?;
        out.flush()?;
        Ok(0)
    };
    asked.await.map_err(|why: Why| why.exits(2))
}

async fn call(
    to: &Sidecar,
    path: &str,
    election: Option<&str>,
    expected: StatusCode,
) -> Result<Answer, Why> {
    let query = election.map_or(String::new(), |name| format!("?election={}", encoded(name)));
    let answer = ask(to, Method::POST, &format!("{path}{query}")).await?;
    if answer.status == expected {
        Ok(answer)
    } else {
        Err(answer.refusal(to))
    }
}

#[derive(serde::Deserialize)]
struct Accepted {
    election: String,
    released_in_ms: u64,
    released_at: String,
    cooldown_ms: Option<u64>,
}

impl Accepted {
    fn tell(&self, done: &str, then: &str, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{done} {}; released in {} ms, at {}; {then}",
            screen::printable(&self.election),
            self.released_in_ms,
            screen::printable(&self.released_at),
        )?;
        out.flush()
    }
}
