//! Databases of every schema that a program of this project has written: each is read as it is, and brought up
//! to date by the first command that writes, with every row that it had. tests/schemas has them.

mod program;

use flate2::read::GzDecoder;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// How many grids each database has.
const GRIDS: i64 = 3;

/// A command that writes, whose dataset none of the rows of before is of.
const WRITES: &[&str] =
    &["data", "synth", "--name", "other", "--users", "24", "--products", "30", "--topics", "4"];

/// The number of files in migrations/: the schema that this program writes.
fn current() -> i64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let numbers = fs::read_dir(folder).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name[..4].parse::<i64>().unwrap()
    });
    numbers.max().unwrap()
}

/// The first table or view that the last migration makes and that a database does not have.
fn made_last(db: &Connection) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sql = fs::read_to_string(files.max().unwrap()).unwrap();
    let known = [names(db, "table"), names(db, "view")].concat();
    let made = sql.lines().filter_map(|line| {
        let line = line.strip_prefix("CREATE TABLE ").or(line.strip_prefix("CREATE VIEW "))?;
        line.split(' ').next()
    });
    made.map(str::to_owned).find(|name| !known.contains(name)).unwrap()
}

fn file(version: i64) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    folder.join(format!("schema_{version}.sql.gz"))
}

/// A folder with the database of a schema version, as its program left it.
fn lab(version: i64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let packed = fs::File::open(file(version)).unwrap();
    let mut sql = String::new();
    GzDecoder::new(packed).read_to_string(&mut sql).unwrap();
    let db = Connection::open(folder.path().join("advrec.db")).unwrap();
    db.execute_batch(&sql).unwrap();
    // As every version left it on a local disk.
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    folder
}

fn run(folder: &TempDir, args: &[&str]) -> (i32, String, String) {
    let program = assert_cmd::cargo::cargo_bin!("advrec");
    program::run(program, folder.path(), args)
}

fn told(folder: &TempDir, args: &[&str]) -> String {
    let (code, stdout, stderr) = run(folder, args);
    assert_eq!(code, 0, "{args:?}: {stderr}");
    stdout
}

fn open(folder: &TempDir) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Connection::open_with_flags(folder.path().join("advrec.db"), flags).unwrap()
}

fn bytes(folder: &TempDir) -> Vec<u8> {
    fs::read(folder.path().join("advrec.db")).unwrap()
}

fn version(db: &Connection) -> i64 {
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn names(db: &Connection, kind: &str) -> Vec<String> {
    let sql =
        "SELECT name FROM sqlite_schema WHERE type = ?1 AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([kind], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn columns(db: &Connection, name: &str) -> Vec<String> {
    let statement = db.prepare(&format!("SELECT * FROM {name}")).unwrap();
    statement.column_names().into_iter().map(str::to_owned).collect()
}

/// Rows of some columns, in one order. Numbers that are sums over rows may differ in their last digits, as rows
/// are summed in another order.
fn rows(db: &Connection, name: &str, columns: &[String]) -> Vec<String> {
    let list: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let mut statement = db.prepare(&format!("SELECT {} FROM {name}", list.join(", "))).unwrap();
    let text = |value: Value| match value {
        Value::Real(number) => format!("{number:.9e}"),
        other => format!("{other:?}"),
    };
    let rows = statement.query_map([], |row| {
        (0..columns.len()).map(|at| row.get(at).map(text)).collect::<Result<Vec<_>, _>>()
    });
    let mut rows: Vec<String> = rows.unwrap().map(|row| row.unwrap().join(" | ")).collect();
    rows.sort();
    rows
}

/// The rows of all relations of a kind, with the columns that there were.
fn contents(db: &Connection, kind: &str) -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let of = |name: String| {
        let columns = columns(db, &name);
        let rows = rows(db, &name, &columns);
        (name, (columns, rows))
    };
    names(db, kind).into_iter().map(of).collect()
}

#[test]
fn every_earlier_schema_has_a_database_with_rows_in_every_table() {
    assert!(current() >= 5);
    for version in 1..current() {
        assert!(
            file(version).is_file(),
            "there is a migration after schema {version} and no database of that schema: make {} with the \
             programs of the commit before the migration (tests/schemas/README.md)",
            file(version).display()
        );
        let lab = lab(version);
        let db = open(&lab);
        assert_eq!(self::version(&db), version);
        for (name, (_, rows)) in contents(&db, "table") {
            assert!(!rows.is_empty(), "schema {version}: {name} is empty");
        }
        let failed: i64 =
            db.query_row("SELECT count(*) FROM failures", [], |row| row.get(0)).unwrap();
        assert!(failed >= 1, "schema {version} has no failure");
        assert!(!fs::read(file(version)).unwrap().is_empty());
        assert!(fs::metadata(file(version)).unwrap().len() < 100_000);
    }
    assert!(!file(current()).exists(), "the current schema is not an earlier one");
}

#[test]
fn databases_tell_nothing_of_the_machine_that_made_them() {
    for version in 1..current() {
        let lab = lab(version);
        let db = open(&lab);
        let hosts = "SELECT DISTINCT json_extract(provenance, '$.host') FROM attempts
            WHERE provenance IS NOT NULL";
        let mut statement = db.prepare(hosts).unwrap();
        let hosts: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(hosts, ["lab"], "schema {version}");
        for (name, (_, rows)) in contents(&db, "table") {
            for row in rows {
                let folder = ["/home", "/root", "/tmp", "/work", "/usr"];
                let found = folder.iter().find(|folder| row.contains(*folder));
                assert!(found.is_none(), "schema {version}, {name}: {row}");
            }
        }
    }
}

#[test]
fn what_reads_reads_every_schema_and_leaves_the_file_as_it_is() {
    for version in 1..current() {
        let lab = lab(version);
        let before = bytes(&lab);
        let report = told(&lab, &["report", "--out", "report.md"]);
        assert!(report.contains("tiny (grid `tiny`, users 0..16)"), "schema {version}: {report}");
        assert!(report.contains("fgsm_linf ε=0.5, value"), "schema {version}: {report}");
        assert_eq!(report.contains("Table 2"), version >= 3, "schema {version}: {report}");
        told(&lab, &["report", "--rows", "attack", "--cols", "metric", "--grid", "tiny"]);
        let claims = told(&lab, &["report", "--conformance"]);
        assert!(claims.contains("2. Most attacks are effective"), "schema {version}: {claims}");
        let status = told(&lab, &["status"]);
        assert!(status.contains("grid tiny"), "schema {version}: {status}");
        assert!(status.contains("failing on request"), "schema {version}: {status}");
        let csv = told(&lab, &["export", "table1"]);
        assert!(csv.starts_with("grid,dataset,agent,attack,"), "schema {version}: {csv}");
        let compared =
            told(&lab, &["compare", "attack=none", "attack=fgsm_linf", "--grid", "tiny"]);
        assert!(compared.contains("over 2 seeds, paired"), "schema {version}: {compared}");
        told(&lab, &["why", "1"]);
        told(&lab, &["doctor"]);
        // What the views of today say, of rows of then.
        let sql = "SELECT count(*) FROM table1 WHERE metric = 'ndcg' AND split = 'valid'";
        assert!(!told(&lab, &["query", sql]).is_empty());
        let (code, _, stderr) = run(&lab, &["query", "DELETE FROM metrics"]);
        assert_eq!((code, stderr.as_str()), (2, "error: queries cannot change the database\n"));
        assert!(before == bytes(&lab), "schema {version} was changed by reading");
        assert_eq!(self::version(&open(&lab)), version);
    }
}

#[test]
fn what_follows_a_sweep_says_what_to_do() {
    let lab = lab(1);
    for command in ["watch", "gc"] {
        let (code, stdout, stderr) = run(&lab, &[command]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{command}");
        let known = format!("schema 1 of {}", current());
        let stderr = stderr.replace(&known, "schema OLD of NEW");
        assert_eq!(
            stderr,
            "error: advrec.db was written by an older advrec (schema OLD of NEW); run `advrec sweep` once to \
             bring it up to date\n"
        );
    }
}

#[test]
fn the_first_command_that_writes_brings_it_up_to_date_with_every_row() {
    for version in 1..current() {
        let lab = lab(version);
        let (tables, views, report) = {
            let db = open(&lab);
            let report = told(&lab, &["report", "--out", "before.md"]);
            (contents(&db, "table"), contents(&db, "view"), report)
        };
        told(&lab, WRITES);
        let db = open(&lab);
        assert_eq!(self::version(&db), current(), "schema {version}");
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok", "schema {version}");
        let broken: i64 = db
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(broken, 0, "schema {version}");
        for (name, (columns, before)) in tables {
            let mut after = rows(&db, &name, &columns);
            if name == "datasets" {
                after.retain(|row| !row.starts_with("Text(\"other\")"));
            }
            assert_eq!(before, after, "schema {version}: {name}");
        }
        for (name, (columns, before)) in views {
            assert_eq!(before, rows(&db, &name, &columns), "schema {version}: {name}");
        }
        assert!(!names(&db, "view").is_empty());
        let again = told(&lab, &["report", "--out", "after.md"]);
        assert_eq!(report, again, "schema {version}");
        let [first, second] = ["before.md", "after.md"]
            .map(|name| fs::read_to_string(lab.path().join(name)).unwrap());
        assert_eq!(first, second, "schema {version}");
        // It is a database like any other from then on.
        told(&lab, &["watch", "--once"]);
        told(&lab, &["gc", "--dry-run"]);
        let grids: i64 = db.query_row("SELECT count(*) FROM grids", [], |row| row.get(0)).unwrap();
        assert_eq!(grids, GRIDS);
    }
}

#[test]
fn schemas_brought_up_to_date_are_that_of_a_new_database() {
    let new = tempfile::tempdir().unwrap();
    told(&new, WRITES);
    let schema = |folder: &TempDir| -> Vec<(String, String)> {
        let db = open(folder);
        let described = |kind: &str| {
            let names = names(&db, kind).into_iter();
            names.map(|name| (columns(&db, &name).join(", "), name)).collect::<Vec<_>>()
        };
        [described("table"), described("view")].concat()
    };
    let expected = schema(&new);
    assert!(expected.iter().any(|(_, name)| name == "table1"));
    for version in 1..current() {
        let lab = lab(version);
        told(&lab, WRITES);
        assert_eq!(schema(&lab), expected, "schema {version}");
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let lab = lab(1);
    let db = Connection::open(lab.path().join("advrec.db")).unwrap();
    db.pragma_update(None, "user_version", current() + 1).unwrap();
    drop(db);
    let before = bytes(&lab);
    let known = format!("schema {}, this program knows {}", current() + 1, current());
    let commands: [&[&str]; 6] =
        [&["report"], &["status"], &["query", "SELECT 1"], &["export", "table1"], &["gc"], WRITES];
    for command in commands {
        let (code, stdout, stderr) = run(&lab, command);
        assert_eq!((code, stdout.as_str()), (2, ""), "{command:?}");
        assert_eq!(
            stderr.replace(&known, "KNOWN"),
            "error: advrec.db was written by a newer advrec (KNOWN); use that version or another file\n",
            "{command:?}"
        );
        assert!(before == bytes(&lab), "{command:?} changed it");
    }
    assert!(!lab.path().join("advrec-report.md").exists());
}

#[test]
fn a_migration_that_fails_leaves_the_database_as_it_was() {
    for version in 1..current() {
        let lab = lab(version);
        // In the way of the last migration, so that those before it have been done when it fails.
        let db = Connection::open(lab.path().join("advrec.db")).unwrap();
        let made = made_last(&db);
        db.execute_batch(&format!("CREATE TABLE {made} (in_the_way)")).unwrap();
        let [tables, views] = ["table", "view"].map(|kind| contents(&db, kind));
        drop(db);
        let (code, stdout, stderr) = run(&lab, WRITES);
        assert_ne!(code, 0, "schema {version}: {stdout}");
        assert!(stderr.contains(&format!("{made} already exists")), "schema {version}: {stderr}");
        let db = open(&lab);
        assert_eq!(self::version(&db), version);
        assert!(tables == contents(&db, "table"), "schema {version}");
        assert!(views == contents(&db, "view"), "schema {version}");
    }
}

#[test]
fn a_migration_that_is_killed_on_its_way_leaves_the_database_as_it_was() {
    // From schema 4 on less is written than SQLite needs for what readers share, 32 KiB.
    for version in 1..=3 {
        let lab = lab(version);
        let [tables, views] = ["table", "view"].map(|kind| contents(&open(&lab), kind));
        let program = assert_cmd::cargo::cargo_bin!("advrec");
        let mut command = program::command(program, lab.path(), WRITES);
        let limit = libc::rlimit { rlim_cur: 32 * 1024, rlim_max: 32 * 1024 };
        // SAFETY: between fork and exec only setrlimit is called, which may be.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        // The log of the migration is longer than a file may be.
        let status = command.output().unwrap().status;
        assert_eq!(status.signal(), Some(libc::SIGXFSZ), "schema {version}");
        let log = fs::metadata(lab.path().join("advrec.db-wal")).unwrap().len();
        assert!(log >= 16 * 1024, "schema {version}: {log} bytes were written");
        let report = told(&lab, &["report"]);
        assert!(report.contains("tiny (grid `tiny`, users 0..16)"), "schema {version}");
        let db = open(&lab);
        assert_eq!(self::version(&db), version);
        assert!(tables == contents(&db, "table"), "schema {version}");
        assert!(views == contents(&db, "view"), "schema {version}");
        drop(db);
        told(&lab, WRITES);
        assert_eq!(self::version(&open(&lab)), current());
    }
}
