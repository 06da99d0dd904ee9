//! How a sweep is told to people, on the terminal and on the page.

use crate::plan::Params;
use crate::run::words;
use crate::store::{AttemptRow, SweepState, SweepStatus};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// A sweep that was not heard of for longer is told as such.
const QUIET_S: f64 = 10.0;

/// What is swept: `grid beauty`.
pub fn name(sweep: &SweepStatus) -> String {
    sweep.grid.as_ref().map_or("stages of no grid".to_owned(), |grid| format!("grid {grid}"))
}

/// A time for people.
pub fn seconds(seconds: f64) -> String {
    words(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// A moment of the database for people: `2026-01-31 12:00 UTC`.
pub fn minute(moment: &str) -> String {
    let minute = moment.get(..16).filter(|_| moment.ends_with('Z'));
    minute.map_or(moment.to_owned(), |minute| format!("{} UTC", minute.replace('T', " ")))
}

/// How a sweep ended: `grid beauty: finished after 3 min 05 s, 61 of 61 stages done`.
pub fn end(sweep: &SweepStatus) -> String {
    let (how, then) = match sweep.state {
        SweepState::Running => ("running", ""),
        SweepState::Finished => ("finished", ""),
        SweepState::FailedFast => ("stopped at the first failure", ""),
        SweepState::Interrupted => ("interrupted", "; the same command goes on"),
        SweepState::DiskFull => {
            ("stopped by a full disk", "; make room, then the same command goes on")
        }
        SweepState::Error => ("ended by an error", ""),
        SweepState::Killed => ("killed", "; the same command goes on"),
    };
    let time = seconds(sweep.seconds);
    format!("{}: {how} after {time}, {}{then}", name(sweep), stages(sweep))
}

/// `12 of 61 stages done (3 reused), 2 running, …`.
pub fn stages(sweep: &SweepStatus) -> String {
    let counts = &sweep.counts;
    if counts.total == 0 {
        return "looking at what the store holds".to_owned();
    }
    let mut text = format!("{} of {} stages done", sweep.done(), counts.total);
    if counts.reused > 0 {
        let _ = write!(text, " ({} reused)", counts.reused);
    }
    for (count, what) in [
        (sweep.running.len(), "running"),
        (sweep.pending(), "pending"),
        (counts.failed, "failed"),
        (counts.blocked, "blocked by them"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    match counts.lost {
        0 => {}
        1 => text.push_str("; 1 worker was lost"),
        lost => {
            let _ = write!(text, "; {lost} workers were lost");
        }
    }
    text
}

/// A stage for people: `agent 1a2b3c4d5e6f`.
pub fn label(attempt: &AttemptRow) -> String {
    format!("{} {}", attempt.kind, attempt.stage_key.get(..12).unwrap_or(&attempt.stage_key))
}

/// `3/50 epoch 3`.
pub fn progress(attempt: &AttemptRow) -> String {
    let note = attempt.progress_note.as_deref().unwrap_or_default();
    match (attempt.progress_done, attempt.progress_total) {
        (Some(done), Some(total)) if total > 0 => format!("{done}/{total} {note}"),
        (Some(done), _) if done > 0 => format!("{done} {note}"),
        _ => note.to_owned(),
    }
}

/// Why an attempt came to nothing.
pub fn error(attempt: &AttemptRow) -> &str {
    attempt.error.as_deref().unwrap_or("no error was recorded")
}

/// How much of a sweep is done; `None` where it does not know its stages yet.
pub fn percent(sweep: &SweepStatus) -> Option<usize> {
    (100 * sweep.done()).checked_div(sweep.counts.total)
}

/// `12.3 stages a minute of late, about 3 min 05 s left`, as far as it is known.
pub fn pace(sweep: &SweepStatus) -> Option<String> {
    let speed = sweep.per_minute.map(|n| format!("{n:.1} stages a minute of late"));
    let left = sweep.counts.left_s.filter(|_| sweep.state == SweepState::Running);
    let left = left.map(|s| format!("about {} left", seconds((s - sweep.silent_s).max(0.0))));
    let both: Vec<String> = speed.into_iter().chain(left).collect();
    (!both.is_empty()).then(|| both.join(", "))
}

/// `2 of 4 slots busy`. What has just ended may still be said to run, beside what took its slot.
pub fn busy(sweep: &SweepStatus) -> String {
    let busy: BTreeSet<_> = sweep.running.iter().map(|attempt| attempt.slot).collect();
    format!("{} of {} slots busy", busy.len(), sweep.slots)
}

/// That a running sweep has been silent for long.
pub fn silence(sweep: &SweepStatus) -> Option<String> {
    let silent = sweep.state == SweepState::Running && sweep.silent_s > QUIET_S;
    silent.then(|| format!("not heard of for {}", seconds(sweep.silent_s)))
}

/// What tells a stage from others of its kind, as far as a few words can: `fgsm_l1, ε 0.1, seed 1`.
pub fn setting(params: &Params) -> String {
    let own = ["algorithm", "method", "attack", "epsilon", "index", "seed"];
    let words = own.into_iter().filter_map(|name| {
        let value = match params.get(name)? {
            Value::String(text) => text.clone(),
            value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
            _ => return None,
        };
        Some(match name {
            "epsilon" => format!("ε {value}"),
            "index" | "seed" => format!("{name} {value}"),
            _ => value,
        })
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_told_by_what_sets_it_apart() {
        let params: Params = serde_json::from_str(
            r#"{"attack": "fgsm_l1", "epsilon": 0.1, "seed": 2, "topk": [25, 5, 1], "users": "all"}"#,
        )
        .unwrap();
        assert_eq!(setting(&params), "fgsm_l1, ε 0.1, seed 2");
        assert_eq!(setting(&Params::default()), "");
    }

    #[test]
    fn moments_are_told_to_the_minute() {
        assert_eq!(minute("2026-01-31T12:00:59.123Z"), "2026-01-31 12:00 UTC");
        assert_eq!(minute("some day"), "some day");
    }
}
