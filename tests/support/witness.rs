//! Witnesses who ask every sidecar all the time whether it leads, and a judge who finds contradictions.
//!
//! A claim is a fencing token in an answer that said "leader". It was true at some moment between the
//! question and the answer. So where a token is claimed to a question that was put only after a higher
//! token had been answered, two have led at once. Witnesses ask on `probes`: they are promised nothing.

use super::http::{Client, Response};
use super::ms;
use super::sidecar::{ROLE_BOUND, Sidecar};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

/// The pause between an answer and the next question.
const PAUSE: Duration = ms(2);
/// How long an answer is waited for. Short: the later a question is put, the more an answer to it says.
const PATIENCE: Duration = ms(100);
/// So often is `/livez` asked too.
const LIVEZ_PERIOD: Duration = ms(50);
/// `/livez` may take that long on a busy machine.
const LIVEZ_PATIENCE: Duration = ms(3_000);

/// Somebody who claimed to lead.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Which sidecar, by its place among those watched.
    pub who: usize,
    pub token: u64,
    pub asked_at: Time,
    pub answered_at: Time,
}

/// What one witness saw.
#[derive(Default)]
struct Seen {
    claims: Vec<Claim>,
    answers: u64,
    /// Answers that contradict themselves, or are no answers.
    nonsense: Vec<String>,
    not_alive: Vec<(Time, String)>,
    /// Whom to tell of the first answer.
    answered: Option<Sender<()>>,
}

impl Seen {
    fn record(&mut self, who: usize, asked_at: Time, response: &Response) {
        let answered_at = clock::now();
        self.answers += 1;
        match claimed(response) {
            Err(nonsense) if self.nonsense.len() < 5 => self.nonsense.push(nonsense),
            Ok(Some(token)) => self.claims.push(Claim {
                who,
                token,
                asked_at,
                answered_at,
            }),
            _ => {}
        }
        self.tell_of_the_first_answer();
    }

    fn tell_of_the_first_answer(&mut self) {
        if let Some(answered) = self.answered.take() {
            let _ = answered.send(());
        }
    }
}

/// The token that an answer on `probes` claims, if any; the answer, where it contradicts itself.
pub fn claimed(response: &Response) -> Result<Option<u64>, String> {
    let election: Value = serde_json::from_str(&response.body).unwrap_or_default();
    let token = election["fencing_token"].as_u64();
    let is_leader = election["is_leader"] == true;
    let agrees = is_leader == (response.status == 200)
        && is_leader == token.is_some()
        && is_leader == (election["state"] == "leader")
        && election["valid_for_ms"].is_null();
    if agrees {
        Ok(token)
    } else {
        Err(format!("{} {}", response.status, response.body))
    }
}

/// Witnesses at work, one thread for every sidecar and one more for its `/livez`.
pub struct Witnesses {
    names: Vec<String>,
    threads: Vec<(Sender<()>, JoinHandle<Seen>)>,
}

impl Witnesses {
    /// Begins to watch.
    pub fn of(sidecars: &[&Sidecar]) -> Witnesses {
        let mut witnesses = Witnesses {
            names: Vec::new(),
            threads: Vec::new(),
        };
        for sidecar in sidecars {
            witnesses.also(sidecar);
        }
        witnesses
    }

    /// Begins to watch one more. From the first answer on, which is waited for, nothing is missed.
    #[track_caller]
    pub fn also(&mut self, sidecar: &Sidecar) {
        let (who, port) = (self.names.len(), sidecar.probes);
        self.names.push(sidecar.id.clone());
        let (answered, first_answer) = mpsc::channel();
        for watch in [watch_leader, watch_livez] {
            let (end, ended) = mpsc::channel();
            let answered = answered.clone();
            let thread = thread::spawn(move || {
                let mut seen = Seen {
                    answered: Some(answered),
                    ..Seen::default()
                };
                watch(who, port, &mut seen, &mut |pause| {
                    ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
                });
                seen
            });
            self.threads.push((end, thread));
        }
        for _ in 0..2 {
            let answer = first_answer.recv_timeout(ROLE_BOUND);
            assert!(answer.is_ok(), "{} answers nothing", sidecar.id);
        }
    }

    /// Ends the watch; judges, and tells what was seen.
    ///
    /// # Panics
    /// Where two led at once, or nobody ever led.
    #[track_caller]
    pub fn judged(mut self) -> History {
        let history = self.end();
        history.judge();
        history
    }

    fn end(&mut self) -> History {
        let mut history = History {
            names: self.names.clone(),
            claims: Vec::new(),
            answers: 0,
            nonsense: Vec::new(),
            not_alive: Vec::new(),
        };
        let (ends, threads): (Vec<_>, Vec<_>) = self.threads.drain(..).unzip();
        drop(ends);
        for thread in threads {
            let seen = thread.join().unwrap();
            history.claims.extend(seen.claims);
            history.answers += seen.answers;
            history.nonsense.extend(seen.nonsense);
            history.not_alive.extend(seen.not_alive);
        }
        history.claims.sort_by_key(|claim| claim.answered_at);
        history
    }
}

impl Drop for Witnesses {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

type GoOn<'a> = &'a mut dyn FnMut(Duration) -> bool;

fn watch_leader(who: usize, port: u16, seen: &mut Seen, go_on: GoOn) {
    let mut client = Client::new(port, PATIENCE);
    let mut on = true;
    while on {
        // Asks once more after the end, so that what the test has seen is on record.
        on = go_on(PAUSE);
        let asked_at = clock::now();
        if let Ok(response) = client.get("/leader") {
            seen.record(who, asked_at, &response);
        }
    }
}

fn watch_livez(who: usize, port: u16, seen: &mut Seen, go_on: GoOn) {
    let mut client = Client::new(port, LIVEZ_PATIENCE);
    let mut alive = false;
    let mut pause = PAUSE;
    while go_on(pause) {
        let asked_at = clock::now();
        let problem = match client.get("/livez") {
            Ok(response) if response.status == 200 => {
                (alive, pause) = (true, LIVEZ_PERIOD);
                seen.tell_of_the_first_answer();
                continue;
            }
            Ok(response) => format!("{who}: {} {}", response.status, response.body),
            Err(error) => format!("{who}: {error}"),
        };
        // Until it has begun to listen, it isn't late.
        if alive {
            seen.not_alive.push((asked_at, problem));
        }
    }
}

/// What all witnesses saw.
pub struct History {
    names: Vec<String>,
    /// In the order of the answers.
    pub claims: Vec<Claim>,
    answers: u64,
    nonsense: Vec<String>,
    not_alive: Vec<(Time, String)>,
}

/// All claims with one token.
#[derive(Clone, Debug)]
pub struct Leadership {
    pub name: String,
    pub token: u64,
    pub first: Claim,
    pub last: Claim,
}

impl History {
    #[track_caller]
    fn judge(&self) {
        assert!(self.answers > 0, "nobody ever answered");
        assert!(!self.claims.is_empty(), "nobody ever led");
        assert!(
            self.nonsense.is_empty(),
            "answers that contradict themselves: {:#?}",
            self.nonsense
        );
        let mut owners = BTreeMap::new();
        for claim in &self.claims {
            let owner = owners.entry(claim.token).or_insert(claim.who);
            assert!(
                *owner == claim.who,
                "token {} is claimed by two:{}",
                claim.token,
                self.excerpt(claim)
            );
        }
        if let Some(claim) = self.first_stale() {
            panic!(
                "a token is claimed after a higher one:{}",
                self.excerpt(claim)
            );
        }
    }

    /// A claim to a question that was put after a higher token had been answered.
    fn first_stale(&self) -> Option<&Claim> {
        let mut highest = 0;
        // By the time of an answer: the highest token answered by then.
        let known: Vec<(Time, u64)> = self
            .claims
            .iter()
            .map(|claim| {
                highest = highest.max(claim.token);
                (claim.answered_at, highest)
            })
            .collect();
        self.claims.iter().find(|claim| {
            let before = known.partition_point(|(answered_at, _)| *answered_at < claim.asked_at);
            before > 0 && known[before - 1].1 > claim.token
        })
    }

    /// What was claimed around this claim, for people.
    fn excerpt(&self, claim: &Claim) -> String {
        const AROUND: usize = 8;
        let zero = self.claims[0].asked_at;
        let at = self
            .claims
            .partition_point(|other| other.answered_at < claim.answered_at);
        let mut excerpt = String::new();
        for other in &self.claims[at.saturating_sub(AROUND)..self.claims.len().min(at + AROUND)] {
            let (asked, answered) = (other.asked_at.since(zero), other.answered_at.since(zero));
            let name = &self.names[other.who];
            let token = other.token;
            excerpt +=
                &format!("\n  {name} claims {token}, asked {asked:?}, answered {answered:?}");
        }
        excerpt
    }

    /// Everybody who led, in order of their tokens.
    pub fn leaderships(&self) -> Vec<Leadership> {
        let mut by_token: BTreeMap<u64, Leadership> = BTreeMap::new();
        for claim in &self.claims {
            by_token
                .entry(claim.token)
                .and_modify(|leadership| leadership.last = claim.clone())
                .or_insert_with(|| Leadership {
                    name: self.names[claim.who].clone(),
                    token: claim.token,
                    first: claim.clone(),
                    last: claim.clone(),
                });
        }
        by_token.into_values().collect()
    }

    /// The names of those who led, in order of their tokens.
    pub fn succession(&self) -> Vec<String> {
        let leaderships = self.leaderships().into_iter();
        leaderships.map(|leadership| leadership.name).collect()
    }

    /// The longest time between two claims, whosesoever they were.
    pub fn longest_gap(&self) -> Duration {
        let pairs = self.claims.windows(2);
        let gaps = pairs.map(|pair| pair[1].answered_at.since(pair[0].answered_at));
        gaps.max().unwrap_or_default()
    }

    /// The first claim of anyone to a question put at `time` or later.
    #[track_caller]
    pub fn first_asked_from(&self, time: Time) -> &Claim {
        let claims = self.claims.iter().filter(|claim| claim.asked_at >= time);
        claims
            .min_by_key(|claim| claim.answered_at)
            .expect("a claim after that time")
    }

    /// # Panics
    /// Where `/livez` was ever anything but 200.
    #[track_caller]
    pub fn assert_always_alive(&self) {
        assert!(self.not_alive.is_empty(), "{:?}", self.not_alive);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    fn history(claims: &[(usize, u64, u64, u64)]) -> History {
        let claim = |&(who, token, asked, answered)| Claim {
            who,
            token,
            asked_at: Time::from_nanos(asked),
            answered_at: Time::from_nanos(answered),
        };
        History {
            names: vec!["a".to_owned(), "b".to_owned()],
            claims: claims.iter().map(claim).collect(),
            answers: 1,
            nonsense: Vec::new(),
            not_alive: Vec::new(),
        }
    }

    fn is_guilty(claims: &[(usize, u64, u64, u64)]) -> bool {
        let history = history(claims);
        catch_unwind(|| history.judge()).is_err()
    }

    #[test]
    fn a_lower_token_claimed_after_a_higher_one_is_a_crime() {
        assert!(is_guilty(&[(0, 7, 0, 10), (1, 9, 20, 30), (0, 7, 31, 40)]));
    }

    #[test]
    fn a_lower_token_claimed_while_a_higher_one_was_asked_for_may_have_been_true() {
        assert!(!is_guilty(&[(0, 7, 0, 10), (1, 9, 20, 30), (0, 7, 30, 40)]));
        assert!(!is_guilty(&[(1, 9, 20, 30), (0, 7, 0, 40), (1, 9, 41, 50)]));
    }

    #[test]
    fn one_token_claimed_by_two_is_a_crime() {
        assert!(is_guilty(&[(0, 7, 0, 10), (1, 7, 20, 30)]));
    }

    #[test]
    fn never_having_a_leader_is_a_crime() {
        assert!(is_guilty(&[]));
    }
}
