//! `advrec export` of tables and views.

mod lab;

use lab::Lab;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::fs::{self, File};
use std::process::Output;

/// A lab with three metrics, of which the second has an interval and the third a name to be quoted.
fn lab() -> Lab {
    let lab = Lab::new();
    assert_eq!(lab.sweep(&["--noop", "3", "--jobs", "1"]).0, 0);
    let db = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    db.execute_batch(
        "UPDATE metrics SET lower = 0.5, upper = 1.0 / 3 WHERE value = 1;
         UPDATE metrics SET name = 'a, \"b\"' WHERE value = 2;",
    )
    .unwrap();
    lab
}

fn stdout(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

fn refused(lab: &Lab, args: &[&str]) -> String {
    let output = lab.run(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn rows_go_to_standard_output_as_csv_and_json() {
    let lab = lab();
    let settings = [(r"[0-9a-f]{64}", "KEY")];
    insta::with_settings!({filters => settings}, {
        insta::assert_snapshot!(stdout(lab.run(&["export", "metrics", "--where", "value > 0"])), @r#"
        stage_key,name,split,value,n,lower,upper
        KEY,index,all,1.0,1,0.5,0.3333333333333333
        KEY,"a, ""b""",all,2.0,1,,
        "#);
        let args = ["export", "METRICS", "--output", "json", "--where", "value > 0 -- not the first"];
        insta::assert_snapshot!(stdout(lab.run(&args)), @r#"
        {"stage_key":"KEY","name":"index","split":"all","value":1.0,"n":1,"lower":0.5,"upper":0.3333333333333333}
        {"stage_key":"KEY","name":"a, \"b\"","split":"all","value":2.0,"n":1,"lower":null,"upper":null}
        "#);
    });
    let asked = lab.run(&["query", "--format", "csv", "SELECT * FROM table1"]);
    assert_eq!(stdout(lab.run(&["export", "table1"])), stdout(asked));
}

#[test]
fn a_file_has_the_format_of_its_ending_and_parquet_has_types() {
    let lab = lab();
    let out = stdout(lab.run(&["export", "metrics", "--out", "m.parquet"]));
    insta::assert_snapshot!(out, @"m.parquet: 3 rows of metrics");
    let reader = SerializedFileReader::new(File::open(lab.path("m.parquet")).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns: Vec<String> = schema
        .columns()
        .iter()
        .map(|c| format!("{} {} {}", c.name(), c.physical_type(), c.converted_type()))
        .collect();
    insta::assert_snapshot!(columns.join("\n"), @r#"
    stage_key BYTE_ARRAY UTF8
    name BYTE_ARRAY UTF8
    split BYTE_ARRAY UTF8
    value DOUBLE NONE
    n INT64 NONE
    lower DOUBLE NONE
    upper DOUBLE NONE
    "#);
    let mut rows: Vec<String> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().to_string().split_once("name").unwrap().1.to_owned())
        .collect();
    rows.sort();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    : "a, "b"", split: "all", value: 2.0, n: 1, lower: null, upper: null}
    : "index", split: "all", value: 0E0, n: 1, lower: null, upper: null}
    : "index", split: "all", value: 1.0, n: 1, lower: 0.5, upper: 0.3333333333333333}
    "#);

    stdout(lab.run(&["export", "metrics", "--out", "m.jsonl"]));
    assert!(fs::read_to_string(lab.path("m.jsonl")).unwrap().starts_with("{\"stage_key\""));
    let args = ["export", "metrics", "--format", "csv", "--out", "m.jsonl", "--force"];
    let out = stdout(lab.run(&[&args[..], &["--output", "json"]].concat()));
    insta::assert_snapshot!(out, @r#"{"file":"m.jsonl","rows":3}"#);
    assert!(fs::read_to_string(lab.path("m.jsonl")).unwrap().starts_with("stage_key,name"));
}

#[test]
fn every_view_and_table_is_exported_even_when_it_is_empty() {
    let lab = lab();
    let relations = lab.query(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'",
    );
    assert!(relations.len() > 15);
    for relation in relations {
        let name = relation["name"].as_str().unwrap();
        for ending in ["csv", "jsonl", "parquet"] {
            stdout(lab.run(&["export", name, "--out", &format!("{name}.{ending}")]));
        }
        let file = File::open(lab.path(&format!("{name}.parquet"))).unwrap();
        let rows = SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows();
        let lines = fs::read_to_string(lab.path(&format!("{name}.jsonl"))).unwrap();
        assert_eq!(rows, lines.lines().count() as i64, "{name}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused_and_files_stay_as_they_were() {
    let lab = lab();
    fs::write(lab.path("old.csv"), "old").unwrap();
    fs::create_dir(lab.path("folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", lab.path("link")).unwrap();
    let messages = [
        &["export", "tabel1"][..],
        &["export", "attack"],
        &["export", "metrics", "--where", "valu > 0"],
        &["export", "metrics", "--where", "value >"],
        &["export", "metrics", "--where", "value > 0\n AND lower + 'x' > no(1)"],
        &["export", "metrics", "--where", "1); DELETE FROM metrics; SELECT (1"],
        &["export", "metrics", "--format", "parquet"],
        &["export", "metrics", "--out", "old.csv"],
        &["export", "metrics", "--out", "old.csv", "--force", "--where", "valu > 0"],
        &["export", "metrics", "--out", "folder", "--force"],
        &["export", "metrics", "--out", "link", "--force"],
        &["export", "metrics", "--out", "/dev/null", "--force"],
        &["export", "metrics", "--out", "advrec.db", "--force"],
        &["export", "metrics", "--out", "no/m.csv"],
        &["export", "metrics", "--grid", "small"],
        &["export", "metrics", "--artefacts"],
        &["export", "1"],
        &["export", "1", "--out", "cell", "--format", "csv"],
        &["export", "index=1", "--out", "cell", "--where", "1"],
    ]
    .map(|args| refused(&lab, args));
    insta::assert_snapshot!(messages.concat(), @r#"
    error: there is no view or table `tabel1` in advrec.db; did you mean `table1`? (there are: attempts, cell_results, cell_stages, cells, datasets, drift, failures, flags, grids, imports, latest_grids, metrics, projected_sequences, projections, result_stages, runs, seeds_summary, stage_inputs, stages, sweeps, t_quantiles, table1, table2); a cell is named by its number or by values (attack=jsma,seed=2)
    error: there is no view or table `attack` in advrec.db (there are: attempts, cell_results, cell_stages, cells, datasets, drift, failures, flags, grids, imports, latest_grids, metrics, projected_sequences, projections, result_stages, runs, seeds_summary, stage_inputs, stages, sweeps, t_quantiles, table1, table2); a cell is named by its number or by values (attack=jsma,seed=2)
    error: --where line 1, column 1: no such column: valu (metrics has stage_key, name, split, value, n, lower, upper)
    error: --where line 2, column 1: near ")": syntax error
    error: --where line 2, column 20: no such function: no
    error: one statement at a time
    error: parquet is no text; name its file with --out
    error: old.csv is there already; name another file with --out, or replace it with --force
    error: --where line 1, column 1: no such column: valu (metrics has stage_key, name, split, value, n, lower, upper)
    error: folder is a folder; name another file with --out
    error: link is a link that leads nowhere; name another file with --out
    error: /dev/null is no file that can be replaced; name another file with --out
    error: advrec.db is the database; name another file with --out
    error: there is no folder no to write no/m.csv in; make it, or name another file with --out
    error: --grid is for cells; `metrics` names a view
    error: --artefacts is for cells; `metrics` names a view
    error: name the folder to write with --out
    error: --format is for views; `1` names a cell
    error: --where is for views; `index=1` names a cell
    "#);
    assert_eq!(fs::read_to_string(lab.path("old.csv")).unwrap(), "old");
    let left: Vec<_> =
        fs::read_dir(lab.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
    assert!(!lab.path("cell").exists());
    assert_eq!(lab.query("SELECT 1 FROM metrics").len(), 3);
}

#[test]
fn a_link_is_followed_and_stays_one() {
    let lab = lab();
    fs::write(lab.path("old.csv"), "old").unwrap();
    std::os::unix::fs::symlink("old.csv", lab.path("link.csv")).unwrap();
    stdout(lab.run(&["export", "metrics", "--out", "link.csv", "--force"]));
    assert!(lab.path("link.csv").is_symlink());
    assert!(fs::read_to_string(lab.path("old.csv")).unwrap().starts_with("stage_key"));
}

#[test]
fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
    let lab = lab();
    for format in ["csv", "jsonl"] {
        let args = ["export", "metrics", "--format", format];
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = lab.command(&args).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = lab.command(&args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: the disk is full"), "{said}");
    }
}
