//! The quickstart grid in Slurm jobs. Where there can be no cluster, the test says why and passes.

#[path = "../../tests/cluster/mod.rs"]
mod cluster;
mod lab;

use cluster::{ask, slurm_conf};
use lab::Lab;
use std::time::{Duration, Instant};

const QUICKSTART: &str = include_str!("../../experiments/quickstart.yaml");
const TABLE1: &str = "SELECT * FROM table1 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8";

#[test]
fn slurm_jobs_give_the_table_of_a_local_sweep_bit_for_bit() {
    let Some(conf) = slurm_conf() else { return };
    let submitted = "sweep grid.yaml --launcher slurm --max-jobs 2";
    let submitted: Vec<&str> = submitted.split(' ').collect();
    let in_jobs = Lab::new(QUICKSTART);
    let here = Lab::new(QUICKSTART);
    let start = Instant::now();
    let mut sweep = in_jobs.command(&submitted).env("SLURM_CONF", conf).spawn().unwrap();
    // A job is cancelled in the middle.
    let running = "SELECT job FROM runs WHERE state = 'running' AND kind = 'agent'";
    let job = loop {
        assert!(sweep.try_wait().unwrap().is_none(), "the sweep has ended");
        std::thread::sleep(Duration::from_millis(50));
        if let Some(row) = in_jobs.rows(running).first() {
            break row["job"].as_str().unwrap().to_owned();
        }
    };
    ask(conf, "scancel", &[&job]);
    assert_eq!(sweep.wait().unwrap().code(), Some(0));
    eprintln!("in Slurm jobs: {:.1} s", start.elapsed().as_secs_f64());
    let interrupted = in_jobs.query("SELECT kind, error FROM runs WHERE state = 'interrupted'");
    assert!(interrupted[0]["error"].as_str().unwrap().contains(&job), "{interrupted:?}");
    let start = Instant::now();
    here.sweep(&["--jobs", "2"]);
    eprintln!("here: {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(in_jobs.query(TABLE1), here.query(TABLE1));
    let metrics = "SELECT stage_key, name, split, value FROM metrics ORDER BY 1, 2, 3";
    assert_eq!(in_jobs.query(metrics), here.query(metrics));
}
