//! What a server makes of any bytes, judged by a reader of RFC 9112 that knows nothing of the server's.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends it all, says that no more comes, and takes what is answered. Of an event stream that is the beginning: where
/// more came after its request, it goes on, for whoever sends no more may still listen.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let send = async {
        // Refused early, it can't be sent to its end.
        let _ = writing.write_all(bytes).await;
        let _ = writing.shutdown().await;
    };
    let receive = async {
        let mut answer = Vec::new();
        while !is_event_stream(&answer) {
            if !matches!(reading.read_buf(&mut answer).await, Ok(1..)) {
                break;
            }
        }
        answer
    };
    let ((), answer) = tokio::join!(send, receive);
    answer
}

fn is_event_stream(answer: &[u8]) -> bool {
    let header = b"\r\ncontent-type: text/event-stream";
    answer.windows(header.len()).any(|text| text == header)
}

/// The status with which an answer begins.
pub(crate) fn first_status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// Whether it begins with a request that this server may grant. Lenient where RFC 9112 lets a server be: empty
/// lines before a request, and lines that end with a bare line feed.
pub(crate) fn is_request(bytes: &[u8]) -> bool {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n")?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    });
    let Some(Some(start)) = lines.find(|line| *line != Some(b"")) else {
        return false;
    };
    if !is_start(start) {
        return false;
    }
    for line in lines {
        match line {
            None => return false,
            Some(b"") => return true,
            Some(field) if !is_field(field) => return false,
            Some(_) => {}
        }
    }
    false
}

fn is_start(line: &[u8]) -> bool {
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else {
        return false;
    };
    let target = std::str::from_utf8(target).unwrap_or_default();
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => path,
    };
    const READ: [&str; 10] = [
        "/",
        "/leader",
        "/follower",
        "/status",
        "/livez",
        "/readyz",
        "/startupz",
        "/metrics",
        "/fence",
        "/events",
    ];
    let known = match method {
        b"GET" | b"HEAD" => READ.contains(&path),
        b"POST" => path == "/resign",
        _ => false,
    };
    known && matches!(version, b"HTTP/1.1" | b"HTTP/1.0")
}

fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return false;
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let value_is_text = value.iter().all(is_text);
    let length_is_number = !name.eq_ignore_ascii_case(b"content-length")
        || value.trim_ascii().iter().all(u8::is_ascii_digit);
    !name.is_empty() && name.iter().all(is_token) && value_is_text && length_is_number
}
