//! Projections of comparisons.

use super::{Batch, DatabaseError, database::json};
use crate::plan::{Cloud, Projection, StageKey};
use rusqlite::params;

impl Batch<'_> {
    /// Replaces the projection of a stage; of one without, there is none afterwards.
    ///
    /// # Errors
    /// If a number is NaN or infinite, or the database cannot be written.
    pub fn write_projection(
        &self,
        key: &StageKey,
        projection: Option<&Projection>,
    ) -> Result<(), DatabaseError> {
        self.transaction
            .prepare_cached("DELETE FROM projections WHERE stage_key = ?1")?
            .execute([key.as_str()])?;
        let Some(projection) = projection else { return Ok(()) };
        let numbers = [&projection.rollout, &projection.other].map(|cloud| cloud.points.iter());
        let numbers = numbers.into_iter().flatten().chain([&projection.shares]).flatten();
        if let Some(value) = numbers.copied().find(|v| !v.is_finite()) {
            let (name, split) = ("projection".to_owned(), "all".to_owned());
            return Err(DatabaseError::NotFinite {
                key: key.short().to_owned(),
                name,
                split,
                value,
            });
        }
        let [first, second] = projection.shares;
        let sequences = |cloud: &Cloud| i64::try_from(cloud.sequences).unwrap_or(i64::MAX);
        let points = |cloud: &Cloud| json(&cloud.points);
        self.transaction
            .prepare_cached(
                "INSERT INTO projections (stage_key, share_1, share_2, rollout_sequences,
                     other_sequences, rollout_points, other_points)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                key.as_str(),
                first,
                second,
                sequences(&projection.rollout),
                sequences(&projection.other),
                points(&projection.rollout)?,
                points(&projection.other)?
            ])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Stage, StageKind};
    use crate::store::{Database, GridRow, Manifest};
    use serde_json::Map;

    fn projection(x: f64) -> Projection {
        let cloud = |sequences, points| Cloud { sequences, points };
        let (rollout, other) = (cloud(9, vec![[x, 0.25]]), cloud(8, vec![[-1.0, 2.0], [0.0, 1.5]]));
        Projection { shares: [0.5, 0.125], rollout, other }
    }

    /// A database that knows one comparison.
    fn database() -> (tempfile::TempDir, Database, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        let mut db = Database::open(&folder.path().join("db")).unwrap();
        let stage = Stage::new(StageKind::Drift, Map::new(), Vec::new());
        let key = stage.key();
        let planned = crate::plan::PlannedStage {
            stage: stage.clone(),
            key: key.clone(),
            needs: vec![],
            cells: 0,
        };
        let plan = crate::plan::Plan { stages: vec![planned], cells: vec![] };
        let text = || "g".to_owned();
        let row = GridRow { name: text(), digest: text(), text: text(), path: text() };
        db.record_grid(&row, &plan).unwrap();
        let manifest = Manifest {
            key,
            stage,
            version: 2,
            files: vec![],
            metrics: vec![],
            projection: Some(projection(1.5)),
            provenance: Map::new(),
        };
        (folder, db, manifest)
    }

    fn rows(db: &Database) -> Vec<String> {
        let sql =
            "SELECT share_1 || ' ' || share_2 || ' ' || rollout_sequences || ' ' || other_sequences
                || ' ' || rollout_points || ' ' || other_points FROM projections";
        let mut statement = db.connection().prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_artefact_made_again_replaces_its_projection() {
        let (_folder, mut db, mut manifest) = database();
        let record = |db: &mut Database, manifest: &Manifest| {
            db.batch(|batch| batch.record_artefact(manifest)).unwrap();
        };
        record(&mut db, &manifest);
        let first = ["0.5 0.125 9 8 [[1.5,0.25]] [[-1.0,2.0],[0.0,1.5]]"];
        assert_eq!(rows(&db), first);
        // What the manifest says on disk is enough to say it again.
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
        record(&mut db, &manifest);
        assert_eq!(rows(&db), first);
        let pending = |db: &mut Database, manifest: &Manifest| {
            let pending = crate::store::StageState::Pending;
            db.batch(|batch| batch.set_stage_state(&manifest.key, pending)).unwrap();
        };
        pending(&mut db, &manifest);
        manifest.projection = Some(projection(7.0));
        record(&mut db, &manifest);
        assert_eq!(rows(&db), ["0.5 0.125 9 8 [[7.0,0.25]] [[-1.0,2.0],[0.0,1.5]]"]);
        pending(&mut db, &manifest);
        manifest.projection = None;
        record(&mut db, &manifest);
        assert_eq!(rows(&db), [] as [&str; 0]);
    }

    #[test]
    fn numbers_that_json_has_not_are_refused() {
        let (_folder, mut db, mut manifest) = database();
        manifest.projection = Some(projection(f64::NAN));
        assert!(db.batch(|batch| batch.record_artefact(&manifest)).is_err());
        assert_eq!(rows(&db), [] as [&str; 0]);
    }
}
