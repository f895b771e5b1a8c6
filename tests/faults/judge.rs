//! Judges what is on record, by fencing token and by real time.
//!
//! A claim was true at some moment between its question and its answer. So a leadership, which its token names,
//! lasted at least from its earliest answer to its latest question.
//!
//! - By token: nobody asked after a higher token was answered is told a lower one.
//! - By time: no two leaderships have to have overlapped, whatever their tokens.
//! - By promise: nobody else leads before a promise that was given on `api` is over.
//!
//! Nothing is exempt but who was tampered with. Where the nemesis deletes a leader's key or revokes its lease,
//! a successor may lead at once, and the deposed leader, who learns of it by its watch, may go on claiming until
//! nothing has ailed it and etcd for a second. Its promises are void.

use super::record::{History, Inflicted, Leadership, Tampering, Target, name};
use super::schedule::Kind;
use crate::support::ms;
use std::time::Duration;
use tenure::election::Time;

/// So soon does a deposed leader that can be told stop claiming.
const TO_NOTICE: Duration = ms(1_000);
/// The members elect a leader after one was away, and whoever was cut off connects again.
const TO_SETTLE: Duration = ms(1_000);

impl History {
    /// All that is wrong, in words.
    pub(crate) fn violations(&self) -> Vec<String> {
        let offences = self.offences.iter();
        let mut violations: Vec<String> = offences
            .map(|(at, what)| format!("{:.3} s: {what}", self.seconds(*at)))
            .collect();
        let all: Vec<&Leadership> = self.leaderships.values().collect();
        for (i, lower) in all.iter().enumerate() {
            let tampering = self.tampering_with(lower.token);
            if let Some(tampering) = tampering {
                violations.extend(self.deposed_too_late(lower, tampering, all.get(i + 1)));
            }
            // It excuses what it may have caused, and nothing that was wrong before.
            let excused = |higher: &Leadership| {
                tampering.is_some_and(|tampering| higher.first_answered >= tampering.tried_at)
            };
            for higher in all[i + 1..].iter().filter(|higher| !excused(higher)) {
                violations.extend(self.contradiction(lower, higher));
            }
        }
        violations
    }

    /// How long deposed leaders and their successors claimed at once.
    pub(crate) fn tampered_overlaps(&self) -> Vec<Duration> {
        let deposed = self.leaderships.values().filter_map(|lower| {
            self.tampering_with(lower.token)?;
            let mut later = self.leaderships.range(lower.token + 1..);
            let overlap = lower.last_asked.since(later.next()?.1.first_answered);
            (overlap > Duration::ZERO).then_some(overlap)
        });
        deposed.collect()
    }

    fn tampering_with(&self, token: u64) -> Option<&Tampering> {
        let mut tamperings = self.tamperings.iter();
        tamperings.find(|tampering| tampering.token == token)
    }

    fn contradiction(&self, lower: &Leadership, higher: &Leadership) -> Option<String> {
        let between = format!(
            "{} with token {} and {} with token {}",
            name(lower.who),
            lower.token,
            name(higher.who),
            higher.token
        );
        let overlap = lower.last_asked.since(higher.first_answered);
        if overlap > Duration::ZERO {
            // Where the higher one had ended by then, it is the order that is wrong.
            let by_time = higher.last_asked > lower.first_answered;
            let law = if by_time { "time and token" } else { "token" };
            let at = self.seconds(higher.first_answered);
            return Some(format!("{at:.3} s: by {law}, {overlap:?}: {between}"));
        }
        let broken = lower.promised_until?.since(higher.first_answered);
        let at = self.seconds(higher.first_answered);
        (broken > Duration::ZERO)
            .then(|| format!("{at:.3} s: a promise broken by {broken:?}: {between}"))
    }

    fn deposed_too_late(
        &self,
        deposed: &Leadership,
        tampering: &Tampering,
        next: Option<&&Leadership>,
    ) -> Option<String> {
        let done_at = match next {
            // It came true at the latest when the next one led.
            _ if tampering.is_certain => tampering.done_at,
            Some(next) => tampering.done_at.max(next.first_answered),
            None => return None,
        };
        let bound = self.told_by(deposed.who, done_at);
        let late = deposed.last_asked.since(bound);
        (late > Duration::ZERO).then(|| {
            format!(
                "{:.3} s: {} claims token {} for {:?} after it was deposed, {late:?} too long",
                self.seconds(deposed.last_asked),
                name(deposed.who),
                deposed.token,
                deposed.last_asked.since(done_at),
            )
        })
    }

    /// When nothing has ailed a sidecar and etcd for long enough.
    fn told_by(&self, who: usize, since: Time) -> Time {
        let mut healthy_since = since;
        let ails = |fault: &&Inflicted| match fault.target {
            // What it is about to be told of ails nobody.
            _ if matches!(
                fault.kind,
                Kind::DeleteKey | Kind::RevokeLease | Kind::Resign
            ) =>
            {
                false
            }
            Target::Process(other) | Target::Links(other) => other == who,
            Target::Member(_) | Target::Cluster => true,
        };
        let mut faults: Vec<_> = self.inflicted.iter().filter(ails).collect();
        faults.sort_by_key(|fault| fault.from);
        for fault in faults {
            let until = fault.until.unwrap_or(self.ended);
            let lasted = until.since(fault.from) > Duration::ZERO;
            let settled = if lasted { until + TO_SETTLE } else { until };
            if fault.from < healthy_since + TO_NOTICE && settled > healthy_since {
                healthy_since = settled;
            }
        }
        healthy_since + TO_NOTICE
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::*;
    use crate::support::witness::Claim;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn history(claims: &[(usize, u64, u64, u64)]) -> History {
        let mut history = Record::new().into_history();
        for &(who, token, asked, answered) in claims {
            history.claimed(&Claim {
                who,
                token,
                asked_at: at(asked),
                answered_at: at(answered),
            });
        }
        history
    }

    fn is_guilty(claims: &[(usize, u64, u64, u64)]) -> bool {
        !history(claims).violations().is_empty()
    }

    fn deposed(last_asked: u64) -> History {
        let mut history = history(&[(0, 7, 0, 10), (1, 9, 20, 30), (0, 7, last_asked, 9_000)]);
        history.tamperings.push(Tampering {
            token: 7,
            tried_at: at(15),
            done_at: at(16),
            is_certain: true,
        });
        history
    }

    #[test]
    fn a_lower_token_claimed_after_a_higher_one_is_a_crime() {
        assert!(is_guilty(&[(0, 7, 0, 10), (1, 9, 20, 30), (0, 7, 31, 40)]));
        assert!(is_guilty(&[(1, 9, 20, 30), (0, 7, 31, 40)]));
    }

    #[test]
    fn one_after_the_other_is_none_though_questions_overlap() {
        assert!(!is_guilty(&[(0, 7, 0, 10), (1, 9, 20, 30), (0, 7, 30, 40)]));
    }

    #[test]
    fn one_token_claimed_by_two_is_a_crime() {
        assert!(is_guilty(&[(0, 7, 0, 10), (1, 7, 20, 30)]));
    }

    #[test]
    fn leading_before_a_promise_is_over_is_a_crime() {
        let mut history = history(&[(1, 9, 90, 100)]);
        let claim = |asked, answered| Claim {
            who: 0,
            token: 7,
            asked_at: at(asked),
            answered_at: at(answered),
        };
        history.promised(&claim(0, 10), ms(100));
        assert!(history.violations().is_empty());
        history.promised(&claim(20, 30), ms(100));
        assert_eq!(history.violations().len(), 1);
    }

    #[test]
    fn a_deposed_leader_has_a_second_to_stop() {
        assert!(deposed(1_000).violations().is_empty());
        assert_eq!(deposed(1_000).tampered_overlaps(), [ms(970)]);
        assert_eq!(deposed(1_020).violations().len(), 1);
    }
}
