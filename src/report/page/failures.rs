//! Attempts that failed or lost their worker, with what they left behind.

use super::Section;
use super::provenance::STAGES;
use super::sentence::Sentence;
use crate::report::ReportError;
use crate::report::database::failed;
use crate::report::format::html::escaped;
use rusqlite::{Connection, Row};
use std::fmt::Write as _;

/// How many are shown: the last ones.
const SHOWN: usize = 100;
/// Digits of a stage's key that name it.
const KEY: usize = 12;

/// Reads the view `failures`.
pub fn read(db: &Connection, grid: Option<&str>) -> Result<Section, ReportError> {
    let what = "the view `failures`";
    let of_grid = format!(
        "?1 IS NULL OR stage_key IN ({STAGES}) OR stage_key IN (
             SELECT input_key FROM stage_inputs WHERE stage_key IN ({STAGES}))"
    );
    let sql = format!("SELECT count(*) FROM failures WHERE {of_grid}");
    let count: i64 = db.query_row(&sql, [grid], |row| row.get(0)).map_err(failed(what))?;
    if count == 0 {
        let body = "<p>No attempt failed or lost its worker.</p>\n".to_owned();
        return Ok(Section::new("failures", "Failures", body));
    }
    let sql = format!(
        "SELECT attempt, kind, stage_key, state, stage_state, ended, error, log_path, log_tail
         FROM failures WHERE {of_grid} ORDER BY attempt DESC LIMIT {SHOWN}"
    );
    let mut statement = db.prepare(&sql).map_err(failed(what))?;
    let rows = statement.query_map([grid], described).map_err(failed(what))?;
    let items: String = rows.collect::<Result<_, _>>().map_err(failed(what))?;
    let intro = Sentence::new(
        "Attempts that failed or lost their worker, by their numbers, the last first: ",
    );
    let intro = match grid {
        None => {
            intro.count(count.unsigned_abs(), "failed attempts", "SELECT count(*) FROM failures")
        }
        Some(_) => intro.say(&count.to_string()),
    };
    let intro = match usize::try_from(count).is_ok_and(|count| count > SHOWN) {
        true => intro.say(&format!(
            ", of which {SHOWN} are shown; `advrec query \"SELECT * FROM failures\"` has all."
        )),
        false => intro.say("."),
    };
    let body = format!(
        "<p>{}</p>\n<p>Type <code>advrec why KEY</code> for the history of a stage, \
         <code>advrec rerun --failed</code> to try again what is still failed.</p>\n\
         <ol class=\"failures\" reversed>\n{items}</ol>\n",
        intro.html()
    );
    Ok(Section::new("failures", "Failures", body))
}

fn described(row: &Row<'_>) -> rusqlite::Result<String> {
    let text = |name: &str| {
        let text = row.get::<_, Option<String>>(name);
        text.map(|text| escaped(text.unwrap_or_default().trim()))
    };
    let key = text("stage_key")?.chars().take(KEY).collect::<String>();
    let state = match (text("state")?.as_str(), text("stage_state")?.as_str()) {
        ("lost", "done") => "lost its worker, done by a later attempt".to_owned(),
        ("lost", stage) => format!("lost its worker, the stage is {stage}"),
        (state, "done") => format!("{state}, done by a later attempt"),
        (state, stage) => format!("{state}, the stage is {stage}"),
    };
    let error = match text("error")?.as_str() {
        "" => "no error was recorded".to_owned(),
        error => error.to_owned(),
    };
    let attempt: i64 = row.get("attempt")?;
    let mut out = format!(
        "<li value=\"{attempt}\"><strong>{}</strong> <code>{key}</code> {state}\
         <span class=\"when\"> {}</span>\n<pre tabindex=\"0\"><code>{error}</code></pre>\n",
        text("kind")?,
        text("ended")?
    );
    match text("log_path")?.as_str() {
        "" => {}
        path => {
            let _ = writeln!(out, "<p>Log: <code>{path}</code></p>");
        }
    }
    match text("log_tail")?.as_str() {
        "" => {}
        tail => {
            let _ = writeln!(
                out,
                "<details>\n<summary>Last lines of the log</summary>\n\
                 <pre tabindex=\"0\"><code>{tail}</code></pre>\n</details>"
            );
        }
    }
    Ok(out + "</li>\n")
}
