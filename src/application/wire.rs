//! What the sidecar and the guardian tell each other, over a pair of sockets that keeps messages apart.
//!
//! Both are one program, so the format needs no version. Nobody ever blocks in sending: the sidecar's elections do it.

use crate::election::Deadline;
use crate::election::Time;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the sidecar tells the guardian, or the guardian the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Comes first, with the application's standard input.
    Start {
        deadline: Deadline,
        /// Whether that is a terminal that it is to take before it runs.
        is_lent: bool,
    },
    Extend(Deadline),
    Stop {
        is_at_once: bool,
    },
    /// To be passed on, by its number.
    Signal(i32),

    /// The guardian's: it has started, with this process id.
    Started(i32),
    /// It has been told to stop because its time is over, or has ended by itself; something of it may be left.
    Ending,
    /// It has ended by itself, and nothing of it is left.
    Exited(u8),
    /// It was stopped, and nothing of it is left.
    Stopped(u8),
    /// It was not started, because its time had passed.
    NotStarted,
    /// It could not be started, for the system's sake: the error's number.
    Failed(i32),
}

/// What a socket gave.
#[derive(Debug)]
pub(super) enum Received {
    Message(Message, Option<OwnedFd>),
    /// Nothing more for now.
    Nothing,
    /// The other end is gone.
    End,
}

/// The two ends. Neither outlives an exec unless it is made a standard stream.
pub(super) fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
}

/// Sends, or fails: with `AGAIN` where the other end has not listened for hundreds of messages.
pub(super) fn send(
    socket: impl AsFd,
    message: Message,
    passed: Option<BorrowedFd<'_>>,
) -> rustix::io::Result<()> {
    let bytes = encode(message);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed: Vec<_> = passed.into_iter().collect();
    if !passed.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&passed));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags).map(drop)
}

/// What has come, without waiting.
pub(super) fn receive(socket: impl AsFd) -> Received {
    let mut bytes = [0; SIZE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let (received, passed) = loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let iov = &mut [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(&socket, iov, &mut control, flags);
        let passed = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        // A peer that ends with something unread resets the connection; what it has said is still there to be read.
        if !matches!(received, Err(Errno::INTR | Errno::CONNRESET)) {
            break (received, passed);
        }
    };
    match received {
        Ok(message) if message.bytes == SIZE => decode(bytes)
            .map_or(Received::Nothing, |message| {
                Received::Message(message, passed)
            }),
        Err(Errno::AGAIN) => Received::Nothing,
        // An empty message is the end. A socket that fails, or speaks otherwise, is as good as ended.
        _ => Received::End,
    }
}

/// A letter and two numbers.
const SIZE: usize = 17;

fn encode(message: Message) -> [u8; SIZE] {
    let (letter, first, second) = match message {
        Message::Start { deadline, is_lent } => {
            let letter = if is_lent { b'B' } else { b'b' };
            (letter, deadline.stop_at.as_nanos(), kill_at(deadline))
        }
        Message::Extend(deadline) => (b'e', deadline.stop_at.as_nanos(), kill_at(deadline)),
        Message::Stop { is_at_once } => (b's', u64::from(is_at_once), 0),
        Message::Signal(number) => (b'k', number as u64, 0),
        Message::Started(pid) => (b'S', pid as u64, 0),
        Message::Ending => (b'G', 0, 0),
        Message::Exited(code) => (b'X', u64::from(code), 0),
        Message::Stopped(code) => (b'T', u64::from(code), 0),
        Message::NotStarted => (b'N', 0, 0),
        Message::Failed(errno) => (b'F', errno as u64, 0),
    };
    let mut bytes = [0; SIZE];
    bytes[0] = letter;
    bytes[1..9].copy_from_slice(&first.to_le_bytes());
    bytes[9..].copy_from_slice(&second.to_le_bytes());
    bytes
}

fn kill_at(deadline: Deadline) -> u64 {
    deadline.kill_at.as_nanos()
}

fn decode(bytes: [u8; SIZE]) -> Option<Message> {
    let [letter, rest @ ..] = bytes;
    let (first, second) = rest.split_at(8);
    let first = u64::from_le_bytes(first.try_into().ok()?);
    let second = u64::from_le_bytes(second.try_into().ok()?);
    let deadline = Deadline {
        stop_at: Time::from_nanos(first),
        kill_at: Time::from_nanos(second),
    };
    Some(match letter {
        b'b' | b'B' => Message::Start {
            deadline,
            is_lent: letter == b'B',
        },
        b'e' => Message::Extend(deadline),
        b's' => Message::Stop {
            is_at_once: first != 0,
        },
        b'k' => Message::Signal(first as i32),
        b'S' => Message::Started(first as i32),
        b'G' => Message::Ending,
        b'X' => Message::Exited(first as u8),
        b'T' => Message::Stopped(first as u8),
        b'N' => Message::NotStarted,
        b'F' => Message::Failed(first as i32),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_arrives_as_it_was_sent_and_then_the_end() {
        let (here, there) = pair().unwrap();
        let deadline = Deadline {
            stop_at: Time::from_nanos(u64::MAX),
            kill_at: Time::from_nanos(7),
        };
        let messages = [
            Message::Start {
                deadline,
                is_lent: true,
            },
            Message::Start {
                deadline,
                is_lent: false,
            },
            Message::Extend(deadline),
            Message::Stop { is_at_once: true },
            Message::Stop { is_at_once: false },
            Message::Signal(15),
            Message::Started(i32::MAX),
            Message::Ending,
            Message::Exited(255),
            Message::Stopped(143),
            Message::NotStarted,
            Message::Failed(11),
        ];
        for message in messages {
            send(&here, message, None).unwrap();
        }
        for message in messages {
            match receive(&there) {
                Received::Message(received, None) => assert_eq!(received, message),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(receive(&there), Received::Nothing));
        drop(here);
        assert!(matches!(receive(&there), Received::End));
    }

    #[test]
    fn a_file_can_be_passed_and_nobody_blocks_on_one_who_does_not_listen() {
        let (here, there) = pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        send(&here, Message::Signal(1), Some(file.as_fd())).unwrap();
        assert!(matches!(
            receive(&there),
            Received::Message(Message::Signal(1), Some(_))
        ));
        let refused = (0..1_000_000).find_map(|_| send(&here, Message::Signal(2), None).err());
        assert_eq!(refused, Some(Errno::AGAIN));
    }
}
