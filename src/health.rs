//! The application's health: asked now and then, told to the elections when it changes.
//!
//! An application counts as healthy after so many successes in a row, and as unhealthy after so many failures: a single
//! answer that is lost makes nobody resign. It campaigns for nobody before it was healthy once. So one that takes long
//! to start keeps others from nothing, and the grace only decides when people are told that it takes too long.

use crate::call::{CallError, Caller};
use crate::config::HealthConfig;
use crate::status::{Application, Command, ElectionHandle};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// While the application is waited for on shutdown, it is asked at least so often.
const SHUTTING_DOWN: Duration = Duration::from_millis(200);

/// What the answers so far make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    is_healthy: bool,
    /// Answers in a row that say otherwise.
    otherwise: u32,
}

impl Verdict {
    /// Not healthy yet.
    pub fn unknown() -> Self {
        Verdict {
            is_healthy: false,
            otherwise: 0,
        }
    }

    /// Takes in an answer; says what is new.
    pub fn hear(&mut self, succeeded: bool, config: &HealthConfig) -> Option<bool> {
        if succeeded == self.is_healthy {
            self.otherwise = 0;
            return None;
        }
        self.otherwise += 1;
        let needed = if succeeded {
            config.success_threshold
        } else {
            config.failure_threshold
        };
        if self.otherwise < needed {
            return None;
        }
        self.is_healthy = succeeded;
        self.otherwise = 0;
        Some(succeeded)
    }
}

/// Asks until everything ends. `shutting_down` turns true when it is the application's end that is waited for.
pub async fn watch(
    config: HealthConfig,
    caller: Caller,
    elections: Vec<ElectionHandle>,
    mut shutting_down: watch::Receiver<bool>,
) {
    let mut verdict = Verdict::unknown();
    let (mut is_settled, mut refusals) = (false, None);
    let grace = sleep(config.startup_grace);
    tokio::pin!(grace);
    loop {
        let asked = caller.ask(&config.check, config.timeout).await;
        let is_ending = *shutting_down.borrow();
        // What was never there is not gone.
        refusals = match (&asked, refusals) {
            (Err(CallError::Refused(_)), Some(before)) => Some(before + 1),
            (Ok(()), _) | (Err(_), Some(_)) => Some(0),
            (Err(_), None) => None,
        };
        if is_ending && refusals >= Some(config.failure_threshold) {
            tracing::info!("the application is gone");
            tell(&elections, &|| Command::Application(Application::Gone)).await;
        }
        if let Some(is_healthy) = verdict.hear(asked.is_ok(), &config) {
            is_settled = true;
            match &asked {
                Err(error) => tracing::warn!(%error, "the application is unhealthy"),
                Ok(()) => tracing::info!("the application is healthy"),
            }
            tell(&elections, &|| Command::Healthy(is_healthy)).await;
        }
        let pause = if is_ending {
            config.interval.min(SHUTTING_DOWN)
        } else {
            config.interval
        };
        tokio::select! {
            () = sleep(pause) => {}
            Ok(()) = shutting_down.changed() => {}
            () = &mut grace, if !is_settled => {
                is_settled = true;
                if let Err(error) = &asked {
                    tracing::warn!(%error, after = ?config.startup_grace, "the application is not healthy yet");
                }
            }
        }
    }
}

async fn tell(elections: &[ElectionHandle], command: &(dyn Fn() -> Command + Sync)) {
    for election in elections {
        // Fails where the election has ended.
        let _ = election.commands.send(command()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CallConfig;

    fn news(answers: &[bool]) -> Vec<(usize, bool)> {
        let config = HealthConfig {
            check: CallConfig::Http("http://127.0.0.1".to_owned()),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failure_threshold: 3,
            success_threshold: 2,
            startup_grace: Duration::ZERO,
        };
        let mut verdict = Verdict::unknown();
        let heard = answers.iter().enumerate();
        heard
            .filter_map(|(at, ok)| Some((at, verdict.hear(*ok, &config)?)))
            .collect()
    }

    #[test]
    fn only_answers_in_a_row_change_the_verdict() {
        let (y, n) = (true, false);
        assert_eq!(news(&[n, y, n, y, y]), [(4, true)]);
        assert_eq!(news(&[y, y, n, n, y, n, n, n]), [(1, true), (7, false)]);
        assert_eq!(news(&[n, n, n, n]), []);
    }
}
