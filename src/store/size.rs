//! Sizes on the disk.

use std::fs;
use std::path::Path;

/// A size for people: `512 B`, `12.3 KiB`, `1.2 GiB`.
pub fn words(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        // Before a size would read as 1024.0 of its unit.
        if size < 1023.95 {
            break;
        }
        (size, unit) = (size / 1024.0, next);
    }
    match unit {
        "B" => format!("{bytes} B"),
        unit => format!("{size:.1} {unit}"),
    }
}

/// Bytes of a file, or of all files below a folder. Links are not followed; what cannot be read counts
/// nothing.
pub fn on_disk(path: &Path) -> u64 {
    let Ok(data) = fs::symlink_metadata(path) else { return 0 };
    if !data.is_dir() {
        return data.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| on_disk(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let said = [0, 1023, 1024, 1_048_550, 1_300_000_000, 5 << 40].map(words);
        assert_eq!(said, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.2 GiB", "5.0 TiB"]);
    }
}
