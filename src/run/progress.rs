//! What people see of a running sweep, on standard error: bars on a terminal, lines elsewhere.

use super::forecast::words;
use super::protocol::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Where and how a sweep is shown.
#[derive(Debug)]
pub struct Display {
    done: u64,
    total: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Terminal { bars: MultiProgress, overall: ProgressBar, stages: BTreeMap<usize, ProgressBar> },
    Lines,
    Silent,
}

/// Shown in a line of its own for a running stage.
const STAGE: &str = "  {prefix:<24} {bar:24} {msg}";
const STAGE_UNKNOWN: &str = "  {prefix:<24} {spinner} {msg}";
const OVERALL: &str = "{bar:40} {pos}/{len} stages  {elapsed}  {msg}";

impl Display {
    /// Bars when standard error is a terminal, else a line a stage.
    pub fn on_stderr() -> Self {
        let kind = if std::io::stderr().is_terminal() {
            let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let overall = bars.add(ProgressBar::new(0));
            overall.set_style(style(OVERALL));
            Kind::Terminal { bars, overall, stages: BTreeMap::new() }
        } else {
            Kind::Lines
        };
        Self { done: 0, total: 0, kind }
    }

    /// Shows nothing.
    pub fn silent() -> Self {
        Self { done: 0, total: 0, kind: Kind::Silent }
    }

    /// A sweep of `total` stages begins, `done` of which are.
    pub fn begin(&mut self, total: usize, done: usize) {
        (self.total, self.done) = (total as u64, done as u64);
        if let Kind::Terminal { overall, .. } = &self.kind {
            overall.set_length(self.total);
            overall.set_position(self.done);
            overall.enable_steady_tick(Duration::from_millis(500));
        }
    }

    /// A line for people.
    pub fn note(&self, text: &str) {
        match &self.kind {
            // When standard error is gone there is nobody to tell.
            Kind::Terminal { bars, .. } => drop(bars.println(text)),
            Kind::Lines => drop(writeln!(std::io::stderr().lock(), "{text}")),
            Kind::Silent => {}
        }
    }

    /// A stage begins; `key` is how the other calls name it.
    pub fn started(&mut self, key: usize, stage: &str) {
        if let Kind::Terminal { bars, overall, stages } = &mut self.kind {
            let bar = bars.insert_before(overall, ProgressBar::new(0));
            bar.set_style(style(STAGE_UNKNOWN));
            bar.set_prefix(stage.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            if let Some(old) = stages.insert(key, bar) {
                bars.remove(&old);
            }
        }
    }

    /// A stage is so far.
    pub fn progress(&self, key: usize, progress: &Progress) {
        let Kind::Terminal { stages, .. } = &self.kind else { return };
        let Some(bar) = stages.get(&key) else { return };
        if progress.total > 0 && bar.length() != Some(progress.total) {
            bar.set_style(style(STAGE));
            bar.set_length(progress.total);
        }
        bar.set_position(progress.done);
        let left = match (progress.done, progress.total) {
            (done, total) if done > 0 && total >= done => {
                let rate = bar.elapsed().as_secs_f64() / done as f64;
                format!("  {} left", words(Duration::from_secs_f64(rate * (total - done) as f64)))
            }
            _ => String::new(),
        };
        bar.set_message(format!("{}{left}", progress.note));
    }

    /// A stage has ended, and `text` says how: `agent 1a2b… done in 3.2 s`. `counts` when it
    /// is done for good, `matters` when people should see it beside the bars.
    pub fn ended(&mut self, key: usize, text: &str, counts: bool, matters: bool) {
        self.done += u64::from(counts);
        if let Kind::Terminal { bars, overall, stages } = &mut self.kind {
            overall.set_position(self.done);
            if let Some(bar) = stages.remove(&key) {
                bars.remove(&bar);
            }
        }
        if matters || matches!(self.kind, Kind::Lines) {
            self.note(&format!("[{}/{}] {text}", self.done, self.total));
        }
    }

    /// A stage that was done is to be done again.
    pub fn undone(&mut self) {
        self.done = self.done.saturating_sub(1);
    }

    /// How long the sweep may still take.
    pub fn time_left(&self, left: Option<Duration>) {
        if let Kind::Terminal { overall, .. } = &self.kind {
            overall
                .set_message(left.map_or_else(String::new, |t| format!("about {} left", words(t))));
        }
    }

    /// Takes the bars away.
    pub fn finish(&mut self) {
        if let Kind::Terminal { bars, overall, stages } = &mut self.kind {
            for bar in std::mem::take(stages).into_values() {
                bars.remove(&bar);
            }
            overall.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a bar without one still shows.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [STAGE, STAGE_UNKNOWN, OVERALL] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
