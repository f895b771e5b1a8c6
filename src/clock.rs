//! The one place that reads a clock.
//!
//! Leases are timed by CLOCK_BOOTTIME: unlike CLOCK_MONOTONIC, which `std` and tokio read, it goes on
//! while the host sleeps, and the store's clock goes on then too. The wall clock only dates what people
//! read. `.clippy.toml` bans every other way to ask the time. Timers of tokio stand still in a
//! sleep: what a lease depends on waits on an [`Alarm`].

use crate::election::Time;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The time since the host booted, its sleep included.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn now() -> Time {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    Time::from_nanos(seconds * NANOS_PER_SECOND + nanos)
}

/// The date, for people. Nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn date() -> SystemTime {
    SystemTime::now()
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A timer of the kernel, for whoever waits in `poll`: readable once its time has come, also where that
/// was while the host slept.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// A timer that isn't set.
    ///
    /// # Errors
    /// Where the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Timer(timerfd_create(TimerfdClockId::Boottime, flags)?))
    }

    /// Sets it, or turns it off. An expiry that nobody has read is forgotten.
    pub fn set(&self, time: Option<Time>) {
        // Zero would turn it off.
        let nanos = time.map_or(0, |time| time.as_nanos().max(1));
        let spec = Itimerspec {
            it_interval: timespec(0),
            it_value: timespec(nanos),
        };
        let result = timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &spec);
        debug_assert!(result.is_ok(), "{result:?}");
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Times that are waited for, on one timer of the kernel. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Alarms(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    timer: Timer,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whom to wake when. The number tells apart who waits for the same time.
    wakers: BTreeMap<(Time, u64), Waker>,
    /// Who may be woken with others from `.0` on, though waiting as `.1` among the wakers. They are few.
    companions: Vec<(Time, (Time, u64))>,
    /// What the timer is set to. It may go off before anybody waits for it, and then is set anew.
    set_to: Option<Time>,
    alarms: u64,
}

impl Alarms {
    /// Starts a task that looks after the timer. To be called within a tokio runtime with I/O.
    ///
    /// # Errors
    /// Where the process has no file descriptor left.
    pub fn start() -> io::Result<Self> {
        let timer = Timer::new()?;
        // It is read and awaited as a pipe is, and so tokio's safe type for pipes serves.
        let expiries = pipe::Receiver::from_owned_fd_unchecked(timer.0.try_clone()?)?;
        let shared = Arc::new(Shared {
            timer,
            waiting: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&shared).wake_in_time(expiries));
        Ok(Alarms(shared))
    }

    /// Another alarm on this timer.
    pub fn alarm(&self) -> Alarm {
        let mut waiting = self.0.waiting();
        waiting.alarms += 1;
        Alarm {
            number: waiting.alarms,
            shared: Arc::clone(&self.0),
        }
    }

    /// What comes of a future, if it comes within `bound`.
    pub async fn bounded<T>(&self, bound: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut alarm = self.alarm();
        tokio::select! {
            biased;
            output = future => Some(output),
            () = alarm.wait_until(Some(now() + bound)) => None,
        }
    }
}

impl Shared {
    async fn wake_in_time(self: Arc<Self>, mut expiries: pipe::Receiver) {
        // Longer than what is read: so tokio knows that nothing is left to be read, without trying.
        let mut count = [0; 16];
        // An error comes only where the runtime is shutting down: nobody is left to be woken.
        while expiries.read(&mut count).await.is_ok() {
            let mut waiting = self.waiting();
            waiting.wake(now());
            waiting.set_to = None;
            if let Some((&(time, _), _)) = waiting.wakers.first_key_value() {
                self.set(&mut waiting, time);
            }
        }
    }

    fn set(&self, waiting: &mut Waiting, time: Time) {
        self.timer.set(Some(time));
        waiting.set_to = Some(time);
    }

    /// Nobody panics while holding it.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn wake(&mut self, now: Time) {
        while let Some(first) = self.wakers.first_entry()
            && first.key().0 <= now
        {
            first.remove().wake();
        }
        self.companions.retain(|(earliest, waits)| {
            let is_due = *earliest <= now;
            if is_due && let Some(waker) = self.wakers.remove(waits) {
                waker.wake();
            }
            !is_due
        });
    }
}

/// Waits for a [`Time`], also across a sleep of the host.
#[derive(Debug)]
pub struct Alarm {
    number: u64,
    shared: Arc<Shared>,
}

impl Alarm {
    /// Returns when `time` has come; never, where there is none. Dropping the future loses nothing.
    pub async fn wait_until(&mut self, time: Option<Time>) {
        let Some(time) = time else {
            return std::future::pending().await;
        };
        self.wait_between(time, time).await;
    }

    /// Returns between these times: together with another alarm, for a thread that wakes anyway does more for little, or
    /// else at the latest. Dropping the future loses nothing.
    pub async fn wait_between(&mut self, earliest: Time, latest: Time) {
        debug_assert!(earliest <= latest);
        let wait = Wait {
            alarm: self,
            earliest,
            latest,
        };
        std::future::poll_fn(|context| wait.poll(context)).await;
    }
}

/// An alarm that somebody waits for. Dropped, nobody does any more.
struct Wait<'a> {
    alarm: &'a Alarm,
    earliest: Time,
    latest: Time,
}

impl Wait<'_> {
    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if now() >= self.earliest {
            return Poll::Ready(());
        }
        let Alarm { number, shared } = self.alarm;
        let mut waiting = shared.waiting();
        let waits = (self.latest, *number);
        let waker = context.waker().clone();
        let is_new = waiting.wakers.insert(waits, waker).is_none();
        if is_new && self.earliest < self.latest {
            waiting.companions.push((self.earliest, waits));
        }
        if waiting.set_to.is_none_or(|set_to| self.latest < set_to) {
            shared.set(&mut waiting, self.latest);
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Alarm { number, shared } = self.alarm;
        let mut waiting = shared.waiting();
        let waits = (self.latest, *number);
        waiting.wakers.remove(&waits);
        waiting
            .companions
            .retain(|(_, companion)| *companion != waits);
    }
}

fn timespec(nanos: u64) -> Timespec {
    Timespec {
        tv_sec: (nanos / NANOS_PER_SECOND) as i64,
        tv_nsec: (nanos % NANOS_PER_SECOND) as i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm_test(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test);
    }

    #[test]
    fn an_alarm_goes_off_at_its_time_and_not_before() {
        alarm_test(async {
            let mut alarm = Alarms::start().unwrap().alarm();
            for _ in 0..3 {
                let time = now() + Duration::from_millis(5);
                alarm.wait_until(Some(time)).await;
                assert!(now() >= time);
            }
        });
    }

    #[test]
    fn an_alarm_that_was_dropped_while_waiting_can_be_set_anew() {
        alarm_test(async {
            let mut alarm = Alarms::start().unwrap().alarm();
            let late = now() + Duration::from_secs(3600);
            let soon = now() + Duration::from_millis(5);
            tokio::select! {
                biased;
                () = alarm.wait_until(Some(late)) => panic!("an hour has not passed"),
                () = std::future::ready(()) => {}
            }
            alarm.wait_until(Some(soon)).await;
            assert!(now() < late);
        });
    }

    #[test]
    fn alarms_on_one_timer_go_off_each_at_its_time() {
        alarm_test(async {
            let alarms = Alarms::start().unwrap();
            let begin = now();
            let mut waits = tokio::task::JoinSet::new();
            for millis in [30, 10, 20, 10] {
                let mut alarm = alarms.alarm();
                let time = begin + Duration::from_millis(millis);
                waits.spawn(async move {
                    alarm.wait_until(Some(time)).await;
                    assert!(now() >= time);
                    time
                });
            }
            let mut order = Vec::new();
            while let Some(time) = waits.join_next().await {
                order.push(time.unwrap());
            }
            assert!(order.is_sorted(), "{order:?}");
        });
    }

    #[test]
    fn who_may_wait_for_longer_is_woken_with_others() {
        alarm_test(async {
            let alarms = Alarms::start().unwrap();
            let (mut patient, mut punctual) = (alarms.alarm(), alarms.alarm());
            let begin = now();
            let [earliest, soon, late] =
                [50, 60, 20_000].map(|ms| begin + Duration::from_millis(ms));
            let early = begin + Duration::from_millis(1);
            // On a task of its own: on one with the other, it would be asked whenever that is woken.
            let patient = tokio::spawn(async move {
                patient.wait_between(earliest, late).await;
                now()
            });
            punctual.wait_until(Some(early)).await;
            punctual.wait_until(Some(soon)).await;
            let woken = patient.await.unwrap();
            assert!(earliest <= woken && woken < late, "woken at {woken:?}");
        });
    }

    #[test]
    fn who_may_wait_for_longer_waits_no_longer_than_that_alone() {
        alarm_test(async {
            let mut alarm = Alarms::start().unwrap().alarm();
            let begin = now();
            let [earliest, latest] = [5, 20].map(|ms| begin + Duration::from_millis(ms));
            alarm.wait_between(earliest, latest).await;
            assert!(now() >= latest);
        });
    }

    #[test]
    fn nothing_is_left_of_a_wait_that_was_dropped() {
        alarm_test(async {
            let alarms = Alarms::start().unwrap();
            let mut alarm = alarms.alarm();
            tokio::select! {
                biased;
                () = alarm.wait_between(now() + Duration::from_secs(60), now() + Duration::from_secs(3600)) => panic!("an hour has not passed"),
                () = std::future::ready(()) => {}
            }
            assert!(alarms.0.waiting().wakers.is_empty());
            assert!(alarms.0.waiting().companions.is_empty());
        });
    }

    #[test]
    fn a_bounded_wait_ends_at_its_bound_and_leaves_nothing() {
        alarm_test(async {
            let alarms = Alarms::start().unwrap();
            let bound = Duration::from_millis(5);
            let begin = now();
            let never = alarms.bounded(bound, std::future::pending::<()>()).await;
            assert!(never.is_none() && now() >= begin + bound);
            assert_eq!(alarms.bounded(bound, async { 7 }).await, Some(7));
            assert!(alarms.0.waiting().wakers.is_empty());
        });
    }

    #[test]
    fn a_time_that_has_passed_is_not_waited_for() {
        alarm_test(async {
            let mut alarm = Alarms::start().unwrap().alarm();
            alarm.wait_until(Some(Time::ORIGIN)).await;
        });
    }
}
