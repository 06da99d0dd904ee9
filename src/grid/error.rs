//! Errors of grids: each names file, line, column, the offending text and what to do instead.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A stretch of a line of the grid's text. Lines and columns count from 1, columns and width in
/// characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
    pub width: usize,
}

impl Place {
    /// The beginning of the text.
    pub const START: Place = Place { line: 1, column: 1, width: 1 };
}

/// What is wrong at a place, before the text around it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    pub place: Place,
    /// A lower-case fragment.
    pub message: String,
    /// What to do instead.
    pub help: Option<String>,
}

impl Fault {
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: None }
    }

    /// Adds what to do instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A fault together with the line that it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Always within the text: line 1 of an empty file, at most one column past the end of a line.
    pub place: Place,
    pub message: String,
    pub help: Option<String>,
    /// The whole line, without its end.
    pub source_line: String,
}

impl Problem {
    /// The text that the problem is about; empty at the end of a line.
    pub fn offending_text(&self) -> String {
        self.source_line.chars().skip(self.place.column - 1).take(self.place.width).collect()
    }
}

/// Why a grid cannot be used.
#[derive(Debug, Error)]
pub enum GridError {
    #[error("could not read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{}", Listing { path, problems })]
    Invalid {
        path: PathBuf,
        /// In the order of the text; never empty.
        problems: Vec<Problem>,
    },
}

/// How many problems are printed; the rest is counted.
const SHOWN: usize = 20;
/// How many characters of a line are printed around a problem.
const LINE_WIDTH: usize = 120;

impl GridError {
    /// Faults of a text as an error: sorted by place, repetitions dropped, places brought within
    /// the text.
    pub(crate) fn invalid(path: &Path, text: &str, faults: Vec<Fault>) -> Self {
        let lines = lines(text);
        let mut problems: Vec<Problem> = Vec::with_capacity(faults.len());
        for fault in faults {
            let line = fault.place.line.clamp(1, lines.len());
            let source_line = lines[line - 1];
            let length = source_line.chars().count();
            let column = if fault.place.line > lines.len() {
                length + 1
            } else {
                fault.place.column.clamp(1, length + 1)
            };
            let width = fault.place.width.clamp(1, (length + 1 - column).max(1));
            let problem = Problem {
                place: Place { line, column, width },
                message: fault.message,
                help: fault.help,
                source_line: source_line.to_owned(),
            };
            problems.push(problem);
        }
        // Stable: problems at one place stay in the order in which they were found.
        problems.sort_by_key(|p| p.place);
        problems.dedup();
        Self::Invalid { path: path.to_owned(), problems }
    }

    /// The problems found; empty if the file could not be read.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Read { .. } => &[],
            Self::Invalid { problems, .. } => problems,
        }
    }
}

/// The lines of a text as YAML counts them: ended by LF, CR LF or CR. At least one.
pub(crate) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let ended = match bytes[at] {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => 2,
            b'\r' | b'\n' => 1,
            _ => 0,
        };
        if ended > 0 {
            lines.push(&text[start..at]);
            start = at + ended;
        }
        at += ended.max(1);
    }
    if start < text.len() || lines.is_empty() {
        lines.push(&text[start..]);
    }
    lines
}

/// Text of the grid for a message: in backquotes, on one line, of bounded length.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).map(printable).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A character as it can stand in one column of a terminal.
fn printable(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

struct Listing<'a> {
    path: &'a Path,
    problems: &'a [Problem],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{}:", self.path.display())?;
            problem.fmt(f)?;
        }
        if self.problems.len() > SHOWN {
            write!(f, "\n\nand {} more problems", self.problems.len() - SHOWN)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column, width } = self.place;
        writeln!(f, "{line}:{column}: {}", self.message)?;
        let length = self.source_line.chars().count();
        // A long line is cut to a window around the problem.
        let first =
            if length > LINE_WIDTH { (column - 1).saturating_sub(LINE_WIDTH / 3) } else { 0 };
        let before = if first > 0 { "…" } else { "" };
        let after = if length > first + LINE_WIDTH { "…" } else { "" };
        let shown: String =
            self.source_line.chars().skip(first).take(LINE_WIDTH).map(printable).collect();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(before.chars().count() + column - 1 - first);
        let carets = "^".repeat(width.min(first + LINE_WIDTH + 1 - (column - 1)).max(1));
        let shown = format!("{before}{shown}{after}");
        writeln!(f, "  {number} | {}", shown.trim_end())?;
        write!(f, "  {margin} | {indent}{carets}")?;
        if let Some(help) = &self.help {
            write!(f, "\n  {help}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_line_and_what_to_do() {
        let fault =
            Fault::new(Place { line: 2, column: 3, width: 7 }, "unknown parameter `epsilno`")
                .help("did you mean `epsilon`?");
        let error =
            GridError::invalid(Path::new("x.yaml"), "axes:\n  epsilno: [0.1]\n", vec![fault]);
        insta::assert_snapshot!(error, @r"
        x.yaml:2:3: unknown parameter `epsilno`
          2 |   epsilno: [0.1]
            |   ^^^^^^^
          did you mean `epsilon`?
        ");
        assert_eq!(error.problems()[0].offending_text(), "epsilno");
    }

    #[test]
    fn a_long_line_is_cut() {
        let text = format!("{}bad{}", "a".repeat(500), "z".repeat(500));
        let fault = Fault::new(Place { line: 1, column: 501, width: 3 }, "bad");
        let shown = GridError::invalid(Path::new("x"), &text, vec![fault]).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.iter().all(|l| l.chars().count() < 140), "{shown}");
        let caret = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().skip(caret).take(3).collect::<String>(), "bad");
    }

    #[test]
    fn lines_end_as_yaml_ends_them() {
        assert_eq!(lines("a\nb\r\nc\rd"), ["a", "b", "c", "d"]);
        assert_eq!(lines("a\n"), ["a"]);
        assert_eq!(lines(""), [""]);
    }

    #[test]
    fn places_are_brought_within_the_text() {
        for text in ["", "a", "a\n", "a\nbb\n"] {
            for line in 0..5 {
                for column in 0..5 {
                    let place = Place { line, column, width: 9 };
                    let error =
                        GridError::invalid(Path::new("x"), text, vec![Fault::new(place, "m")]);
                    let place = error.problems()[0].place;
                    let line = lines(text)[place.line - 1];
                    assert!(place.column >= 1 && place.column <= line.chars().count() + 1);
                }
            }
        }
    }
}
