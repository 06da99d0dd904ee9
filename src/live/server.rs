//! The server: a thread a connection, not many of them, each for a bounded time.

use super::http::{self, Request, RequestError, Response};
use super::{LiveError, Site, held, host};
use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Connections at a time; for another one, that which is open for longest is cut.
const CONNECTIONS: usize = 64;
/// Threads at a time, with those that still work for connections that were cut.
const THREADS: usize = 2 * CONNECTIONS;
/// How long a request may take to come.
const ASKING: Duration = Duration::from_secs(5);
/// How long an answer may take to go.
const ANSWERING: Duration = Duration::from_secs(30);

/// A page that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    site: Site,
}

impl Server {
    /// Listens at an address; the system chooses a port for 0.
    ///
    /// # Errors
    /// If it cannot be listened at.
    pub fn bind(address: SocketAddr, site: Site) -> Result<Self, LiveError> {
        let failed = |source| LiveError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, site })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for ever.
    pub fn serve(self) {
        let Self { listener, address, site } = self;
        let (site, connections) = (Arc::new(site), Arc::new(Connections::default()));
        let by_name = address.ip().is_loopback();
        for (id, stream) in (0..).zip(listener.incoming()) {
            let Ok(stream) = stream else {
                // Too many files are open, or the client has left again.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let Ok(Some(place)) = connections.take(id, &stream) else { continue };
            let site = site.clone();
            let answering = std::thread::Builder::new().name("connection".to_owned());
            // Where there can be no more threads, the connection ends here.
            let _ = answering.spawn(move || {
                // A client that has left misses nothing.
                let _ = answer(stream, &site, by_name);
                drop(place);
            });
        }
    }
}

/// The connections that are open, the oldest first, each with a thread.
#[derive(Default)]
struct Connections {
    open: Mutex<VecDeque<(u64, TcpStream)>>,
    threads: AtomicUsize,
}

impl Connections {
    /// Makes room for a connection; `None` where even that does not help.
    fn take(self: &Arc<Self>, id: u64, stream: &TcpStream) -> io::Result<Option<Place>> {
        if self.threads.load(Ordering::Relaxed) >= THREADS {
            return Ok(None);
        }
        let stream = stream.try_clone()?;
        let mut open = held(&self.open);
        if open.len() >= CONNECTIONS
            && let Some((_, oldest)) = open.pop_front()
        {
            // Its thread sees the end. One that has left already cannot be cut.
            let _ = oldest.shutdown(Shutdown::Both);
        }
        open.push_back((id, stream));
        self.threads.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Place { connections: self.clone(), id }))
    }
}

/// The place of a connection among those that are open.
struct Place {
    connections: Arc<Connections>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        held(&self.connections.open).retain(|(id, _)| *id != self.id);
        self.connections.threads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers one request. `by_name`: only one that names this machine.
fn answer(mut stream: TcpStream, site: &Site, by_name: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let request = http::read(&mut stream, Instant::now() + ASKING);
    let with_body = request.as_ref().map_or(true, |request| request.method != "HEAD");
    let response = match &request {
        Err(RequestError::Gone(_)) => return Ok(()),
        Err(error) => Response::from(error),
        Ok(request) => refused(request, by_name).unwrap_or_else(|| site.respond(&request.target)),
    };
    http::write(stream, &response, with_body, Instant::now() + ANSWERING)
}

/// What is said to a request that this server does not take.
fn refused(request: &Request, by_name: bool) -> Option<Response> {
    let Some(name) = &request.host else {
        return Some(Response::said(400, "the request has no Host"));
    };
    if by_name && !host::is_local(name) {
        return Some(Response::said(
            421,
            "this page answers to localhost and 127.0.0.1 only; `advrec serve --address` opens it to others",
        ));
    }
    let reads = matches!(request.method.as_str(), "GET" | "HEAD");
    (!reads).then(|| Response::said(405, "this page can only be read: GET and HEAD"))
}
