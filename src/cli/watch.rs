//! `advrec watch`: the running sweep from another terminal. It reads the database now and then, and
//! holds nothing in between.

use super::plan::{lines, table};
use super::screen::Screen;
use super::{Context, Output, exit};
use crate::live::wording::{self, end, label, name, progress, seconds, stages};
use crate::store::{AttemptRow, AttemptsSoFar, Database, DatabaseError, SweepState, SweepStatus};
use anyhow::Context as _;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// Width of the bar.
const BAR: usize = 40;

/// Arguments of `advrec watch`.
#[derive(clap::Args)]
pub struct Args {
    /// Print one picture and stop
    #[arg(long)]
    once: bool,
}

/// Runs the command; returns the exit code: with `--once`, or when nothing runs, that of success; else the
/// one with which the sweep ends.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let db = Database::open_readonly(&context.db)?;
    let mut out = io::stdout().lock();
    let Some(sweep) = patiently(|| db.last_sweep())? else {
        match context.output {
            Output::Json => writeln!(out, "{}", json!({ "sweep": null }))?,
            Output::Human => writeln!(out, "no sweep is running, and none has ever run")?,
        }
        return Ok(exit::DONE);
    };
    let running = sweep.state == SweepState::Running;
    if args.once || !running {
        match context.output {
            Output::Json => writeln!(out, "{}", json!({ "sweep": sweep }))?,
            Output::Human if running => write!(out, "{}", picture(&sweep))?,
            Output::Human if args.once => {
                write!(out, "no sweep is running; the last one:\n{}", picture(&sweep))?;
            }
            Output::Human => writeln!(out, "no sweep is running; the last one: {}", end(&sweep))?,
        }
        return Ok(exit::DONE);
    }
    let view = match context.output {
        Output::Json => View::Json,
        Output::Human if out.is_terminal() => View::Terminal(Screen::default()),
        Output::Human => View::Lines(Lines::default()),
    };
    follow(&db, sweep, view, &mut out)
}

/// How a sweep is shown.
enum View {
    /// An object a look.
    Json,
    /// A picture, drawn again in its place.
    Terminal(Screen),
    /// A line a change.
    Lines(Lines),
}

/// Looks until the sweep has ended; returns the exit code.
fn follow(
    db: &Database,
    mut sweep: SweepStatus,
    mut view: View,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    loop {
        match &mut view {
            View::Json => writeln!(out, "{}", json!({ "sweep": sweep }))?,
            View::Terminal(screen) => screen.draw(out, &picture(&sweep))?,
            View::Lines(lines) => {
                write!(out, "{}", patiently(|| lines.news(db, &sweep))?)?;
            }
        }
        out.flush()?;
        if sweep.state != SweepState::Running {
            // The last picture says it already.
            if matches!(view, View::Lines(_)) {
                writeln!(out, "{}", end(&sweep))?;
            }
            return Ok(code(&sweep));
        }
        std::thread::sleep(EVERY);
        let now = patiently(|| db.sweep_numbered(sweep.id))?;
        sweep = now.context("the sweep is no longer in the database")?;
    }
}

/// Asks again as long as the sweep's writes keep everybody out, as on a shared file system.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    loop {
        match ask() {
            Err(error) if error.is_busy() => std::thread::sleep(EVERY),
            other => return other,
        }
    }
}

/// What a sweep that has ended would have had as its exit code.
fn code(sweep: &SweepStatus) -> u8 {
    match sweep.state {
        SweepState::Finished if sweep.counts.failed == 0 => exit::DONE,
        SweepState::Interrupted | SweepState::Killed => exit::INTERRUPTED,
        _ => exit::FAILED,
    }
}

/// All about a sweep, with a line break at its end.
fn picture(sweep: &SweepStatus) -> String {
    let job = sweep.job.as_ref().map_or(String::new(), |job| format!(", job {job}"));
    let state = match sweep.state {
        SweepState::Running => format!("running for {}", seconds(sweep.seconds)),
        _ => format!("started {}", sweep.started),
    };
    let mut text =
        format!("{}: process {} on {}{job}, {state}\n", name(sweep), sweep.process, sweep.host);
    if let Some(silence) = wording::silence(sweep) {
        let _ = writeln!(text, "{silence}");
    }
    if let Some(percent) = wording::percent(sweep) {
        let full = (BAR * percent / 100).min(BAR);
        let _ = writeln!(text, "{}{} {percent} %", "#".repeat(full), "-".repeat(BAR - full));
    }
    let running = sweep.state == SweepState::Running;
    let _ = writeln!(text, "{}", if running { stages(sweep) } else { end(sweep) });
    if let Some(pace) = wording::pace(sweep) {
        let _ = writeln!(text, "{pace}");
    }
    if running {
        let _ = writeln!(text, "\n{}", wording::busy(sweep));
        text.push_str(&slots(&sweep.running));
    }
    if !sweep.failures.is_empty() {
        text.push_str("\nlast failures\n");
        sweep.failures.iter().for_each(|attempt| text.push_str(&failure(attempt)));
    }
    text
}

fn slots(running: &[AttemptRow]) -> String {
    if running.is_empty() {
        return String::new();
    }
    let jobs = running.iter().any(|attempt| attempt.job.is_some());
    let mut header = vec!["slot", "stage", "for", "progress", "device"];
    header.extend(jobs.then_some("job"));
    let mut slots = table(&header);
    for attempt in running {
        let mut row = vec![
            attempt.slot.map_or("-".to_owned(), |slot| slot.to_string()),
            label(attempt),
            seconds(attempt.seconds),
            progress(attempt),
            attempt.device().to_owned(),
        ];
        row.extend(jobs.then(|| attempt.job.clone().unwrap_or_default()));
        slots.add_row(row);
    }
    lines(&slots)
}

fn failure(attempt: &AttemptRow) -> String {
    let mut text = format!("  {}: {}\n", attempt.state, label(attempt));
    for line in wording::error(attempt).lines() {
        let _ = writeln!(text, "    {line}");
    }
    for line in attempt.log_tail.as_deref().unwrap_or_default().lines() {
        let _ = writeln!(text, "    | {line}");
    }
    text
}

/// What has been told of a sweep in lines.
#[derive(Default)]
struct Lines {
    /// `None` before the first look: what had ended by then is not told.
    told: Option<AttemptsSoFar>,
}

impl Lines {
    /// A line for each attempt that has ended since the last look.
    fn news(&mut self, db: &Database, sweep: &SweepStatus) -> Result<String, DatabaseError> {
        let mut text = String::new();
        // At its very beginning the sweep does not know its stages.
        if sweep.counts.total == 0 && sweep.state == SweepState::Running {
            return Ok(text);
        }
        let Some(so_far) = &mut self.told else {
            self.told = Some(db.attempts_so_far(sweep.id)?);
            let _ = writeln!(text, "{}: {}", name(sweep), stages(sweep));
            return Ok(text);
        };
        let attempts = db.attempts_since(sweep.id, so_far)?;
        so_far.next = attempts.last().map_or(so_far.next, |last| so_far.next.max(last.attempt + 1));
        let (running, mut ended): (Vec<_>, Vec<_>) =
            attempts.into_iter().partition(|attempt| attempt.state == "running");
        so_far.running = running.iter().map(|attempt| attempt.attempt).collect();
        ended.sort_by(|a, b| (&a.ended, a.attempt).cmp(&(&b.ended, b.attempt)));
        for attempt in &ended {
            so_far.done += usize::from(attempt.state == "done");
            let done = sweep.counts.reused + so_far.done;
            let _ = writeln!(text, "[{done}/{}] {}", sweep.counts.total, told(attempt));
        }
        Ok(text)
    }
}

/// `agent 1a2b3c4d5e6f done in 3.2 s`.
fn told(attempt: &AttemptRow) -> String {
    let (label, time) = (label(attempt), seconds(attempt.seconds));
    match attempt.state.as_str() {
        "done" => format!("{label} done in {time}"),
        "interrupted" => format!("{label} interrupted after {time}"),
        state => format!(
            "{label} {state}: {}",
            wording::error(attempt).lines().next().unwrap_or_default()
        ),
    }
}
