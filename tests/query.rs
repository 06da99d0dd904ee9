//! `advrec query` on a real database.

mod program;

use std::process::Output;
use tempfile::TempDir;

fn advrec(dir: &TempDir, args: &[&str]) -> Output {
    let program = assert_cmd::cargo::cargo_bin!("advrec");
    program::command(program, dir.path(), args).output().unwrap()
}

fn swept() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    assert!(advrec(&dir, &["sweep", "--noop", "3", "--jobs", "1"]).status.success());
    dir
}

fn stdout(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(output: Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

const SQL: &str = "SELECT name, split, value, n, lower, value / 3 AS third FROM metrics
                   ORDER BY value";

#[test]
fn rows_are_printed_as_table_csv_and_json() {
    let dir = swept();
    insta::assert_snapshot!(stdout(advrec(&dir, &["query", SQL])), @r"
    name   split  value  n  lower               third
    index  all      0.0  1                        0.0
    index  all      1.0  1         0.3333333333333333
    index  all      2.0  1         0.6666666666666666
    ");
    insta::assert_snapshot!(stdout(advrec(&dir, &["query", SQL, "--format", "csv"])), @r"
    name,split,value,n,lower,third
    index,all,0.0,1,,0.0
    index,all,1.0,1,,0.3333333333333333
    index,all,2.0,1,,0.6666666666666666
    ");
    let json = stdout(advrec(&dir, &["query", SQL, "--output", "json"]));
    insta::assert_snapshot!(json, @r#"
    [{"name":"index","split":"all","value":0.0,"n":1,"lower":null,"third":0.0},
     {"name":"index","split":"all","value":1.0,"n":1,"lower":null,"third":0.3333333333333333},
     {"name":"index","split":"all","value":2.0,"n":1,"lower":null,"third":0.6666666666666666}]
    "#);
}

#[test]
fn every_view_can_be_read() {
    let dir = swept();
    for view in
        ["table1", "table2", "seeds_summary", "cell_results", "runs", "failures", "latest_grids"]
    {
        stdout(advrec(&dir, &["query", &format!("SELECT * FROM {view}")]));
    }
}

#[test]
fn bad_sql_and_writes_are_refused() {
    let dir = swept();
    let ask = |sql| refused(advrec(&dir, &["query", sql]), 2);
    insta::assert_snapshot!(ask("SELECT valu FROM metrics"),
        @"error: SQL line 1, column 8: no such column: valu");
    insta::assert_snapshot!(ask("SELECT 1;\nSELEC 2"), @r#"error: SQL line 2, column 1: near "SELEC": syntax error"#);
    insta::assert_snapshot!(ask("SELECT 1; SELECT 2"), @"error: one statement at a time");
    insta::assert_snapshot!(ask("DELETE FROM metrics"), @"error: queries cannot change the database");
    assert!(stdout(advrec(&dir, &["query", "SELECT count(*) FROM metrics"])).contains('3'));
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(refused(advrec(&dir, &["query", "SELECT 1"]), 2),
        @"error: no database at advrec.db; run `advrec sweep` first, or say where it is with --db");
    insta::assert_snapshot!(refused(advrec(&dir, &["status"]), 2),
        @"error: no database at advrec.db; run `advrec sweep` first, or say where it is with --db");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn status_is_json_on_request_and_knows_the_grids() {
    let dir = swept();
    let json: serde_json::Value =
        serde_json::from_str(&stdout(advrec(&dir, &["status", "--output", "json"]))).unwrap();
    assert_eq!(json["grids"][0]["name"], "noop-3");
    assert_eq!(json["grids"][0]["stages"], serde_json::json!({"done": 3}));
    insta::assert_snapshot!(refused(advrec(&dir, &["status", "beauty"]), 2),
        @"error: no grid beauty in advrec.db; `advrec status` lists all");
}
