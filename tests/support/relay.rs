//! A TCP relay that misbehaves on command.

use super::listen;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, OnceLock, Weak};
use std::thread;
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

/// What a relay does to what passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Says nothing either way and closes nothing; accepts, and is silent there too. What it withholds
    /// comes in a burst once it passes again, as after a partition.
    Silent,
    /// Withholds answers only: requests arrive.
    AnswersLost,
    /// Withholds requests only: what was asked before is still answered.
    RequestsLost,
    /// Passes answers on so much later.
    Delay(Duration),
    /// Closes every connection, new ones as well.
    Refuse,
}

/// A relay in front of a server on loopback.
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    /// Connections that begin with a request in which these words stand are silent.
    silenced: Option<String>,
    over: bool,
    /// Counts the times that all connections were closed.
    epoch: u64,
    /// Counts all connections there ever were.
    accepted: usize,
    /// Those that are still in use, and some that were lately.
    streams: Vec<Weak<TcpStream>>,
}

impl Relay {
    /// In front of the server on `port`; passes everything on at first.
    pub fn to(port: u16) -> Relay {
        let listener = listen();
        let own_port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            state: Mutex::new(State {
                mode: Mode::Pass,
                silenced: None,
                over: false,
                epoch: 0,
                accepted: 0,
                streams: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Relay {
            port: own_port,
            shared,
        }
    }

    /// Where it listens, for `endpoints:`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has passed something on for so far.
    pub fn accepted(&self) -> usize {
        self.shared.state.lock().unwrap().accepted
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.state.lock().unwrap();
        state.mode = mode;
        if mode == Mode::Refuse {
            state.close_all();
        }
        self.shared.changed.notify_all();
    }

    /// From now on whoever says these words in the first request of a connection is as in [`Mode::Silent`].
    pub fn silence(&self, words: Option<String>) {
        self.shared.state.lock().unwrap().silenced = words;
        self.shared.changed.notify_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().unwrap();
        state.over = true;
        state.close_all();
        self.shared.changed.notify_all();
        drop(state);
        // Wakes the thread that accepts, which then sees that it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl State {
    fn silences(&self, connection: &Connection) -> bool {
        let opening = connection.opening.get();
        let words = self.silenced.as_ref();
        opening
            .zip(words)
            .is_some_and(|(opening, words)| opening.contains(words))
    }

    fn close_all(&mut self) {
        self.epoch += 1;
        for stream in self.streams.drain(..) {
            let _ = stream
                .upgrade()
                .map(|stream| stream.shutdown(Shutdown::Both));
        }
    }
}

struct Connection {
    epoch: u64,
    /// What was said first.
    opening: OnceLock<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            if self.state.lock().unwrap().over {
                return;
            }
            // Where the server isn't there, the client is dropped: its connection closes.
            if let Ok(server) = TcpStream::connect(self.server) {
                self.relay(client, server);
            }
        }
    }

    fn relay(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (client, server) = (Arc::new(client), Arc::new(server));
        let mut state = self.state.lock().unwrap();
        if state.mode == Mode::Refuse || state.over {
            return;
        }
        let epoch = state.epoch;
        state.accepted += 1;
        state.streams.retain(|stream| stream.strong_count() > 0);
        state.streams.extend([&client, &server].map(Arc::downgrade));
        drop(state);
        let connection = Arc::new(Connection {
            epoch,
            opening: OnceLock::new(),
        });
        self.pump(&connection, Direction::Request, &client, &server);
        self.pump(&connection, Direction::Answer, &server, &client);
    }

    /// One thread reads and dates, another writes when it is time.
    fn pump(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        way: Direction,
        from: &Arc<TcpStream>,
        to: &Arc<TcpStream>,
    ) {
        let (sender, receiver) = mpsc::channel();
        let (shared, from, to) = (Arc::clone(self), Arc::clone(from), Arc::clone(to));
        let connection = Arc::clone(connection);
        thread::spawn(move || read(&from, &sender));
        thread::spawn(move || shared.write(&connection, way, &receiver, &to));
    }

    fn write(
        &self,
        connection: &Connection,
        way: Direction,
        chunks: &Receiver<Chunk>,
        mut to: &TcpStream,
    ) {
        for (read_at, bytes) in chunks {
            if way == Direction::Request {
                let opening = || String::from_utf8_lossy(&bytes).into_owned();
                connection.opening.get_or_init(opening);
            }
            if !self.may_pass(connection, way, read_at) || to.write_all(&bytes).is_err() {
                return;
            }
        }
        // The end of the one stream is news to the other end as well, and as late.
        if self.may_pass(connection, way, clock::now()) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Waits until what was read at `read_at` may be passed on; false where the connection is closed.
    fn may_pass(&self, connection: &Connection, way: Direction, read_at: Time) -> bool {
        let mut state = self.state.lock().unwrap();
        loop {
            if state.over || state.epoch != connection.epoch {
                return false;
            }
            let wait = match state.mode {
                Mode::Silent => None,
                _ if state.silences(connection) => None,
                Mode::AnswersLost if way == Direction::Answer => None,
                Mode::RequestsLost if way == Direction::Request => None,
                Mode::Delay(delay) if way == Direction::Answer => {
                    Some((read_at + delay).since(clock::now()))
                }
                _ => return true,
            };
            state = match wait {
                Some(Duration::ZERO) => return true,
                Some(wait) => self.changed.wait_timeout(state, wait).unwrap().0,
                None => self.changed.wait(state).unwrap(),
            };
        }
    }
}

type Chunk = (Time, Vec<u8>);

fn read(mut from: &TcpStream, sender: &Sender<Chunk>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let chunk = (clock::now(), buffer[..length].to_vec());
        if sender.send(chunk).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ms;
    use super::*;
    use std::io;

    /// A server that says back what it hears, and tells that it heard.
    fn echo() -> (u16, Receiver<u8>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heard) = mpsc::channel();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let sender = sender.clone();
                thread::spawn(move || {
                    let mut byte = [0];
                    while let Ok(1) = stream.read(&mut byte) {
                        if sender.send(byte[0]).is_err() || stream.write_all(&byte).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        (port, heard)
    }

    fn connect(relay: &Relay) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port)).unwrap();
        stream.set_read_timeout(Some(ms(200))).unwrap();
        stream
    }

    fn read_byte(mut stream: &TcpStream) -> io::Result<u8> {
        let mut byte = [0];
        stream.read_exact(&mut byte).map(|()| byte[0])
    }

    fn hears_nothing(stream: &TcpStream) -> bool {
        read_byte(stream).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn a_silent_relay_passes_nothing_closes_nothing_and_delivers_once_it_passes_again() {
        let (port, heard) = echo();
        let relay = Relay::to(port);
        let mut old = connect(&relay);
        old.write_all(b"1").unwrap();
        assert_eq!(read_byte(&old).unwrap(), b'1');
        assert_eq!(heard.recv().unwrap(), b'1');
        relay.set(Mode::Silent);
        old.write_all(b"2").unwrap();
        assert!(hears_nothing(&old) && heard.try_recv().is_err());
        relay.set(Mode::Pass);
        old.set_read_timeout(None).unwrap();
        assert_eq!(read_byte(&old).unwrap(), b'2');
    }

    #[test]
    fn where_answers_are_lost_requests_arrive_on_new_connections_as_well() {
        let (port, heard) = echo();
        let relay = Relay::to(port);
        relay.set(Mode::AnswersLost);
        let mut new = connect(&relay);
        new.write_all(b"1").unwrap();
        assert_eq!(heard.recv().unwrap(), b'1');
        assert!(hears_nothing(&new));
    }

    #[test]
    fn who_is_silenced_is_known_by_the_first_words() {
        let (port, _heard) = echo();
        let relay = Relay::to(port);
        let (mut old, mut other) = (connect(&relay), connect(&relay));
        old.write_all(b"a").unwrap();
        assert_eq!(read_byte(&old).unwrap(), b'a');
        relay.silence(Some("a".to_owned()));
        old.write_all(b"b").unwrap();
        assert!(hears_nothing(&old));
        other.write_all(b"b").unwrap();
        assert_eq!(read_byte(&other).unwrap(), b'b');
        relay.silence(None);
        old.set_read_timeout(None).unwrap();
        assert_eq!(read_byte(&old).unwrap(), b'b');
    }

    #[test]
    fn a_delay_is_a_delay_of_answers() {
        let (port, _heard) = echo();
        let relay = Relay::to(port);
        relay.set(Mode::Delay(ms(150)));
        let mut stream = connect(&relay);
        stream.set_read_timeout(None).unwrap();
        let asked = clock::now();
        stream.write_all(b"1").unwrap();
        assert_eq!(read_byte(&stream).unwrap(), b'1');
        assert!(clock::now().since(asked) >= ms(150));
    }

    #[test]
    fn a_refusing_relay_closes_old_and_new_connections() {
        let (port, _heard) = echo();
        let relay = Relay::to(port);
        let old = connect(&relay);
        relay.set(Mode::Refuse);
        assert!(!hears_nothing(&old));
        assert!(!hears_nothing(&connect(&relay)));
    }
}
