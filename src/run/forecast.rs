//! How long the rest of a sweep may take, from what stages of each kind took so far.

use super::history::History;
use crate::plan::{Stage, StageKind};
use std::collections::BTreeMap;
use std::time::Duration;

/// Mean times by kind, and what is left of each kind.
#[derive(Debug, Default)]
pub struct Forecast {
    /// Sum and count of seconds. What earlier sweeps predict counts as one observation.
    times: BTreeMap<StageKind, (f64, f64)>,
    left: BTreeMap<StageKind, usize>,
}

impl Forecast {
    /// A forecast for these stages, from what earlier sweeps predict of them.
    pub fn new<'a>(history: &History, stages: impl Iterator<Item = &'a Stage>) -> Self {
        let mut forecast = Self::default();
        for stage in stages {
            *forecast.left.entry(stage.kind).or_default() += 1;
            if let Some(seconds) = history.predict(stage).seconds {
                let (sum, count) = forecast.times.entry(stage.kind).or_default();
                *sum += seconds;
                *count += 1.0;
            }
        }
        for (sum, count) in forecast.times.values_mut() {
            (*sum, *count) = (*sum / *count, 1.0);
        }
        forecast
    }

    /// A stage of this kind was done in `seconds`, or will not be run at all.
    pub fn ended(&mut self, kind: StageKind, seconds: Option<f64>) {
        if let Some(seconds) = seconds {
            let (sum, count) = self.times.entry(kind).or_default();
            *sum += seconds;
            *count += 1.0;
        }
        if let Some(left) = self.left.get_mut(&kind) {
            *left = left.saturating_sub(1);
        }
    }

    /// A stage of this kind that was done is to be done again.
    pub fn again(&mut self, kind: StageKind) {
        *self.left.entry(kind).or_default() += 1;
    }

    /// Time left with `slots` workers, of which `running` have run for so long; `None` while stages
    /// are left of a kind that was never seen.
    pub fn left(&self, slots: usize, running: &[(StageKind, Duration)]) -> Option<Duration> {
        let mean = |kind: &StageKind| self.times.get(kind).map(|(sum, count)| sum / count);
        let mut seconds = 0.0;
        let mut count = 0;
        for (kind, &left) in self.left.iter().filter(|&(_, &left)| left > 0) {
            seconds += mean(kind)? * left as f64;
            count += left;
        }
        for (kind, elapsed) in running {
            seconds -= elapsed.as_secs_f64().min(mean(kind)?);
        }
        let workers = slots.min(count).max(1) as f64;
        Duration::try_from_secs_f64((seconds / workers).max(0.0)).ok()
    }
}

/// A duration for people: `0.4 s`, `12.3 s`, `3 min 05 s`, `2 h 07 min`.
pub fn words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Observation;
    use serde_json::Map;

    #[test]
    fn the_rest_is_predicted_by_kind_and_divided_among_workers() {
        let history = History::new(&[Observation {
            kind: StageKind::Agent,
            params: Map::new(),
            source: None,
            wall_s: 100.0,
            bytes: None,
        }]);
        let stages = [StageKind::Agent, StageKind::Agent, StageKind::Graph];
        let stages = stages.map(|kind| Stage::new(kind, Map::new(), Vec::new()));
        let mut forecast = Forecast::new(&history, stages.iter());
        assert_eq!(forecast.left(2, &[]), None, "no graph was ever made");
        forecast.ended(StageKind::Graph, Some(3.0));
        assert_eq!(forecast.left(2, &[]), Some(Duration::from_secs(100)));
        let running = [(StageKind::Agent, Duration::from_secs(50))];
        assert_eq!(forecast.left(1, &running), Some(Duration::from_secs(150)));
        forecast.ended(StageKind::Agent, Some(200.0));
        assert_eq!(forecast.left(4, &[]), Some(Duration::from_secs(150)));
    }

    #[test]
    fn durations_read_well() {
        let said = [0.04, 59.96, 185.2, 7620.0].map(|s| words(Duration::from_secs_f64(s)));
        assert_eq!(said, ["0.0 s", "1 min 00 s", "3 min 05 s", "2 h 07 min"]);
    }
}
