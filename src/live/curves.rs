//! Curves of the trainings of a sweep: whole ones of those that are done, from their metrics, and of those
//! that run what was seen of them so far, from the notes that come with their progress.

use super::wording::setting;
use crate::plan::Params;
use crate::store::AttemptRow;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// A kind of stage that is trained: what its curve shows, under which name in the metrics. The notes that
/// a worker sends begin with what its curve shows.
pub struct Kind {
    pub stage: &'static str,
    pub quantity: &'static str,
    metric: &'static str,
}

pub const KINDS: [Kind; 3] = [
    Kind { stage: "embedding", quantity: "loss", metric: "train_loss" },
    Kind { stage: "agent", quantity: "reward", metric: "train_reward" },
    Kind { stage: "detector", quantity: "validation loss", metric: "validation_loss" },
];

/// How many trainings of a kind are shown, the latest of them.
pub const SHOWN: usize = 6;

/// A training and its values by epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub kind: String,
    pub key: String,
    pub setting: String,
    pub running: bool,
    pub points: BTreeMap<u64, f64>,
}

/// The last trainings that a sweep has done, the latest first.
pub fn done(db: &Connection, sweep: i64) -> rusqlite::Result<Vec<Curve>> {
    // From the trainings, which are few: CROSS JOIN keeps SQLite from walking all attempts.
    let mut trained = db.prepare_cached(
        "SELECT s.key, s.params, max(a.id) AS last
         FROM stages s CROSS JOIN attempts a ON a.stage_key = s.key
         WHERE s.kind = ?1 AND s.state = 'done' AND a.sweep_id = ?2 AND a.state = 'done'
         GROUP BY s.key ORDER BY last DESC LIMIT ?3",
    )?;
    let mut epochs = db.prepare_cached(
        "SELECT split, value FROM metrics WHERE stage_key = ?1 AND name = ?2 AND split GLOB 'epoch/*'",
    )?;
    let mut curves = Vec::new();
    for kind in &KINDS {
        let rows = trained.query_map((kind.stage, sweep, SHOWN as i64), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        for row in rows {
            let (key, params) = row?;
            let params: Params = serde_json::from_str(&params).unwrap_or_default();
            let values = epochs.query_map((&key, kind.metric), |row| {
                let split: String = row.get(0)?;
                Ok((split.split_once('/').and_then(|(_, n)| n.parse().ok()), row.get(1)?))
            })?;
            let points: BTreeMap<u64, f64> = values
                .filter_map(|row| row.map(|(n, value)| Some((n?, value))).transpose())
                .collect::<rusqlite::Result<_>>()?;
            if !points.is_empty() {
                let (kind, setting) = (kind.stage.to_owned(), setting(&params));
                curves.push(Curve { kind, key, setting, running: false, points });
            }
        }
    }
    Ok(curves)
}

/// What was seen of the trainings that run, by attempt.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<i64, Curve>);

impl Seen {
    /// Takes note of how far running attempts are, and forgets those that run no more.
    pub fn look(&mut self, running: &[AttemptRow]) {
        self.0.retain(|id, _| running.iter().any(|attempt| attempt.attempt == *id));
        for attempt in running {
            let Some((epoch, value)) = point(attempt) else { continue };
            let curve = self.0.entry(attempt.attempt).or_insert_with(|| Curve {
                kind: attempt.kind.clone(),
                key: attempt.stage_key.clone(),
                setting: setting(&attempt.params),
                running: true,
                points: BTreeMap::new(),
            });
            curve.points.insert(epoch, value);
        }
    }

    pub fn curves(&self) -> impl Iterator<Item = &Curve> {
        self.0.values()
    }
}

/// The epoch that a training was at when it was last heard of, and its value then.
fn point(attempt: &AttemptRow) -> Option<(u64, f64)> {
    let kind = KINDS.iter().find(|kind| kind.stage == attempt.kind)?;
    let said = attempt.progress_note.as_deref()?.strip_prefix(kind.quantity)?.trim_start();
    let value: f64 = said.split([',', ' ']).next()?.parse().ok()?;
    let epoch = u64::try_from(attempt.progress_done?).ok()?;
    value.is_finite().then_some((epoch, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(id: i64, kind: &str, done: i64, note: &str) -> AttemptRow {
        AttemptRow {
            attempt: id,
            kind: kind.to_owned(),
            stage_key: "k".to_owned(),
            params: serde_json::from_str(r#"{"seed": 3}"#).unwrap(),
            state: "running".to_owned(),
            slot: Some(0),
            worker: "host/1/cpu".to_owned(),
            job: None,
            ended: None,
            seconds: 1.0,
            progress_done: Some(done),
            progress_total: Some(50),
            progress_note: Some(note.to_owned()),
            exit_status: None,
            signal: None,
            error: None,
            log_tail: None,
            log_path: None,
        }
    }

    #[test]
    fn what_running_trainings_say_becomes_their_curves() {
        let mut seen = Seen::default();
        seen.look(&[
            attempt(1, "agent", 1, "reward 0.1250, 900 episodes/s"),
            attempt(2, "detector", 4, "validation loss 0.5000"),
            attempt(3, "rollout", 7, "80 users/s"),
            attempt(4, "embedding", 8, "goes on from epoch 9"),
            attempt(5, "embedding", 8, "loss NaN"),
        ]);
        seen.look(&[
            attempt(1, "agent", 3, "reward 0.2500, 900 episodes/s"),
            attempt(6, "embedding", 2, "loss 7.5"),
        ]);
        let found: Vec<_> =
            seen.curves().map(|curve| (&*curve.kind, curve.points.clone())).collect();
        assert_eq!(
            found,
            [("agent", [(1, 0.125), (3, 0.25)].into()), ("embedding", [(2, 7.5)].into())]
        );
        assert_eq!(seen.curves().next().unwrap().setting, "seed 3");
    }
}
