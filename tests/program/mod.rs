//! How tests run the built programs: in a folder of the test's own, without settings of whoever tests.

#![allow(dead_code)] // Each test program uses a part.

use std::path::Path;
use std::process::Command;

/// A program with these arguments, in this folder.
pub fn command(program: &Path, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ADVREC_")) {
        command.env_remove(name);
    }
    command.args(args).current_dir(folder);
    command
}

/// Runs a program of the built ones to its end: exit code, standard output, standard error.
pub fn run(program: &Path, folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = command(program, folder, args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
