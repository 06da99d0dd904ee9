//! What the page knows of the sweep at a moment.

use super::LiveError;
use super::curves::{self, Curve};
use crate::store::{Database, SweepStatus};
use rusqlite::Connection;
use std::sync::Arc;

/// Largest memory is looked for among so many attempts, the latest.
const WINDOW: i64 = 20_000;

/// The sweep that runs or was the last to, and which results there are.
#[derive(Debug)]
pub struct Moment {
    pub sweep: Option<SweepStatus>,
    /// Changes when a report would.
    pub results: String,
    /// Of the sweep's trainings that are done.
    pub curves: Arc<Vec<Curve>>,
    /// The largest memory of a worker during one of the sweep's stages.
    pub peak_mib: Option<f64>,
}

impl Moment {
    /// Reads it; what only new results change is taken from the moment before.
    pub fn read(db: &Database, before: Option<&Self>) -> Result<Self, LiveError> {
        let sweep = db.last_sweep()?;
        let results = results(db.connection())?;
        let id = sweep.as_ref().map(|sweep| sweep.id);
        let known = before.filter(|before| {
            before.results == results && before.sweep.as_ref().map(|sweep| sweep.id) == id
        });
        let (curves, peak_mib) = match (known, id) {
            (Some(before), _) => (before.curves.clone(), before.peak_mib),
            (None, None) => Default::default(),
            (None, Some(id)) => {
                (Arc::new(curves::done(db.connection(), id)?), peak(db.connection(), id)?)
            }
        };
        Ok(Self { sweep, results, curves, peak_mib })
    }
}

/// A text that changes when stages, grids or datasets come to be in the database or become something else
/// there: all that a report is made from. It takes a look into indexes, and none at the results.
pub fn results(db: &Connection) -> rusqlite::Result<String> {
    db.prepare_cached(
        "SELECT concat_ws('; ',
             (SELECT group_concat(n || ' ' || state, ', ') FROM (
                 SELECT state, count(*) AS n FROM stages GROUP BY state)),
             (SELECT max(id) FROM attempts WHERE state <> 'running'),
             (SELECT count(*) FROM grids), (SELECT max(swept) FROM grids),
             (SELECT count(*) FROM datasets))",
    )?
    .query_row([], |row| row.get(0))
}

fn peak(db: &Connection, sweep: i64) -> rusqlite::Result<Option<f64>> {
    db.prepare_cached(
        "SELECT max(peak_mib) FROM attempts
         WHERE id > (SELECT max(id) FROM attempts) - ?1 AND sweep_id = ?2",
    )?
    .query_row((WINDOW, sweep), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sweeps: of the first one agent, of the second two, one of them twice, and an embedding that runs.
    const SWEPT: &str = r#"
        INSERT INTO sweeps (id, process, host, launcher, slots, arguments, version, git_commit, git_dirty)
        VALUES (1, 1, 'h', 'local', 1, '[]', '', '', 0), (2, 1, 'h', 'local', 1, '[]', '', '', 0);
        INSERT INTO stages (key, kind, version, params, state) VALUES
            ('a1', 'agent', 1, '{"seed": 1}', 'done'), ('a2', 'agent', 1, '{"seed": 2}', 'done'),
            ('a3', 'agent', 1, '{"seed": 3}', 'done'), ('e', 'embedding', 1, '{}', 'running');
        INSERT INTO attempts (id, stage_key, worker, state, sweep_id, peak_mib) VALUES
            (1, 'a1', 'w', 'done', 1, 900.0), (2, 'a3', 'w', 'done', 2, 100.0),
            (3, 'a2', 'w', 'done', 2, 300.0), (4, 'a3', 'w', 'done', 2, 200.0),
            (5, 'e', 'w', 'running', 2, NULL);
        INSERT INTO metrics (stage_key, name, split, value, n)
        SELECT key, 'train_reward', 'epoch/' || epoch, epoch / 8.0, 1
        FROM stages, (SELECT 1 AS epoch UNION SELECT 2 UNION SELECT 10) WHERE kind = 'agent';
        INSERT INTO metrics (stage_key, name, split, value, n) VALUES ('a2', 'train_reward', 'all', 7.0, 1);
    "#;

    #[test]
    fn the_last_sweep_is_read_and_what_did_not_change_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("a.db")).unwrap();
        let empty = Moment::read(&db, None).unwrap();
        assert!(empty.sweep.is_none() && empty.curves.is_empty() && empty.peak_mib.is_none());
        db.connection().execute_batch(SWEPT).unwrap();
        let moment = Moment::read(&db, Some(&empty)).unwrap();
        assert_ne!(moment.results, empty.results);
        assert_eq!(moment.peak_mib, Some(300.0));
        let curves: Vec<_> =
            moment.curves.iter().map(|curve| (&*curve.key, &*curve.setting)).collect();
        assert_eq!(curves, [("a3", "seed 3"), ("a2", "seed 2")]);
        assert_eq!(moment.curves[0].points, [(1, 0.125), (2, 0.25), (10, 1.25)].into());
        let again = Moment::read(&db, Some(&moment)).unwrap();
        assert!(Arc::ptr_eq(&again.curves, &moment.curves));
    }

    #[test]
    fn results_change_with_stages_attempts_and_grids() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("a.db")).unwrap();
        db.connection().execute_batch(SWEPT).unwrap();
        let mut before = results(db.connection()).unwrap();
        let mut changes = |sql: &str| {
            db.connection().execute_batch(sql).unwrap();
            let now = results(db.connection()).unwrap();
            std::mem::replace(&mut before, now.clone()) != now
        };
        assert!(!changes("UPDATE sweeps SET run = 3"));
        assert!(!changes("UPDATE attempts SET progress_done = 5 WHERE state = 'running'"));
        assert!(changes("UPDATE attempts SET state = 'failed' WHERE id = 5"));
        assert!(changes("UPDATE stages SET state = 'failed' WHERE key = 'e'"));
        assert!(changes("UPDATE stages SET state = 'done' WHERE key = 'e'"));
        let grid = "INSERT INTO grids (name, digest, yaml, path) VALUES ('g', 'd', '', 'g.yaml')";
        assert!(changes(grid));
        assert!(changes("UPDATE grids SET swept = '2026-01-31T12:00:00.000Z'"));
    }
}
