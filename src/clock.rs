//! The one place that reads a clock.
//!
//! Leases are timed by CLOCK_BOOTTIME: unlike CLOCK_MONOTONIC, which `std` and tokio read, it goes on
//! while the host sleeps, and the store's clock goes on then too. The wall clock only dates what people
//! read. `.clippy.toml` bans every other way to ask the time. Timers of tokio (they stand still in a
//! sleep) only bound waits for answers; what a lease depends on waits on an [`Alarm`].

use crate::election::Time;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::AsFd;
use std::time::SystemTime;
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

/// Waits for a [`Time`], also across a sleep of the host.
#[derive(Debug)]
pub struct Alarm {
    /// A timerfd. It is read and awaited as a pipe is, and so tokio's safe type for pipes serves.
    timer: pipe::Receiver,
    set_to: Option<Time>,
}

impl Alarm {
    /// # Errors
    /// Where the process has no file descriptor left, or outside of a tokio runtime with I/O.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        Ok(Alarm {
            timer: pipe::Receiver::from_owned_fd_unchecked(timer)?,
            set_to: None,
        })
    }

    /// Returns when `time` has come; never, where there is none. Dropping the future loses nothing.
    pub async fn wait_until(&mut self, time: Option<Time>) {
        let Some(time) = time else {
            return std::future::pending().await;
        };
        while now() < time {
            if self.set_to != Some(time) {
                self.set(time);
            }
            let expiry = self.timer.readable().await;
            if expiry.is_err() {
                // Only where the runtime is shutting down: nobody is left to be woken.
                return std::future::pending().await;
            }
            // Reading rearms the wait. Where there is nothing to read, it was woken for nothing.
            let _ = self.timer.try_read(&mut [0; 8]);
            self.set_to = None;
        }
    }

    fn set(&mut self, time: Time) {
        // Setting a timer forgets an expiry that nobody has read.
        let nanos = time.as_nanos().max(1);
        let spec = Itimerspec {
            it_interval: timespec(0),
            it_value: timespec(nanos),
        };
        let result = timerfd_settime(self.timer.as_fd(), TimerfdTimerFlags::ABSTIME, &spec);
        debug_assert!(result.is_ok(), "{result:?}");
        self.set_to = Some(time);
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
    use std::time::Duration;

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
            let mut alarm = Alarm::new().unwrap();
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
            let mut alarm = Alarm::new().unwrap();
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
    fn a_time_that_has_passed_is_not_waited_for() {
        alarm_test(async {
            let mut alarm = Alarm::new().unwrap();
            alarm.wait_until(Some(Time::ORIGIN)).await;
        });
    }
}
