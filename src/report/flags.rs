//! Flags: reasons not to take a number at face value, from the view `flags`.

use super::database::{self, ReportError, failed};
use super::table1::{Block, Table1};
use rusqlite::Connection;
use serde::Serialize;

/// The view's flags, and what each says.
const FLAGS: [(&str, &str); 5] = [
    ("randomised_victim", "the agent draws dropout at evaluation: its answers are random"),
    ("zero_gradients", "at more than 1 % of the attacked time steps a gradient was zero"),
    ("off_budget", "a perturbation is longer than the attack's budget"),
    (
        "users_changed",
        "the number of users without a full list differs from the clean agent's by more than 1 % of \
         the users: `valid` is over other users, read \"all\"",
    ),
    ("weaker_than_noise", "NDCG over all users is not below that of noise of the same length"),
];

/// A flag of a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flag {
    pub flag: String,
    /// Seeds that have it.
    pub seeds: u64,
    /// Mean over these of the value that raised it, and of what it is held against.
    pub value: f64,
    pub reference: f64,
}

impl Flag {
    /// The flag's number in footnotes, from 1.
    pub(super) fn number(&self) -> usize {
        let place = FLAGS.iter().position(|(name, _)| *name == self.flag);
        1 + place.unwrap_or(FLAGS.len())
    }
}

/// Adds flags to the rows that they belong to.
pub(super) fn read(
    db: &Connection,
    grid: Option<&str>,
    blocks: &mut [Block],
) -> Result<(), ReportError> {
    let what = "the view `flags`";
    let sql = "SELECT grid, flag, parameters, count(*), avg(value), avg(reference) FROM flags
        WHERE ?1 IS NULL OR grid = ?1 GROUP BY grid, parameters, flag ORDER BY flag";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    let index = database::index(blocks);
    while let Some(row) = rows.next().map_err(failed(what))? {
        let mut add = || -> rusqlite::Result<()> {
            let (grid, parameters): (String, String) = (row.get(0)?, row.get(2)?);
            let parameters = serde_json::from_str(&parameters).unwrap_or_default();
            let flag = Flag {
                flag: row.get(1)?,
                seeds: row.get::<_, i64>(3)?.unsigned_abs(),
                value: row.get(4)?,
                reference: row.get(5)?,
            };
            if let Some(&(block, row)) = index.get(&database::identity(&grid, &parameters)) {
                blocks[block].rows[row].flags.push(flag);
            }
            Ok(())
        };
        add().map_err(failed(what))?;
    }
    Ok(())
}

impl Table1 {
    /// What the numbers beside the rows say.
    pub(super) fn flag_notes(&self) -> Vec<String> {
        let rows = || self.blocks.iter().flat_map(|b| &b.rows);
        let notes = FLAGS.iter().enumerate().filter_map(|(i, (name, text))| {
            let flagged = rows().filter(|r| r.flags.iter().any(|f| f.flag == *name)).count();
            (flagged > 0).then(|| format!("[{}] {text}.", i + 1))
        });
        notes.collect()
    }
}
