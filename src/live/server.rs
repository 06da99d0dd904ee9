//! The server: one request a connection, each for a bounded time, on one thread beside those that make the
//! pages.

use super::response::Response;
use super::{LiveError, Site, host};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Connections at a time; others wait until one of these ends.
const CONNECTIONS: usize = 256;
/// Pages that are made at a time.
const PAGES: usize = 4;
/// Longest request without a body, in bytes.
const LONGEST: usize = 16 * 1024;
/// How long a request may take to come.
const ASKING: Duration = Duration::from_secs(5);
/// How long a connection may last.
const LASTING: Duration = Duration::from_secs(40);

/// A page that listens.
pub struct Server {
    listener: std::net::TcpListener,
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
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, site })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for ever.
    ///
    /// # Errors
    /// If the system gives no means to wait for connections.
    pub fn serve(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(PAGES)
            .build()?;
        runtime.block_on(self.accept())
    }

    async fn accept(self) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let (site, by_name) = (Arc::new(self.site), self.address.ip().is_loopback());
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let place = places.clone().acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                // Too many files are open, or the client has left again.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let site = site.clone();
            tokio::spawn(async move {
                // A client that has left, or takes nothing, misses nothing.
                let _ = timeout(LASTING, answer(stream, site, by_name)).await;
                drop(place);
            });
        }
    }
}

/// Answers the one request of a connection. `by_name`: only one that names this machine.
async fn answer(stream: TcpStream, site: Arc<Site>, by_name: bool) -> Result<(), hyper::Error> {
    let service = service_fn(move |request| respond(request, site.clone(), by_name));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .max_buf_size(LONGEST)
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn respond(
    request: Request<Incoming>,
    site: Arc<Site>,
    by_name: bool,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let response = match refused(&request, by_name) {
        Some(response) => response,
        None => {
            let path = request.uri().path().to_owned();
            // Reading the database waits for the disk: not where all connections are waited for.
            let made = tokio::task::spawn_blocking(move || site.respond(&path)).await;
            made.unwrap_or_else(|error| {
                Response::said(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
            })
        }
    };
    Ok(response.into())
}

/// What is said to a request that this server does not take.
fn refused(request: &Request<Incoming>, by_name: bool) -> Option<Response> {
    let mut names = request.headers().get_all(HOST).iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Some(Response::said(StatusCode::BAD_REQUEST, "the request has not one Host"));
    };
    if by_name && !name.to_str().is_ok_and(host::is_local) {
        return Some(Response::said(
            StatusCode::MISDIRECTED_REQUEST,
            "this page answers to localhost and 127.0.0.1 only; `advrec serve --address` opens it to others",
        ));
    }
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let only = "this page can only be read: GET and HEAD";
    (!reads).then(|| Response::said(StatusCode::METHOD_NOT_ALLOWED, only))
}
