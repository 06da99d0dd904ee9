//! Requests and responses of HTTP/1.1, as much as a page that is only read needs: one request a connection,
//! of a bounded size, in a bounded time, without a body.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Longest line of request with its headers.
const LONGEST: usize = 16 * 1024;
const HEADERS: usize = 100;
/// What a client may go on sending after its answer, and for how long, before the connection is cut.
const LEFT_OVER: usize = 64 * 1024;
const LEAVING: Duration = Duration::from_secs(2);

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub host: Option<String>,
}

/// Why a request is not answered with what it asks for.
#[derive(Debug, Error)]
pub enum RequestError {
    #[error("the request is longer than {} KiB or has more than {HEADERS} headers", LONGEST / 1024)]
    TooLong,
    #[error("this is no request of HTTP/1.1: {0}")]
    Malformed(String),
    #[error("the request did not come in time")]
    Slow,
    /// Nobody waits for an answer.
    #[error("the connection is gone: {0}")]
    Gone(#[from] io::Error),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub kind: &'static str,
    pub body: Vec<u8>,
}

pub const HTML: &str = "text/html; charset=utf-8";
pub const TEXT: &str = "text/plain; charset=utf-8";
pub const JSON: &str = "application/json";

/// The page may run what stands in it, and ask this server: nothing else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Response {
    pub fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, kind, body: body.into() }
    }

    /// An answer of one line.
    pub fn said(status: u16, text: &str) -> Self {
        Self::new(status, TEXT, format!("{text}\n"))
    }

    fn head(&self) -> String {
        let reason = match self.status {
            200 => "OK",
            204 => "No Content",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            421 => "Misdirected Request",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let length = match self.status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", self.body.len()),
        };
        let allow = if self.status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\n{length}{allow}\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: {POLICY}\r\nReferrer-Policy: no-referrer\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\nConnection: close\r\n\r\n",
            self.status, self.kind
        )
    }
}

impl From<&RequestError> for Response {
    fn from(error: &RequestError) -> Self {
        let status = match error {
            RequestError::TooLong => 431,
            RequestError::Malformed(_) | RequestError::Gone(_) => 400,
            RequestError::Slow => 408,
        };
        Self::said(status, &error.to_string())
    }
}

/// Reads a request up to its empty line.
///
/// # Errors
/// If it is none, too long, or does not end before the deadline.
pub fn read(stream: &mut TcpStream, deadline: Instant) -> Result<Request, RequestError> {
    let mut head = vec![0; LONGEST];
    let mut length = 0;
    loop {
        if let Some(request) = parse(&head[..length])? {
            return Ok(request);
        }
        if length == LONGEST {
            return Err(RequestError::TooLong);
        }
        // Browsers open connections in advance: one that asked for nothing is told nothing.
        let late = || match length {
            0 => RequestError::Gone(ErrorKind::TimedOut.into()),
            _ => RequestError::Slow,
        };
        stream.set_read_timeout(Some(until(deadline).ok_or_else(late)?))?;
        match stream.read(&mut head[length..]) {
            Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(count) => length += count,
            Err(error) if is_late(&error) => return Err(late()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The request that these bytes begin with; `None` while it is not whole.
fn parse(head: &[u8]) -> Result<Option<Request>, RequestError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(RequestError::TooLong),
        Err(error) => return Err(RequestError::Malformed(error.to_string())),
    }
    let mut hosts = request.headers.iter().filter(|it| it.name.eq_ignore_ascii_case("host"));
    let host = hosts.next().map(|it| String::from_utf8_lossy(it.value).trim().to_owned());
    if hosts.next().is_some() {
        return Err(RequestError::Malformed("more than one Host".to_owned()));
    }
    let said = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(Some(Request { method: said(request.method), target: said(request.path), host }))
}

/// Writes a response, without its body where that was not asked for, and ends the connection.
///
/// # Errors
/// If the client does not take it before the deadline.
pub fn write(
    mut stream: TcpStream,
    response: &Response,
    with_body: bool,
    deadline: Instant,
) -> io::Result<()> {
    let late = || io::Error::from(ErrorKind::TimedOut);
    let body: &[u8] = if with_body { &response.body } else { &[] };
    let mut bytes = response.head().into_bytes();
    bytes.extend_from_slice(body);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        stream.set_write_timeout(Some(until(deadline).ok_or_else(late)?))?;
        match stream.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    stream.shutdown(Shutdown::Write)?;
    // Closing while something of the client's is unread would take the answer from it.
    let gone = deadline.min(Instant::now() + LEAVING);
    let mut left = [0; 4096];
    let mut taken = 0;
    while taken < LEFT_OVER {
        stream.set_read_timeout(Some(until(gone).ok_or_else(late)?))?;
        match stream.read(&mut left) {
            Ok(0) => break,
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Time until the deadline; `None` when it is past.
fn until(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_once_it_is_whole() {
        let text = "GET /live?x=1 HTTP/1.1\r\nhost: localhost:7878 \r\nAccept: */*\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..end]).unwrap(), None, "{end}");
        }
        let request = Request {
            method: "GET".to_owned(),
            target: "/live?x=1".to_owned(),
            host: Some("localhost:7878".to_owned()),
        };
        assert_eq!(parse(text.as_bytes()).unwrap(), Some(request));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "\u{1}\u{2}\u{3} \r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nno header\r\n\r\n",
        ] {
            let refused = parse(text.as_bytes());
            assert!(matches!(refused, Err(RequestError::Malformed(_))), "{text:?}: {refused:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert!(matches!(parse(many.as_bytes()), Err(RequestError::TooLong)));
    }
}
