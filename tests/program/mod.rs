//! How tests run the built programs: in a folder of the test's own, without settings of whoever tests.

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
