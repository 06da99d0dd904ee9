//! Grids with their cells and stages.

use super::{Batch, Database, DatabaseError, database::json};
use crate::plan::{Cell, Plan, PlannedStage};
use rusqlite::{OptionalExtension, params};

/// A grid as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GridRow {
    pub name: String,
    /// Tells grids apart: one row of the table `grids` each.
    pub digest: String,
    pub text: String,
    pub path: String,
}

/// A row of the table `grids`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridId(pub(super) i64);

impl Database {
    /// Records the stages of a plan that no grid asks for. Those that are there keep their states; new
    /// ones are pending.
    ///
    /// # Errors
    /// If the database cannot be written; it is then as it was.
    pub fn record_stages(&mut self, plan: &Plan) -> Result<(), DatabaseError> {
        self.batch(|batch| plan.stages.iter().try_for_each(|stage| batch.insert_stage(stage)))
    }

    /// Records a grid with its cells and stages, and that it is swept now. A grid that is already
    /// there keeps its row, and cells that have not changed keep theirs (they change when a dataset
    /// is imported again under its name). Stages keep their states; new ones are pending.
    ///
    /// # Errors
    /// If the database cannot be written; it is then as it was.
    pub fn record_grid(&mut self, grid: &GridRow, plan: &Plan) -> Result<GridId, DatabaseError> {
        self.batch(|batch| {
            for stage in &plan.stages {
                batch.insert_stage(stage)?;
            }
            let id = batch.transaction.query_row(
                "INSERT INTO grids (name, digest, yaml, path) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (digest) DO UPDATE SET path = ?4,
                     swept = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                 RETURNING id",
                params![grid.name, grid.digest, grid.text, grid.path],
                |row| row.get(0),
            )?;
            for (ordinal, cell) in plan.cells.iter().enumerate() {
                batch.write_cell(id, ordinal, cell, &plan.stages)?;
            }
            batch.transaction.execute(
                "DELETE FROM cells WHERE grid_id = ?1 AND ordinal >= ?2",
                params![id, plan.cells.len() as i64],
            )?;
            Ok(GridId(id))
        })
    }
}

impl Database {
    /// The grid with this name, or with any, that was swept last.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_grid(&self, name: Option<&str>) -> Result<Option<GridRow>, DatabaseError> {
        let row = self.connection.query_row(
            "SELECT name, digest, yaml, path FROM grids WHERE ?1 IS NULL OR name = ?1
             ORDER BY swept DESC, id DESC LIMIT 1",
            [name],
            |row| {
                let (name, digest) = (row.get("name")?, row.get("digest")?);
                Ok(GridRow { name, digest, text: row.get("yaml")?, path: row.get("path")? })
            },
        );
        Ok(row.optional()?)
    }

    /// Names of all grids, sorted.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn grid_names(&self) -> Result<Vec<String>, DatabaseError> {
        let mut statement =
            self.connection.prepare_cached("SELECT DISTINCT name FROM grids ORDER BY name")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }
}

impl Batch<'_> {
    fn insert_stage(&self, planned: &PlannedStage) -> Result<(), DatabaseError> {
        let stage = &planned.stage;
        let new = self
            .transaction
            .prepare_cached(
                "INSERT INTO stages (key, kind, version, params) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO NOTHING",
            )?
            .execute(params![
                planned.key.as_str(),
                stage.kind.name(),
                stage.kind.version(),
                json(&stage.params)?
            ])?;
        if new == 0 {
            return Ok(());
        }
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO stage_inputs (stage_key, role, input_key) VALUES (?1, ?2, ?3)",
        )?;
        for input in &stage.inputs {
            insert.execute(params![planned.key.as_str(), input.role, input.key.as_str()])?;
        }
        Ok(())
    }

    fn write_cell(
        &self,
        grid: i64,
        ordinal: usize,
        cell: &Cell,
        stages: &[PlannedStage],
    ) -> Result<(), DatabaseError> {
        let id: i64 = self
            .transaction
            .prepare_cached(
                "INSERT INTO cells (grid_id, ordinal, params, axes) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (grid_id, ordinal) DO UPDATE SET params = ?3, axes = ?4
                 RETURNING id",
            )?
            .query_row(
                params![grid, ordinal as i64, json(&cell.params)?, json(&cell.axes)?],
                |row| row.get(0),
            )?;
        self.transaction
            .prepare_cached("DELETE FROM cell_stages WHERE cell_id = ?1")?
            .execute([id])?;
        let mut insert = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO cell_stages (cell_id, stage_key) VALUES (?1, ?2)",
        )?;
        for stage in cell.stages.iter().filter_map(|&index| stages.get(index)) {
            insert.execute(params![id, stage.key.as_str()])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Stage, StageInput, StageKind};
    use serde_json::{Map, Value, json};

    /// A plan whose cells each have one rollout and one ranking.
    fn plan(seeds: &[u64]) -> Plan {
        let mut plan = Plan::default();
        for &seed in seeds {
            let params = |value: Value| match value {
                Value::Object(map) => map,
                _ => Map::new(),
            };
            let rollout = Stage::new(StageKind::Rollout, params(json!({"seed": seed})), Vec::new());
            let input = StageInput { role: "rollout".to_owned(), key: rollout.key() };
            let ranking = Stage::new(StageKind::Ranking, Map::new(), vec![input]);
            let first = plan.stages.len();
            for (stage, needs) in [(rollout, Vec::new()), (ranking, vec![first])] {
                let key = stage.key();
                plan.stages.push(PlannedStage { stage, key, needs, cells: 1 });
            }
            plan.cells.push(Cell {
                params: params(json!({"dataset": "d", "attack": "none", "seed": seed,
                    "agent.algorithm": "actor_critic", "rollout.users": "all"}))
                .into(),
                axes: vec!["seed".to_owned()],
                stages: vec![first + 1, first],
            });
        }
        plan
    }

    fn grid(digest: &str) -> GridRow {
        GridRow {
            name: "g".to_owned(),
            digest: digest.to_owned(),
            text: "name: g".to_owned(),
            path: "g.yaml".to_owned(),
        }
    }

    fn dump(db: &Database, sql: &str) -> String {
        let rows = db.rows(sql).unwrap();
        let line = |row: &Vec<rusqlite::types::Value>| format!("{row:?}\n");
        rows.rows.iter().map(line).collect()
    }

    #[test]
    fn recording_twice_changes_nothing_and_a_shorter_grid_loses_its_last_cells() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Database::open(&dir.path().join("a.db")).unwrap();
        let all = "SELECT c.id, c.ordinal, c.params, s.stage_key, t.state FROM cells c
                   JOIN cell_stages s ON s.cell_id = c.id JOIN stages t ON t.key = s.stage_key
                   ORDER BY 1, 4";
        let id = db.record_grid(&grid("1"), &plan(&[1, 2, 3])).unwrap();
        let before = dump(&db, all);
        assert_eq!(before.lines().count(), 6);
        assert_eq!(db.record_grid(&grid("1"), &plan(&[1, 2, 3])).unwrap(), id);
        assert_eq!(dump(&db, all), before);
        db.record_grid(&grid("1"), &plan(&[1, 2])).unwrap();
        assert_eq!(dump(&db, all).lines().count(), 4);
        assert_ne!(db.record_grid(&grid("2"), &plan(&[1])).unwrap(), id);
    }

    #[test]
    fn stages_of_no_grid_are_recorded_and_no_grid_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Database::open(&dir.path().join("a.db")).unwrap();
        db.record_stages(&plan(&[1])).unwrap();
        assert!(db.grids(None).unwrap().is_empty());
        let stages = db.rows("SELECT DISTINCT state FROM stages").unwrap();
        assert_eq!(stages.rows, [[rusqlite::types::Value::Text("pending".to_owned())]]);
    }

    #[test]
    fn table1_is_the_mean_and_the_t_interval_of_the_latest_grid() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Database::open(&dir.path().join("a.db")).unwrap();
        let metric = crate::plan::Metric::new;
        for (digest, seeds) in [("old", vec![1, 2, 3, 4]), ("new", vec![1, 2, 3])] {
            let plan = plan(&seeds);
            db.record_grid(&grid(digest), &plan).unwrap();
            db.batch(|batch| {
                for (i, pair) in plan.stages.chunks(2).enumerate() {
                    let value = [5.0, 6.0, 8.5, 100.0][i];
                    batch.write_metrics(&pair[1].key, &[metric("ndcg", "valid", value, 9)])?;
                    batch.write_metrics(
                        &pair[0].key,
                        &[metric("realised_frequency", "all", 0.25, 9)],
                    )?;
                    for stage in pair {
                        batch.set_stage_state(&stage.key, crate::store::StageState::Done)?;
                    }
                }
                Ok(())
            })
            .unwrap();
            // `swept` has milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let columns = "grid, dataset, agent, attack, users, realised_frequency, split, metric, n";
        let rows = db.rows(&format!("SELECT {columns}, value, lower, upper FROM table1")).unwrap();
        assert_eq!(rows.rows.len(), 1);
        let text = format!("{:?}", &rows.rows[0][..9]);
        insta::assert_snapshot!(text, @r#"[Text("g"), Text("d"), Text("actor_critic"), Text("none"), Text("all"), Real(0.25), Text("valid"), Text("ndcg"), Integer(3)]"#);
        // Mean and t interval of 5, 6, 8.5: s = √3.25, t(2) = 4.302653.
        let half = 4.302_653 * 3.25f64.sqrt() / 3f64.sqrt();
        for (value, expected) in rows.rows[0][9..].iter().zip([6.5, 6.5 - half, 6.5 + half]) {
            let rusqlite::types::Value::Real(value) = value else { panic!("{value:?}") };
            assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
        }
        let infinite = db.batch(|batch| {
            batch.write_metrics(&plan(&[1]).stages[0].key, &[metric("loss", "all", f64::NAN, 1)])
        });
        let message = infinite.unwrap_err().to_string();
        assert!(message.contains("loss/all") && message.contains("NaN"), "{message}");
    }
}
