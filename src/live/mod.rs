//! The live page: the report and the running sweep over HTTP, for whoever sits at this machine. It reads the
//! database and never writes.

mod curves;
mod fragment;
mod host;
mod moment;
mod plot;
mod response;
mod server;
mod site;
pub mod wording;

pub use server::Server;
pub use site::Site;

use crate::report::ReportError;
use crate::store::DatabaseError;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// Why there is no page.
#[derive(Debug, Error)]
pub enum LiveError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("could not listen at {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
}

impl From<rusqlite::Error> for LiveError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl LiveError {
    /// Whether somebody who writes the database has kept us out of it: the next try may do.
    fn is_busy(&self) -> bool {
        let locked = |error: &rusqlite::Error| {
            let code = error.sqlite_error_code();
            matches!(
                code,
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
            )
        };
        match self {
            Self::Database(error) => error.is_busy(),
            Self::Report(ReportError::Database { source, .. }) => locked(source),
            _ => false,
        }
    }
}

/// A text as it stands in HTML, in an attribute too.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// What a lock guards, also after a panic: what changes there changes as a whole or not at all.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
