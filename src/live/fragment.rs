//! The live part of the page: a frame with the script that keeps it current, and in it the sweep as it is
//! now.

use super::curves::Seen;
use super::moment::Moment;
use super::{escaped, plot, wording};
use crate::store::{AttemptRow, SweepState, SweepStatus};
use std::fmt::Write as _;
use std::path::Path;

const STYLE: &str = include_str!("live.css");
const SCRIPT: &str = include_str!("live.js");

/// What stays when the sweep goes on: heading, notices, style and script. `shown`: which results the page
/// around it shows.
pub fn frame(shown: &str, now: &str) -> String {
    let shown = escaped(shown);
    format!(
        "<section class=\"live\" id=\"live\" aria-label=\"The sweep\" data-shown=\"{shown}\">\n\
         <style>\n{STYLE}</style>\n<p class=\"live-gone\" role=\"status\"></p>\n{now}\
         <div class=\"live-news\">\n<span role=\"status\"></span>\n\
         <button type=\"button\" hidden>Show them</button>\n\
         <label><input type=\"checkbox\" checked> show new results as they come</label>\n</div>\n\
         <noscript><p>Without JavaScript all stays as it is: reload the page.</p></noscript>\n\
         <script>\n{SCRIPT}</script>\n</section>\n"
    )
}

/// The sweep as it is now.
pub fn now(moment: &Moment, seen: &Seen, database: &Path) -> String {
    let state = match &moment.sweep {
        None => "none".to_owned(),
        Some(sweep) => format!("{} {}", sweep.id, word(sweep.state)),
    };
    let mut html = format!(
        "<div class=\"live-now\" data-results=\"{}\" data-state=\"{}\">\n",
        escaped(&moment.results),
        escaped(&state)
    );
    match &moment.sweep {
        None => html += &never(database),
        Some(sweep) if sweep.state == SweepState::Running => html += &running(sweep, moment),
        Some(sweep) => html += &ended(sweep, moment),
    }
    if let Some(sweep) = &moment.sweep {
        html += &failures(sweep);
        let trainings = plot::panels(&moment.curves, seen);
        html += &match sweep.state {
            _ if trainings.is_empty() => trainings,
            SweepState::Running => format!("<h3>Trainings</h3>\n{trainings}"),
            // The report has them, too.
            _ => format!(
                "<details data-key=\"trainings\"><summary>Trainings of this sweep</summary>\n\
                 {trainings}</details>\n"
            ),
        };
    }
    html + "</div>\n"
}

fn word(state: SweepState) -> &'static str {
    match state {
        SweepState::Running => "running",
        SweepState::Finished => "finished",
        SweepState::FailedFast => "stopped",
        SweepState::Interrupted => "interrupted",
        SweepState::DiskFull => "disk full",
        SweepState::Error => "error",
        SweepState::Killed => "killed",
    }
}

fn never(database: &Path) -> String {
    format!(
        "<h2>No sweep is running, and none has ever run</h2>\n\
         <p>Start one with <code>advrec sweep GRID.yaml --db {}</code>; this page shows it.</p>\n",
        escaped(&database.display().to_string())
    )
}

fn running(sweep: &SweepStatus, moment: &Moment) -> String {
    let title = capital(&wording::name(sweep));
    let mut html = format!("<h2>{} is being swept</h2>\n", escaped(&title));
    html += &bar(sweep);
    let _ = writeln!(html, "<p>{}</p>", escaped(&wording::stages(sweep)));
    let job = sweep.job.as_ref().map_or(String::new(), |job| format!(", job {job}"));
    let mut facts = vec![format!("running for {}", wording::seconds(sweep.seconds))];
    facts.extend(wording::pace(sweep));
    facts.extend(peak(moment));
    facts.push(format!("process {} on {}{job}", sweep.process, sweep.host));
    let _ = writeln!(html, "<p class=\"live-facts\">{}</p>", escaped(&facts.join("; ")));
    if let Some(silence) = wording::silence(sweep) {
        let _ = writeln!(html, "<p class=\"live-warning\">The sweep was {silence}.</p>");
    }
    html + &slots(sweep)
}

fn ended(sweep: &SweepStatus, moment: &Moment) -> String {
    let mut html = "<h2>No sweep is running</h2>\n".to_owned();
    html += &bar(sweep);
    let _ = writeln!(html, "<p>The last one: {}.</p>", escaped(&wording::end(sweep)));
    let mut facts = vec![format!("started {}", wording::minute(&sweep.started))];
    facts.extend(sweep.ended.iter().map(|ended| format!("ended {}", wording::minute(ended))));
    facts.extend(peak(moment));
    let _ = writeln!(html, "<p class=\"live-facts\">{}</p>", escaped(&facts.join("; ")));
    html
}

fn peak(moment: &Moment) -> Option<String> {
    moment.peak_mib.map(|mib| format!("largest worker {mib:.0} MiB"))
}

/// How much is done; nothing while the sweep does not know its stages.
fn bar(sweep: &SweepStatus) -> String {
    let Some(percent) = wording::percent(sweep) else { return String::new() };
    format!(
        "<p class=\"live-bar\"><progress aria-label=\"Stages done\" max=\"{}\" value=\"{}\"></progress> {percent} %</p>\n",
        sweep.counts.total,
        sweep.done()
    )
}

fn slots(sweep: &SweepStatus) -> String {
    let caption = wording::busy(sweep);
    if sweep.running.is_empty() {
        return format!("<p>{caption}</p>\n");
    }
    let jobs = sweep.running.iter().any(|attempt| attempt.job.is_some());
    let mut html = format!(
        "<div class=\"live-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Slots\" data-key=\"slots\">\n\
         <table>\n<caption>{caption}</caption>\n<thead><tr>"
    );
    let columns = ["slot", "stage", "for", "progress", "device"];
    for column in columns.into_iter().chain(jobs.then_some("job")) {
        let _ = write!(html, "<th scope=\"col\">{column}</th>");
    }
    html += "</tr></thead>\n<tbody>\n";
    for attempt in &sweep.running {
        html += &slot(attempt, jobs);
    }
    html + "</tbody>\n</table>\n</div>\n"
}

fn slot(attempt: &AttemptRow, jobs: bool) -> String {
    let number = attempt.slot.map_or("-".to_owned(), |slot| slot.to_string());
    let setting = wording::setting(&attempt.params);
    let bar = match (attempt.progress_done, attempt.progress_total) {
        (Some(done), Some(total)) if total > 0 => {
            format!("<progress aria-hidden=\"true\" max=\"{total}\" value=\"{done}\"></progress> ")
        }
        _ => String::new(),
    };
    let job = attempt.job.as_deref().unwrap_or_default();
    let job = if jobs { format!("<td>{}</td>", escaped(job)) } else { String::new() };
    format!(
        "<tr><th scope=\"row\">{number}</th><td>{} <small>{}</small></td><td>{}</td>\
         <td>{bar}{}</td><td>{}</td>{job}</tr>\n",
        escaped(&wording::label(attempt)),
        escaped(&setting),
        wording::seconds(attempt.seconds),
        escaped(&wording::progress(attempt)),
        escaped(attempt.device())
    )
}

fn failures(sweep: &SweepStatus) -> String {
    if sweep.failures.is_empty() {
        return String::new();
    }
    let items: String = sweep.failures.iter().map(failure).collect();
    format!("<h3>Last failures</h3>\n<ul class=\"live-failures\">\n{items}</ul>\n")
}

fn failure(attempt: &AttemptRow) -> String {
    let setting = wording::setting(&attempt.params);
    let mut html = format!(
        "<li><strong>{}</strong>: {} <small>{}</small>\n<pre data-key=\"error {}\">{}</pre>\n",
        escaped(&attempt.state),
        escaped(&wording::label(attempt)),
        escaped(&setting),
        attempt.attempt,
        escaped(wording::error(attempt))
    );
    if let Some(tail) = attempt.log_tail.as_deref().filter(|tail| !tail.trim().is_empty()) {
        let _ = writeln!(
            html,
            "<details data-key=\"log {}\"><summary>last lines of its log</summary>\n\
             <pre data-key=\"tail {}\">{}</pre></details>",
            attempt.attempt,
            attempt.attempt,
            escaped(tail)
        );
    }
    if let Some(path) = &attempt.log_path {
        let _ = writeln!(html, "<p>log: <code>{}</code></p>", escaped(path));
    }
    html + "</li>\n"
}

/// A text that begins with a capital letter.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_says_stays_text() {
        let database = Path::new("<script>alert(1)</script>\".db");
        let moment = Moment {
            sweep: None,
            results: "\"><b>".to_owned(),
            curves: Default::default(),
            peak_mib: None,
        };
        let html = now(&moment, &Seen::default(), database);
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("data-results=\"&quot;&gt;&lt;b&gt;\""), "{html}");
    }
}
