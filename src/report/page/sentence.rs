//! Sentences with numbers whose query is behind them.

use crate::report::format::html::{escaped, marked_up};
use crate::report::source::{Source, quoted};
use std::fmt::Write as _;

/// A sentence as HTML.
#[derive(Default)]
pub struct Sentence(String);

impl Sentence {
    /// One that begins with this text; what stands between backticks is code.
    pub fn new(text: &str) -> Self {
        Self(marked_up(text))
    }

    /// Goes on with a text.
    pub fn say(mut self, text: &str) -> Self {
        self.0 += &marked_up(text);
        self
    }

    /// Goes on with a number. `about`: what it is, for whoever asks for its query.
    pub fn number(mut self, text: &str, about: &str, source: Option<&Source>) -> Self {
        match source {
            Some(source) => self.0 += &number(text, about, &source.sql()),
            None => self.0 += &escaped(text),
        }
        self
    }

    /// Goes on with a count that a query gives.
    pub fn count(mut self, count: u64, about: &str, sql: &str) -> Self {
        self.0 += &number(&count.to_string(), about, sql);
        self
    }

    /// Goes on with a link into the page.
    pub fn link(mut self, id: &str, text: &str) -> Self {
        let _ = write!(self.0, "<a href=\"#{id}\">{}</a>", escaped(text));
        self
    }

    pub fn html(&self) -> &str {
        &self.0
    }
}

fn number(text: &str, about: &str, sql: &str) -> String {
    format!(
        "<span class=\"q\" data-about=\"{}\" data-sql=\"{}\">{}</span>",
        escaped(about),
        escaped(sql),
        escaped(text)
    )
}

/// Sentences as a list; nothing of none.
pub fn list(sentences: &[Sentence]) -> String {
    if sentences.is_empty() {
        return String::new();
    }
    let items: String = sentences.iter().map(|s| format!("<li>{}</li>\n", s.html())).collect();
    format!("<ul>\n{items}</ul>\n")
}

/// A condition that keeps to one grid, where one is asked for. `before`: such as `WHERE`.
pub fn of_grid(before: &str, column: &str, grid: Option<&str>) -> String {
    grid.map_or(String::new(), |grid| format!(" {before} {column} = {}", quoted(grid)))
}
