//! When a sweep gives attempts up: the options of `sweep` and `rerun` that say so.

use crate::plan::StageKind;
use crate::run::Limits;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// Time limits and crash limits.
#[derive(Clone, Debug, clap::Args)]
pub struct LimitArgs {
    /// How long a stage may run, such as 2h or agent=90m; may be given several times, the later wins
    #[arg(long, value_name = "[KIND=]TIME")]
    timeout: Vec<Timeout>,
    /// A stage over which so many workers are lost has failed
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    crash_limit: u32,
    /// A worker that gives no sign of life for so long is killed, and its stage tried again
    #[arg(long, default_value = "2m", value_name = "TIME", value_parser = time)]
    stall_after: Duration,
    /// How long running stages have to stop or save their state after ctrl-c
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = time)]
    grace: Duration,
    /// The wait before a stage that lost its worker is tried again; it doubles each time
    #[arg(long, hide = true, default_value = "1s", value_name = "TIME", value_parser = time)]
    back_off: Duration,
}

impl LimitArgs {
    /// The limits.
    pub fn limits(&self) -> Limits {
        let Self { timeout, crash_limit, stall_after, back_off, .. } = self;
        let mut timeouts = BTreeMap::new();
        for Timeout { kind, time } in timeout {
            match kind {
                Some(kind) => drop(timeouts.insert(*kind, *time)),
                None => timeouts.extend(StageKind::ALL.map(|kind| (kind, *time))),
            }
        }
        Limits { crash_limit: *crash_limit, stall: *stall_after, back_off: *back_off, timeouts }
    }

    /// How long running stages have to stop.
    pub fn grace(&self) -> Duration {
        self.grace
    }
}

/// A limit of one kind of stage, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timeout {
    kind: Option<StageKind>,
    time: Duration,
}

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, limit)) = text.split_once('=') else {
            return Ok(Self { kind: None, time: time(text)? });
        };
        let kind =
            StageKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
                let names = StageKind::ALL.map(StageKind::name);
                format!("there is no kind of stage `{name}`; use one of {}", names.join(", "))
            })?;
        Ok(Self { kind: Some(kind), time: time(limit)? })
    }
}

/// A length of time: `90s`, `1h 30m`, `500ms`, or a number of seconds.
pub fn time(text: &str) -> Result<Duration, String> {
    let parsed = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    parsed.filter(|time| !time.is_zero()).ok_or_else(|| {
        "write a length of time such as 90s, 20m, 1h30m, or seconds as a number".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_units() {
        let seconds = |text| time(text).map(|t| t.as_secs_f64());
        assert_eq!(seconds("1h 30m"), Ok(5400.0));
        assert_eq!(seconds("2.5"), Ok(2.5));
        assert_eq!(seconds("300ms"), Ok(0.3));
        for bad in ["", "0", "-3", "fast", "1e999", "NaN"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_is_of_a_kind_or_of_all() {
        let agent = Timeout { kind: Some(StageKind::Agent), time: Duration::from_secs(7200) };
        assert_eq!("agent=2h".parse(), Ok(agent));
        assert_eq!("5m".parse(), Ok(Timeout { kind: None, time: Duration::from_secs(300) }));
        insta::assert_snapshot!("walk=2h".parse::<Timeout>().unwrap_err(),
            @"there is no kind of stage `walk`; use one of dataset, graph, embedding, agent, calibration, rollout, drift, detector, detection, ranking, direct, noop");
    }
}
