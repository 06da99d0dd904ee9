//! `advrec doctor`: what this machine and this set-up can do.

use super::{Context, Output, exit};
use crate::causes;
use crate::run::{REMEDY, WorkerCommand};
use crate::store::{Database, DatabaseError, filesystem};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// Arguments of `advrec doctor`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command; returns the exit code.
pub fn run(_args: Args, context: &Context) -> anyhow::Result<u8> {
    let libtorch = probe_libtorch();
    let healthy = libtorch.get("error").is_none();
    let folder = match context.db.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let disk = match filesystem::shared(folder) {
        Ok(None) => "local".to_owned(),
        Ok(Some(name)) => {
            format!("shared ({name}); the database then does without a write-ahead log")
        }
        Err(error) => format!("unknown: {}: {error}", folder.display()),
    };
    let report = json!({
        "advrec": env!("CARGO_PKG_VERSION"),
        "libtorch": libtorch,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory_mib": memory_mib(),
        "sqlite": rusqlite::version(),
        "database": context.db,
        "database_state": state(&context.db),
        "database_disk": disk,
        "store": context.store,
    });
    let text = match context.output {
        Output::Json => format!("{report:#}\n"),
        Output::Human => describe(&report),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(if healthy { exit::DONE } else { exit::FAILED })
}

/// The report for people, a line each.
fn describe(report: &Value) -> String {
    let libtorch = &report["libtorch"];
    let text = |value: &Value| match value {
        Value::String(s) => s.clone(),
        Value::Null => "unknown".to_owned(),
        other => other.to_string(),
    };
    let mut out = String::new();
    let mut line = |name: &str, value: String| out += &format!("{name:<15} {value}\n");
    line("advrec", text(&report["advrec"]));
    match libtorch.get("error") {
        Some(error) => line("libtorch", format!("NOT USABLE: {}", text(error))),
        None => {
            line(
                "libtorch",
                format!("{} at {}", text(&libtorch["version"]), text(&libtorch["path"])),
            );
            let half = match libtorch["cuda_half_loads"].as_bool() {
                Some(true) => "loads".to_owned(),
                _ => format!(
                    "does not load, so only the CPU can be used: {}",
                    text(&libtorch["cuda_half_error"])
                ),
            };
            line("CUDA half", half);
            line("GPUs", text(&libtorch["gpus"]));
        }
    }
    line("CPU cores", text(&report["cores"]));
    line("memory", format!("{} MiB", text(&report["memory_mib"])));
    line("SQLite", text(&report["sqlite"]));
    line(
        "database",
        format!("{} ({})", text(&report["database"]), text(&report["database_state"])),
    );
    line("its disk", text(&report["database_disk"]));
    line("store", text(&report["store"]));
    out
}

/// Whether the database is there and of use.
fn state(db: &Path) -> String {
    match Database::open_to_read(db) {
        Ok(_) => "can be read".to_owned(),
        Err(DatabaseError::Absent { .. }) => "not there yet".to_owned(),
        Err(error) => format!("NOT USABLE: {}", causes::message(&error)),
    }
}

/// Asks the worker about libtorch; an `error` names what is wrong and the remedy.
fn probe_libtorch() -> Value {
    let program = match WorkerCommand::find() {
        Ok(command) => command.program,
        Err(error) => return json!({"error": error.to_string()}),
    };
    let output = match Command::new(&program)
        .arg("--probe")
        .env_remove("CUDA_VISIBLE_DEVICES")
        .output()
    {
        Ok(output) => output,
        Err(error) => {
            return json!({"error": format!("{} does not start: {error}; {REMEDY}", program.display())});
        }
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = match complaint.lines().last() {
        Some(line) => line.to_owned(),
        None => format!("{} said nothing and may be no advrec-worker", program.display()),
    };
    match serde_json::from_slice::<Value>(&output.stdout) {
        Ok(value) if value["version"] == value["expected"] => value,
        Ok(value) => {
            let error = format!(
                "version {} is loaded, advrec is built for {}; {REMEDY}, or point LIBTORCH at that version and build again",
                value["version"], value["expected"]
            );
            json!({"error": error})
        }
        Err(_) => json!({"error": format!("{complaint}; {REMEDY}")}),
    }
}

fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}
