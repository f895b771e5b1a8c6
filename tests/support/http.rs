//! As much of an HTTP/1.1 client as the tests need. Every wait is bounded.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    /// The value of a header; names are in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(key, _)| key == name)?;
        Some(value)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the body of {self:?}"))
    }
}

/// A client that keeps its connection while that works.
pub struct Client {
    port: u16,
    timeout: Duration,
    connection: Option<Question>,
}

impl Client {
    pub fn new(port: u16, timeout: Duration) -> Client {
        Client {
            port,
            timeout,
            connection: None,
        }
    }

    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.request("GET", path, &[])
    }

    /// Asks on the kept connection, or on a new one. A late answer is never taken for another.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Question::connect(self.port, self.timeout)?,
        };
        connection.ask(method, path, headers)?;
        let response = connection.answer()?;
        if response.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(response)
    }
}

/// A connection on which a question can be put now and the answer be read later.
pub struct Question {
    stream: BufReader<TcpStream>,
    method: String,
}

impl Question {
    pub fn connect(port: u16, timeout: Duration) -> io::Result<Question> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Question {
            stream: BufReader::new(stream),
            method: String::new(),
        })
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        self.method = method.to_owned();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            request += "Content-Length: 0\r\n";
        }
        request += "\r\n";
        self.send(request.as_bytes())
    }

    /// Sends anything, well-formed or not.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    pub fn answer(&mut self) -> io::Result<Response> {
        let (status, headers) = self.head()?;
        let mut response = Response {
            status,
            headers,
            body: String::new(),
        };
        let bodyless = self.method == "HEAD" || matches!(status, 204 | 304);
        let length = response
            .header("content-length")
            .map(|length| length.parse::<u64>().map_err(io::Error::other))
            .transpose()?;
        let mut body = Vec::new();
        if !bodyless {
            if response.header("transfer-encoding") == Some("chunked") {
                Chunks::new(&mut self.stream).read_to_end(&mut body)?;
            } else if let Some(length) = length {
                (&mut self.stream).take(length).read_to_end(&mut body)?;
            } else {
                self.stream.read_to_end(&mut body)?;
            }
        }
        response.body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(response)
    }

    fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("status line {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        read_line(&mut self.stream)
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The bytes of a chunked body.
struct Chunks<R> {
    stream: R,
    left_in_chunk: u64,
    ended: bool,
}

impl<R: BufRead> Chunks<R> {
    fn new(stream: R) -> Self {
        Chunks {
            stream,
            left_in_chunk: 0,
            ended: false,
        }
    }
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        if self.left_in_chunk == 0 {
            let size = read_line(&mut self.stream)?;
            self.left_in_chunk = u64::from_str_radix(&size, 16).map_err(io::Error::other)?;
            if self.left_in_chunk == 0 {
                self.ended = true;
                read_line(&mut self.stream)?;
                return Ok(0);
            }
        }
        let read = (&mut self.stream).take(self.left_in_chunk).read(buffer)?;
        self.left_in_chunk -= read as u64;
        if self.left_in_chunk == 0 {
            read_line(&mut self.stream)?;
        }
        Ok(read)
    }
}

/// Server-sent events, as they come.
pub struct Events {
    stream: BufReader<Chunks<BufReader<TcpStream>>>,
}

impl Events {
    /// Subscribes; waits for each event at most `timeout`.
    pub fn subscribe(port: u16, path: &str, timeout: Duration) -> io::Result<Events> {
        let mut question = Question::connect(port, timeout)?;
        question.ask("GET", path, &[("Accept", "text/event-stream")])?;
        let (status, headers) = question.head()?;
        let is_stream = headers
            .iter()
            .any(|(name, value)| name == "content-type" && value.starts_with("text/event-stream"));
        if status != 200 || !is_stream {
            return Err(io::Error::other(format!("{status} {headers:?}")));
        }
        Ok(Events {
            stream: BufReader::new(Chunks::new(question.stream)),
        })
    }

    /// The next event: its name and its data. Comments are skipped.
    pub fn next_event(&mut self) -> io::Result<(String, Value)> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let line = read_line(&mut self.stream)?;
            if let Some(value) = line.strip_prefix("event:") {
                name = value.trim().to_owned();
            } else if let Some(value) = line.strip_prefix("data:") {
                data += value.trim();
            } else if line.is_empty() && !data.is_empty() {
                let data = serde_json::from_str(&data).map_err(io::Error::other)?;
                return Ok((name, data));
            }
        }
    }
}
