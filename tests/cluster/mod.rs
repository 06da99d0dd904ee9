//! A Slurm cluster on this machine, one for all tests of a program.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The cluster's configuration file, for the variable SLURM_CONF; it stops when this process ends. Where
/// there can be none, the reason is printed.
pub fn slurm_conf() -> Option<&'static str> {
    static CLUSTER: OnceLock<Result<String, String>> = OnceLock::new();
    match CLUSTER.get_or_init(start) {
        Ok(conf) => Some(conf),
        Err(reason) => {
            // Not eprintln, whose output a test that passes keeps to itself.
            let _ = writeln!(std::io::stderr(), "skipped: {reason}");
            None
        }
    }
}

fn start() -> Result<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("scripts/slurm-test-cluster"))
        .find(|script| script.is_file())
        .ok_or("there is no scripts/slurm-test-cluster")?;
    // The script removes it. Below the system's own folder, because the path of a socket must be short.
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?.keep();
    let process = std::process::id().to_string();
    let output = Command::new(script).arg("start").arg(&folder).arg(process).output();
    let output = output.map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match text(&output.stdout).strip_prefix("SLURM_CONF=") {
        Some(conf) if output.status.success() => Ok(conf.to_owned()),
        _ => {
            // The script has stopped what it had started.
            let _ = std::fs::remove_dir_all(&folder);
            Err(text(&output.stderr))
        }
    }
}

/// Runs a command of Slurm; what it printed.
pub fn ask(conf: &str, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).env("SLURM_CONF", conf).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
