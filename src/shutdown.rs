//! Signals, as things to be awaited.

use rustix::process::Signal;
use signal_hook::low_level::pipe;
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// The signals this process listens to.
#[derive(Debug)]
pub struct Signals {
    end: UnixStream,
    reload: UnixStream,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// SIGTERM or SIGINT, the first of them. A second one ends the process at once.
    End,
    /// SIGHUP.
    Reload,
}

/// The exit status of a process that a second signal ended: it has released nothing.
const LEFT_AT_ONCE: i32 = 1;

impl Signals {
    /// Begins to listen. Call it in the runtime that will await.
    ///
    /// # Errors
    /// Where the system refuses a handler or a socket.
    pub fn listen() -> io::Result<Self> {
        let again = Arc::new(AtomicBool::new(false));
        let (end, end_sender) = StdStream::pair()?;
        for signal in [Signal::TERM, Signal::INT].map(Signal::as_raw) {
            // In this order: the first signal passes the first, and arms it.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                LEFT_AT_ONCE,
                Arc::clone(&again),
            )?;
            signal_hook::flag::register(signal, Arc::clone(&again))?;
            pipe::register(signal, end_sender.try_clone()?)?;
        }
        let (reload, reload_sender) = StdStream::pair()?;
        pipe::register(Signal::HUP.as_raw(), reload_sender)?;
        Ok(Signals {
            end: awaitable(end)?,
            reload: awaitable(reload)?,
        })
    }

    /// The next signal. Dropping the future may lose a SIGHUP, and nothing else.
    pub async fn next(&mut self) -> Caught {
        let (mut end, mut reload) = ([0; 1], [0; 16]);
        tokio::select! {
            biased;
            _ = self.end.read(&mut end) => Caught::End,
            _ = self.reload.read(&mut reload) => Caught::Reload,
        }
    }
}

/// Those that a command gets from the sidecar as they come: whatever people send to processes, but what ends the
/// sidecar, what stops it, and what the kernel says to it of its own children, memory and files.
pub const FORWARDED: [Signal; 12] = [
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::WINCH,
    Signal::URG,
    Signal::IO,
    Signal::POWER,
    Signal::CONT,
];

/// Begins to listen to a signal. Call it in the runtime that will await.
///
/// # Errors
/// Where the system refuses a handler or a socket.
pub fn listen_to(signal: Signal) -> io::Result<UnixStream> {
    let (stream, sender) = StdStream::pair()?;
    pipe::register(signal.as_raw(), sender)?;
    awaitable(stream)
}

/// Waits until the signal has come; false where it can't come any more.
pub async fn caught(stream: &mut UnixStream) -> bool {
    let mut some = [0; 16];
    stream.read(&mut some).await.is_ok_and(|read| read > 0)
}

fn awaitable(stream: StdStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
