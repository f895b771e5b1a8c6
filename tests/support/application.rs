//! An application beside a sidecar: a small HTTP server that hears what it is told, and answers what it is to answer.

use super::free_port;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Listens until it is dropped.
pub struct Application {
    port: u16,
    shared: Arc<Mutex<State>>,
}

struct State {
    status: u16,
    heard: Vec<Heard>,
    over: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Heard {
    pub method: String,
    pub path: String,
    pub body: String,
}

impl Application {
    /// Answers this status.
    pub fn answering(status: u16) -> Application {
        Application::on(free_port(), status)
    }

    /// The same, on a port that is known already.
    pub fn on(port: u16, status: u16) -> Application {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let shared = Arc::new(Mutex::new(State {
            status,
            heard: Vec::new(),
            over: false,
        }));
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.lock().unwrap().over {
                    return;
                }
                // Whoever asked may have gone.
                let _ = stream.and_then(|stream| serve(stream, &serving));
            }
        });
        Application { port, shared }
    }

    /// Where it is asked.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From now on.
    pub fn answer(&self, status: u16) {
        self.state().status = status;
    }

    /// What it was told at this path so far.
    pub fn heard(&self, path: &str) -> Vec<Heard> {
        let state = self.state();
        let heard = state.heard.iter().filter(|heard| heard.path == path);
        heard.cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.state().over = true;
        // Wakes the thread that accepts, which then closes the listener.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let status = {
        let mut state = state.lock().unwrap();
        state.heard.push(Heard { method, path, body });
        state.status
    };
    let answer =
        format!("HTTP/1.1 {status} as told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    reader.into_inner().write_all(answer.as_bytes())
}
