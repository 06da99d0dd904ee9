//! What stands at which address, and how it is made.

use super::curves::Seen;
use super::moment::{self, Moment};
use super::response::{HTML, JSON, Response};
use super::{LiveError, fragment, held};
use crate::causes;
use crate::report::Page;
use crate::store::Database;
use hyper::StatusCode;
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// For so long a look at the sweep is shown to whoever asks.
const FRESH: Duration = Duration::from_millis(500);
/// Where the live part is put into a page. What comes from the database is escaped, and holds none.
const PLACE: &str = "<!-- the live part -->";

/// The pages of a database.
pub struct Site {
    database: PathBuf,
    grid: Option<String>,
    live: Mutex<Live>,
    page: Mutex<Option<Arc<Rendered>>>,
}

/// What is known of the sweep.
#[derive(Default)]
struct Live {
    last: Option<(Instant, Arc<Moment>)>,
    seen: Seen,
}

/// The report as a page, made once for all who look at the same results.
struct Rendered {
    results: String,
    before: String,
    after: String,
}

impl Site {
    /// Pages with the results of one grid, or of all.
    pub fn new(database: PathBuf, grid: Option<String>) -> Self {
        Self { database, grid, live: Mutex::default(), page: Mutex::default() }
    }

    /// The answer to who asks for a path.
    pub fn respond(&self, path: &str) -> Response {
        let answer = match path {
            "/" => self.whole(),
            "/live" => self.live().map(|(now, _)| Response::new(StatusCode::OK, HTML, now)),
            "/api/status" => self.live().map(|(_, moment)| {
                Response::new(StatusCode::OK, JSON, json!({ "sweep": moment.sweep }).to_string())
            }),
            // Browsers ask for it unasked.
            "/favicon.ico" => Ok(Response::new(StatusCode::NO_CONTENT, "image/x-icon", "")),
            _ => {
                Ok(Response::said(StatusCode::NOT_FOUND, "there is nothing here; the page is at /"))
            }
        };
        answer.unwrap_or_else(|error| {
            let status = match error.is_busy() {
                true => StatusCode::SERVICE_UNAVAILABLE,
                false => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Response::said(status, &causes::message(&error))
        })
    }

    fn whole(&self) -> Result<Response, LiveError> {
        let page = self.page()?;
        let (now, _) = self.live()?;
        let live = fragment::frame(&page.results, &now);
        Ok(Response::new(StatusCode::OK, HTML, [&*page.before, &live, &page.after].concat()))
    }

    /// The live part as it is now, and what it is made from.
    fn live(&self) -> Result<(String, Arc<Moment>), LiveError> {
        let mut live = held(&self.live);
        let fresh = live.last.as_ref().filter(|(read, _)| read.elapsed() < FRESH);
        let moment = match fresh {
            Some((_, moment)) => moment.clone(),
            None => {
                let before = live.last.take();
                let before = before.as_ref().map(|(_, moment)| &**moment);
                let moment = Database::glance(&self.database, |db| Moment::read(db, before))?;
                let moment = Arc::new(moment);
                live.last = Some((Instant::now(), moment.clone()));
                live.seen.look(moment.sweep.as_ref().map_or(&[], |sweep| &sweep.running));
                moment
            }
        };
        Ok((fragment::now(&moment, &live.seen, &self.database), moment))
    }

    /// The report as it is now.
    fn page(&self) -> Result<Arc<Rendered>, LiveError> {
        let mut page = held(&self.page);
        let found = Database::glance(&self.database, |db| -> Result<_, LiveError> {
            // First: a page of newer results than it says is made again, one of older ones would stay.
            let results = moment::results(db.connection())?;
            match &*page {
                Some(known) if known.results == results => Ok(Found::Known(known.clone())),
                _ => Ok(Found::New(results, Page::read(db.connection(), self.grid.as_deref())?)),
            }
        });
        let (results, read) = match (found, &*page) {
            (Ok(Found::Known(known)), _) => return Ok(known),
            (Ok(Found::New(results, read)), _) => (results, read),
            (Err(error), Some(known)) if error.is_busy() => return Ok(known.clone()),
            (Err(error), _) => return Err(error),
        };
        let html = read.to_html(Some(PLACE));
        let (before, after) = html.split_once(PLACE).unwrap_or(("", &html));
        let (before, after) = (before.to_owned(), after.to_owned());
        let rendered = Arc::new(Rendered { results, before, after });
        *page = Some(rendered.clone());
        Ok(rendered)
    }
}

/// Results that were made into a page before, or others.
enum Found {
    Known(Arc<Rendered>),
    New(String, Page),
}
