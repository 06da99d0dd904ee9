//! The logs of stages and workers.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of a log goes into the database with an error.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 8192;

/// The last lines of a log, after a line break; nothing when there is nothing.
pub fn tail(log: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    last.iter().flat_map(|line| ["\n", line]).collect()
}

/// Whether a log holds anything; an empty one is removed.
pub fn keep_log(log: &Path) -> bool {
    match fs::metadata(log) {
        Ok(data) if data.len() > 0 => true,
        Ok(_) => {
            // One that stays says nothing either.
            let _ = fs::remove_file(log);
            false
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        assert_eq!(tail(&log), "");
        let text: String = (0..3000).map(|i| format!("line {i}\n")).collect();
        fs::write(&log, text).unwrap();
        let tail = tail(&log);
        assert!(tail.starts_with("\nline 2980\n") && tail.ends_with("\nline 2999"), "{tail}");
    }
}
