//! What every command has in common: help, exit codes, and that bad input leaves nothing behind. None
//! of it needs a worker.

mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const COMMANDS: [&[&str]; 17] = [
    &["sweep"],
    &["rerun"],
    &["cancel"],
    &["plan"],
    &["status"],
    &["watch"],
    &["query"],
    &["report"],
    &["compare"],
    &["data"],
    &["data", "import"],
    &["data", "verify"],
    &["data", "synth"],
    &["import", "weights"],
    &["recommend"],
    &["doctor"],
    &["bench"],
];

/// A folder with a grid, and a program in place of the worker.
struct Lab {
    dir: TempDir,
    worker: PathBuf,
}

impl Lab {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), worker: "/bin/true".into() }
    }

    fn with_grid(grid: &str) -> Self {
        let lab = Self::new();
        lab.write("grid.yaml", grid);
        lab
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let program = assert_cmd::cargo::cargo_bin!("advrec");
        let mut command = program::command(program, self.dir.path(), args);
        command.env("ADVREC_WORKER", &self.worker);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that is to fail; returns what it says, with paths as a user would type them.
    fn refused(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        text.replace(env!("CARGO_MANIFEST_DIR"), "PACKAGE")
    }

    /// Like [`Lab::refused`] for bad input, which must leave the folder as it was.
    fn leaves_nothing(&self, args: &[&str]) -> String {
        let before = names(self.dir.path());
        let text = self.refused(args, 2);
        assert_eq!(names(self.dir.path()), before, "{args:?} left something: {text}");
        text
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn grid(dataset: &str, rest: &str) -> String {
    format!("name: small\ndataset: {dataset}\nagent: {{epochs: 1}}\n{rest}\n")
}

fn tiny(name: &str) -> String {
    format!("{}/tests/golden/tiny/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_help_names_commands_and_exit_codes() {
    let output = Lab::new().run(&["--help"]);
    assert!(output.status.success());
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    Adversarial attacks on, and their detection in, reinforcement-learning recommender agents

    Usage: advrec [OPTIONS] <COMMAND>

    Commands:
      sweep      Run a grid: train, attack, measure, and store every number
      rerun      Run chosen cells of a grid again: those that failed, or those with given parameters
      cancel     Stop the running sweep of the database
      plan       Show what a grid would run, without running it
      why        Say why a stage is done, will run or waits: which input of its key changed, and how
      status     Show grids, cells and stages and how far they are
      watch      Follow the running sweep: stages, workers, speed, failures
      serve      Show the report and the running sweep as a page in the browser
      query      Print the rows of an SQL query on the database
      report     Write the tables of the results
      compare    Say whether two cells differ by more than chance, over the same seeds and users
      export     Write the rows of a view, or all that is known of a cell with a grid that repeats it
      gc         Remove from the store what no grid needs
      data       Import, generate and check datasets
      import     Bring in embeddings and policies of another program
      recommend  Recommend with one agent and write lists, paths and probabilities
      schema     Print the JSON Schema of grids, by which editors complete and check them
      doctor     Say what this machine and this set-up can do
      bench      Measure the program's speed on this machine
      help       Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Options of every command:
          --db <FILE>        The SQLite file with all results [env: ADVREC_DB=] [default: advrec.db]
          --store <DIR>      The folder of artefacts and logs [env: ADVREC_STORE=] [default: .advrec]
          --output <OUTPUT>  How to print the result [default: human] [possible values: human, json]

    Exit codes: 0 done, 1 some cells failed, 2 bad input, 3 interrupted and resumable.
    ADVREC_WORKER names another worker than the advrec-worker beside advrec.
    ");
}

#[test]
fn every_option_of_every_command_is_explained() {
    for command in COMMANDS {
        let output = Lab::new().run(&[command, &["-h"]].concat());
        assert!(output.status.success(), "{command:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        for common in ["Options of every command:", "--db <FILE>", "--store <DIR>", "--output"] {
            assert!(text.contains(common), "{command:?} lacks {common}: {text}");
        }
        // An option's line goes on with its explanation; only brackets there mean that it has none.
        for line in text.lines().filter(|line| line.trim_start().starts_with('-')) {
            let explanation =
                line.trim_start().split_once("  ").map_or("", |(_, text)| text.trim());
            let starts = explanation.chars().next();
            assert!(starts.is_some_and(|c| c != '['), "{command:?}: {line}");
        }
    }
}

#[test]
fn arguments_out_of_range_are_bad_input() {
    let lab = Lab::with_grid(&grid("embedded", ""));
    for args in [
        &["sweep", "grid.yaml", "--jobs", "0"][..],
        &["sweep", "grid.yaml", "--device", "gpu"],
        &["sweep"],
        &["plan"],
        &["bench", "--users", "0"],
        &["bench", "--threads", "0"],
        &["query"],
        &["nonsense"],
    ] {
        lab.leaves_nothing(args);
    }
}

#[test]
fn grids_that_cannot_be_read_are_refused() {
    let lab = Lab::new();
    fs::create_dir(lab.path("folder")).unwrap();
    insta::assert_snapshot!(lab.leaves_nothing(&["sweep", "folder"]),
        @"error: could not read folder: Is a directory (os error 21)");
    insta::assert_snapshot!(lab.leaves_nothing(&["sweep", "absent.yaml"]),
        @"error: could not read absent.yaml: No such file or directory (os error 2)");
    lab.write("grid.yaml", b"\xff\xfe\x00");
    insta::assert_snapshot!(lab.leaves_nothing(&["sweep", "grid.yaml"]), @r#"
    error: grid.yaml:1:1: the text is not UTF-8
      1 | �
        | ^
      save the file as plain text in UTF-8
    "#);
}

#[test]
fn datasets_that_are_not_there_are_refused() {
    let lab = Lab::with_grid(&grid("embeded", ""));
    insta::assert_snapshot!(lab.leaves_nothing(&["sweep", "grid.yaml"]), @r#"
    error: grid.yaml:2:10: there is no dataset `embeded`; did you mean `embedded`? (known: embedded); import it with `advrec data import DIR --name embeded`, or say with --data-root where its folder is
      2 | dataset: embeded
        |          ^^^^^^^
    "#);
    insta::assert_snapshot!(lab.leaves_nothing(&["bench", "--dataset", "nope"]), @"error: there is no dataset `nope` (known: embedded); import it with `advrec data import DIR --name nope`, or say with --data-root where its folder is");
    fs::create_dir_all(lab.path("sets/embedding")).unwrap();
    insta::assert_snapshot!(lab.leaves_nothing(&["sweep", "grid.yaml", "--data-root", "sets"]), @r#"
    error: grid.yaml:2:10: there is no dataset `embeded`: it is not imported, and sets holds no folder of that name
      2 | dataset: embeded
        |          ^^^^^^^
    "#);
    insta::assert_snapshot!(lab.leaves_nothing(&["plan", "grid.yaml", "--data-root", "nowhere"]), @r#"
    error: grid.yaml:2:10: there is no dataset `embeded`: it is not imported, and nowhere is no folder that can be read
      2 | dataset: embeded
        |          ^^^^^^^
    "#);
}

#[test]
fn users_that_the_dataset_lacks_are_refused_before_anything_runs() {
    let lab = Lab::with_grid(&grid("embedded", "rollout: {users: 0..99999}"));
    insta::assert_snapshot!(lab.leaves_nothing(&["sweep", "grid.yaml"]), @r#"
    error: grid.yaml:4:18: users 0..99999 are asked for, and dataset `embedded` has 500, numbered from 0
      4 | rollout: {users: 0..99999}
        |                  ^^^^^^^^
    "#);
    lab.leaves_nothing(&["plan", "grid.yaml"]);
    lab.write("grid.yaml", grid("embedded", "axes: {rollout.users: [500, 501]}"));
    insta::assert_snapshot!(lab.leaves_nothing(&["plan", "grid.yaml"]), @r#"
    error: grid.yaml:4:29: users 0..501 are asked for, and dataset `embedded` has 500, numbered from 0
      4 | axes: {rollout.users: [500, 501]}
        |                             ^^^
    "#);
}

#[test]
fn attacks_beyond_sense_are_refused() {
    let lab = Lab::with_grid(&grid("embedded", "attack: fgsm_linf\nepsilon: 1e300"));
    insta::assert_snapshot!(lab.leaves_nothing(&["sweep", "grid.yaml"]), @r#"
    error: grid.yaml:5:10: `epsilon` is `1e300`, which is out of range
      5 | epsilon: 1e300
        |          ^^^^^
      it must be at least 0 and at most 1000000
    "#);
}

#[test]
fn databases_that_are_none_are_refused() {
    let lab = Lab::with_grid(&grid("embedded", ""));
    fs::create_dir(lab.path("folder")).unwrap();
    lab.write("text", "this is no database, whatever its length may be\n".repeat(50));
    insta::assert_snapshot!(lab.leaves_nothing(&["--db", "folder", "sweep", "grid.yaml"]),
        @"error: could not open the database folder: it is a folder");
    insta::assert_snapshot!(lab.leaves_nothing(&["--db", "none/a.db", "sweep", "grid.yaml"]),
        @"error: could not open the database none/a.db: there is no folder none");
    for command in [
        &["sweep", "grid.yaml"][..],
        &["plan", "grid.yaml"],
        &["status"],
        &["report"],
        &["query", "SELECT 1"],
        &["data", "verify", "embedded"],
        &["data", "synth", "--name", "x"],
        &["recommend", "--dataset", "embedded", "--agent", "abcdef", "--out", "o"],
        &["bench"],
    ] {
        let text = lab.leaves_nothing(&[&["--db", "text"], command].concat());
        assert_eq!(
            text, "error: text is not an SQLite database; choose another file with --db\n",
            "{command:?}"
        );
    }
    for command in [&["status"][..], &["report"], &["query", "SELECT 1"]] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(lab.leaves_nothing(command),
                @"error: no database at advrec.db; run `advrec sweep` first, or say where it is with --db");
        }
    }
}

#[test]
fn a_store_that_is_a_file_is_refused() {
    let lab = Lab::with_grid(&grid("embedded", ""));
    lab.write("file", "");
    insta::assert_snapshot!(lab.leaves_nothing(&["--store", "file", "sweep", "grid.yaml"]),
        @"error: file cannot hold artefacts: Not a directory (os error 20); choose another folder with --store");
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let lab = Lab::new();
    let import = |dataset: &str, embeddings: &str, policy: &str| {
        let files = ["--embeddings", embeddings, "--policy", policy, "--name", "theirs"];
        lab.leaves_nothing(&[&["import", "weights", "--dataset", dataset][..], &files].concat())
    };
    let (embeddings, policy) = (tiny("embeddings.safetensors"), tiny("policy.safetensors"));
    insta::assert_snapshot!(import("embedded", "absent", &policy), @"error: could not read absent: No such file or directory (os error 2)");
    insta::assert_snapshot!(import("embedded", &embeddings, &policy), @"error: tensor `user` in PACKAGE/tests/golden/tiny/embeddings.safetensors has shape [40, 100]; the dataset needs [500, 100]");
    insta::assert_snapshot!(
        lab.leaves_nothing(&["recommend", "--dataset", "embedded", "--agent", "x", "--out", "o"]), @r#"error: --agent x: neither imported weights (known: none) nor the start of a trained agent's key (at least 6 digits; see `advrec query "SELECT key FROM stages WHERE kind = 'agent'"`)"#);
    let users = ["--users", "0..501", "--out", "o"];
    insta::assert_snapshot!(
        lab.leaves_nothing(&[&["recommend", "--dataset", "embedded", "--agent", "x"][..], &users].concat()), @"error: users 0..501 are asked for, and dataset `embedded` has 500, numbered from 0");
}

#[test]
fn a_worker_that_is_none_or_lacks_libtorch_is_explained() {
    let mut lab = Lab::with_grid(&grid("embedded", ""));
    lab.worker = "/no/such/worker".into();
    insta::assert_snapshot!(lab.leaves_nothing(&["sweep", "grid.yaml"]), @"error: ADVREC_WORKER names /no/such/worker, which is no program; name an advrec-worker, or unset it to use the one beside advrec");
    lab.worker = lab.path("worker");
    lab.write("worker", "#!/bin/sh\necho 'worker: error while loading shared libraries: libtorch_cpu.so' >&2\nexit 127\n");
    fs::set_permissions(&lab.worker, fs::Permissions::from_mode(0o755)).unwrap();
    let place = lab.dir.path().display().to_string();
    insta::assert_snapshot!(lab.refused(&["sweep", "grid.yaml"], 1).replace(&place, "HERE"), @r#"
    error: the worker HERE/worker cannot load libtorch; run `make setup` and `make build` in advrec's folder, and see `advrec doctor`
    worker: error while loading shared libraries: libtorch_cpu.so
    "#);
    let doctor = lab.run(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let text = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        text.contains("NOT USABLE: worker: error while loading") && text.contains("make setup"),
        "{text}"
    );
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let lab = Lab::new();
    for args in [&["doctor"][..], &["doctor", "--output", "json"], &["plan", "--parameters"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = lab.command(args);
        let output = command.stdout(writer).output().unwrap();
        assert!(output.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}
