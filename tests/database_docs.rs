//! The documentation of the database against the database: docs/schema.md, which is written from the
//! migrations, docs/views.md, and docs/example.py.

mod lab;
mod swept;

use advrec::plan::{Metric, StageKind};
use advrec::store::{Column, Database, Relation};
use lab::Lab;
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn relations() -> Vec<Relation> {
    let lab = Lab::new();
    Database::open(&lab.path("empty.db")).unwrap().relations().unwrap()
}

/// What the migrations say in comments: of tables and views by name, of columns by `table.column`.
#[derive(Default)]
struct Comments(HashMap<String, String>);

impl Comments {
    /// Those of all migrations; a later one that makes a view again speaks of it as it is.
    fn read() -> Self {
        let mut files: Vec<PathBuf> =
            fs::read_dir(root("migrations")).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        let mut comments = Self::default();
        files.iter().for_each(|file| comments.add(&fs::read_to_string(file).unwrap()));
        comments
    }

    fn add(&mut self, sql: &str) {
        // The lines of comments above, and the table whose columns are being told.
        let (mut above, mut table) = (String::new(), None);
        for line in sql.lines() {
            let text = line.trim();
            if let Some(comment) = text.strip_prefix("--") {
                // "`name`: what it is;" is an item of a list, whose last ends with a full stop.
                let named = comment.starts_with(" `") && comment.contains("`: ");
                above.push_str(match above.chars().last() {
                    Some(':' | ';') if named => "\n- ",
                    Some('.') if above.contains("\n- ") && !above.contains("\n\n") => "\n\n",
                    _ => " ",
                });
                above.push_str(comment.trim());
                continue;
            }
            let words: Vec<&str> = text.split_whitespace().collect();
            let said = text.split_once("-- ").map(|(_, said)| said);
            match words[..] {
                ["CREATE", "TABLE" | "VIEW", name, ..] => {
                    self.0.insert(name.to_owned(), above.trim().to_owned());
                    table = (words[1] == "TABLE" && !text.ends_with(';')).then_some(name);
                }
                ["ALTER", "TABLE", table, "ADD", "COLUMN", name, ..] => {
                    if let Some(said) = said {
                        self.0.insert(format!("{table}.{name}"), said.to_owned());
                    }
                }
                [name, ..] if name.starts_with(|c: char| c.is_ascii_lowercase()) => {
                    if let Some(table) = table {
                        let all = [above.trim(), said.unwrap_or("")].join(" ");
                        self.0.insert(format!("{table}.{name}"), all.trim().to_owned());
                    }
                }
                _ => {}
            }
            if text.starts_with(')') {
                table = None;
            }
            above.clear();
        }
    }

    fn of(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// docs/schema.md.
fn schema() -> String {
    let comments = Comments::read();
    let lab = Lab::new();
    let db = Database::open(&lab.path("empty.db")).unwrap();
    let mut text = "\
# The database's tables and views

Written from the database and the comments of `migrations/*.sql`; a test holds it against them, and
`UPDATE=1 cargo test --test database_docs` writes it anew. Names and columns stay; later versions only add. What
the views' columns mean is in [views.md](views.md). Times are UTC text such as `2026-01-31T12:00:00.000Z`;
durations are seconds; a column that may be NULL says so by the absence of `NOT NULL`.
"
    .to_owned();
    let all = db.relations().unwrap();
    let (views, tables): (Vec<_>, Vec<_>) = all.into_iter().partition(|relation| relation.view);
    for (title, relations) in [("Tables", tables), ("Views", views)] {
        let _ = write!(text, "\n## {title}\n");
        for relation in relations {
            let name = &relation.name;
            let _ = write!(text, "\n### `{name}`\n\n");
            let said = comments.of(name);
            if !said.is_empty() {
                let _ = write!(text, "{said}\n\n");
            }
            if relation.view {
                let columns: Vec<String> =
                    relation.columns.iter().map(|c| format!("`{}`", c.name)).collect();
                let _ = writeln!(text, "Columns: {}.", columns.join(", "));
            } else {
                text.push_str("| column | type | |\n|---|---|---|\n");
                for column in &relation.columns {
                    let kind = kind(&db, name, column);
                    let said = comments.of(&format!("{name}.{}", column.name)).replace('|', "\\|");
                    let _ = writeln!(text, "| `{}` | {kind} | {said} |", column.name);
                }
            }
        }
    }
    text
}

/// The type of a table's column, whether it may be NULL, and what it is the key of.
fn kind(db: &Database, table: &str, column: &Column) -> String {
    let ask = |sql: &str| -> Option<String> {
        let row = |row: &rusqlite::Row| row.get(0);
        db.connection().query_row(sql, [table, &column.name], row).ok()
    };
    let facts = [
        ask("SELECT 'NOT NULL' FROM pragma_table_info(?) WHERE name = ? AND \"notnull\""),
        ask("SELECT 'primary key' FROM pragma_table_info(?) WHERE name = ? AND pk"),
        ask("SELECT 'of `' || \"table\" || '`' FROM pragma_foreign_key_list(?) WHERE \"from\" = ?"),
    ];
    let facts = facts.into_iter().flatten();
    [column.declared.clone()].into_iter().chain(facts).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_documented_schema_is_the_databases() {
    let (path, text) = (root("docs/schema.md"), schema());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(
        fs::read_to_string(path).is_ok_and(|published| published == text),
        "docs/schema.md is not what the migrations say: UPDATE=1 cargo test --test database_docs"
    );
}

#[test]
fn every_view_and_each_of_its_columns_is_documented() {
    let text = fs::read_to_string(root("docs/views.md")).unwrap();
    let mut missing = Vec::new();
    for view in relations().into_iter().filter(|relation| relation.view) {
        let named = format!("`{}`", view.name);
        let sections = text.split("\n## ");
        let section: String = sections
            .filter(|section| section.lines().next().is_some_and(|title| title.contains(&named)))
            .collect();
        if section.is_empty() {
            missing.push(view.name);
            continue;
        }
        for column in view.columns {
            if !section.contains(&format!("`{}`", column.name)) {
                missing.push(format!("{}.{}", view.name, column.name));
            }
        }
    }
    assert!(missing.is_empty(), "docs/views.md has no word of {}", missing.join(", "));
}

const GRID: &str = "\
name: small
dataset: embedded
seeds: 2
axes:
  attack: [none, {id: fgsm_linf, epsilon: 0.5}]
";

#[test]
fn the_example_in_python_runs_on_a_small_database() {
    let asked = Command::new("python3")
        .args(["-c", "import sqlite3, sys; sys.exit(sqlite3.sqlite_version_info < (3, 38))"])
        .status();
    match asked {
        Err(_) => return eprintln!("skipped: there is no python3"),
        Ok(status) if !status.success() => {
            return eprintln!("skipped: python3 has no SQLite, or one before 3.38");
        }
        Ok(_) => {}
    }
    let lab = Lab::new();
    let provenance = json!({"version": "0.1.0", "git_commit": "abc"});
    swept::sweep(&lab.path(""), GRID, |stage| {
        let ndcg = Metric::new("ndcg", "valid", 5.0, 9);
        let metrics = if stage.kind == StageKind::Ranking { vec![ndcg] } else { Vec::new() };
        (metrics, provenance.as_object().unwrap().clone())
    });
    let differ = "UPDATE metrics SET value = (
        SELECT 5 - 3 * (json_extract(params, '$.attack') <> 'none') + json_extract(params, '$.seed') / 4.0
        FROM cell_results WHERE ranking = stage_key)";
    let db = Database::open(&lab.path("advrec.db")).unwrap();
    assert_eq!(db.connection().execute(differ, []).unwrap(), 4);
    drop(db);
    let output = Command::new("python3")
        .arg(root("docs/example.py"))
        .arg(lab.path("advrec.db"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    // What follows depends on which libraries this Python has.
    let alone = printed.split("pandas is not").next().unwrap().split("metric ").next().unwrap();
    insta::assert_snapshot!(alone, @r"
    attack        epsilon    NDCG   95 % interval  seeds
    none                     5.38    3.79 to 6.96      2
    fgsm_linf         0.5    2.38    0.79 to 3.96      2
    hidden layers [512, 256]: 2 rows of Table 1
    fgsm_linf with seed 1: 2.25
    fgsm_linf with seed 2: 2.50
    none with seed 1: 5.25
    none with seed 2: 5.50
    15 stages by advrec 0.1.0 of commit abc
    ");
}
