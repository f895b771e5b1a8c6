//! Those who watch: for each sidecar a witness who asks `/leader` on `probes` all the time, and a visitor who
//! scrapes `/metrics` and, at every other sidecar, is an application that asks on `api` and is promised things.

use super::record::Record;
use crate::support::http::{Client, Response};
use crate::support::ms;
use crate::support::sidecar::Sidecar;
use crate::support::witness::{Claim, claimed};
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tenure::clock;

/// The witness's pause between an answer and the next question.
const PAUSE: Duration = ms(4);
/// Short: the later a question is put, the more an answer to it says.
const PATIENCE: Duration = ms(100);
const VISIT_PERIOD: Duration = ms(300);
const VISITS_PER_SCRAPE: usize = 4;

pub(crate) struct Watch {
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

struct Watcher {
    who: usize,
    record: Arc<Record>,
    ended: Receiver<()>,
}

impl Watch {
    pub(crate) fn over(sidecars: &[Sidecar], record: &Arc<Record>) -> Watch {
        let mut threads = Vec::new();
        for (who, sidecar) in sidecars.iter().enumerate() {
            let (api, probes) = (sidecar.api, sidecar.probes);
            let mut watch = |work: Box<dyn FnOnce(Watcher) + Send>| {
                let (end, ended) = mpsc::channel();
                let record = Arc::clone(record);
                let watcher = Watcher { who, record, ended };
                threads.push((end, thread::spawn(move || work(watcher))));
            };
            watch(Box::new(move |watcher| watcher.witness(probes)));
            let api = who.is_multiple_of(2).then_some(api);
            watch(Box::new(move |watcher| watcher.visit(api, probes)));
        }
        Watch { threads }
    }

    pub(crate) fn end(self) {
        let (ends, threads): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(ends);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

impl Watcher {
    fn goes_on_after(&self, pause: Duration) -> bool {
        self.ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    }

    fn witness(self, probes: u16) {
        let mut client = Client::new(probes, PATIENCE);
        while self.goes_on_after(PAUSE) {
            let Ok((response, claim)) = self.ask(&mut client, "/leader") else {
                self.record.lock().unanswered(self.who);
                continue;
            };
            match claimed(&response) {
                Ok(token) => {
                    let claim = token.map(|token| Claim { token, ..claim });
                    self.record.lock().probed(self.who, claim.as_ref());
                }
                Err(nonsense) => self.record.offence(format!("nonsense: {nonsense}")),
            }
        }
    }

    fn visit(self, api: Option<u16>, probes: u16) {
        let mut application = api.map(|api| Client::new(api, PATIENCE));
        let mut scraper = Client::new(probes, ms(1_000));
        for visit in 1_usize.. {
            if !self.goes_on_after(VISIT_PERIOD) {
                return;
            }
            if let Some(client) = &mut application {
                self.be_promised(client);
            }
            if visit.is_multiple_of(VISITS_PER_SCRAPE) {
                self.scrape(&mut scraper);
            }
        }
    }

    fn be_promised(&self, client: &mut Client) {
        let Ok((response, claim)) = self.ask(client, "/leader") else {
            return;
        };
        let election: Value = serde_json::from_str(&response.body).unwrap_or_default();
        let token = election["fencing_token"].as_u64();
        let valid_for = election["valid_for_ms"].as_u64();
        match (response.status, token, valid_for) {
            (200, Some(token), Some(valid_for)) => {
                let claim = Claim { token, ..claim };
                self.record.lock().promised(&claim, ms(valid_for));
            }
            (503, None, None) => {}
            _ => self.record.offence(format!("nonsense: {}", response.body)),
        }
    }

    /// A gauge that shows a token is a claim, too.
    fn scrape(&self, client: &mut Client) {
        let Ok((response, claim)) = self.ask(client, "/metrics") else {
            return;
        };
        let mut lines = response.body.lines();
        let gauge = lines.find(|line| line.starts_with("tenure_fencing_token{"));
        let token = gauge.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        let mut history = self.record.lock();
        history.scrapes += 1;
        match token {
            Some(token) if token > 0.0 => history.claimed(&Claim {
                token: token as u64,
                ..claim
            }),
            Some(_) => {}
            None => {
                let what = format!("no token in the metrics: {}", response.status);
                history.offences.push((claim.answered_at, what));
            }
        }
    }

    /// An answer, and the claim that it would make, its token unknown yet.
    fn ask(&self, client: &mut Client, path: &str) -> io::Result<(Response, Claim)> {
        let asked_at = clock::now();
        let response = client.get(path)?;
        let claim = Claim {
            who: self.who,
            token: 0,
            asked_at,
            answered_at: clock::now(),
        };
        Ok((response, claim))
    }
}
