//! Writes a dataset in PGPR's format, so that PGPR's own program can be run on it.

use super::dataset::{Dataset, Interactions};
use super::pgpr::{RELATION_FILES, entity_file};
use crate::kg::EntityType;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What can go wrong in writing a dataset in PGPR's format.
#[derive(Debug, Error)]
pub enum PgprWriteError {
    #[error("{dir} is there already and not an empty folder; name another folder")]
    Occupied { dir: PathBuf },
    #[error("could not write {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Writes all files of the dataset into a new folder: reviews in three columns where the dataset has
/// words, pairs otherwise. Entities get made-up names (`user_0`, …), as a [`Dataset`] holds none. The
/// folder appears when all of it is written.
///
/// # Errors
/// If the folder is there already and is not empty, or a file cannot be written; nothing is then
/// left.
pub fn write(dataset: &Dataset, dir: &Path) -> Result<(), PgprWriteError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| PgprWriteError::Io { path, source }
    };
    let taken = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) => e.kind() != io::ErrorKind::NotFound,
    };
    if taken {
        return Err(PgprWriteError::Occupied { dir: dir.to_owned() });
    }
    let mut partial = dir.as_os_str().to_owned();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = PathBuf::from(partial);
    fs::create_dir_all(&partial).map_err(io(&partial))?;
    let written =
        write_files(dataset, &partial).and_then(|()| fs::rename(&partial, dir).map_err(io(dir)));
    if written.is_err() {
        // The first error is the one to tell; what cannot be removed stays under its partial name.
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

fn write_files(dataset: &Dataset, dir: &Path) -> Result<(), PgprWriteError> {
    let file = |name: &str, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
        let path = dir.join(name);
        let gzip = || {
            let packed = GzEncoder::new(File::create(&path)?, Compression::default());
            let mut out = BufWriter::with_capacity(1 << 16, packed);
            write(&mut out)?;
            out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?.flush()
        };
        gzip().map_err(|source| PgprWriteError::Io { path: path.clone(), source })
    };
    for ty in EntityType::ALL {
        file(entity_file(ty), &|out| {
            (0..dataset.count(ty)).try_for_each(|i| writeln!(out, "{}_{i}", ty.name()))
        })?;
    }
    for (name, rows) in RELATION_FILES.into_iter().zip(&dataset.product_relations) {
        file(name, &|out| {
            rows.iter().try_for_each(|row| {
                list(out, row)?;
                writeln!(out)
            })
        })?;
    }
    for (part, interactions) in [("train", &dataset.train), ("test", &dataset.test)] {
        let suffix = if dataset.has_words { "" } else { "_pairs" };
        file(&format!("{part}{suffix}.txt.gz"), &|out| {
            purchases(out, interactions, dataset.has_words)
        })?;
    }
    Ok(())
}

fn purchases(out: &mut dyn Write, part: &Interactions, has_words: bool) -> io::Result<()> {
    for i in 0..part.len() {
        write!(out, "{}\t{}", part.users[i], part.products[i])?;
        if has_words {
            write!(out, "\t")?;
            list(out, part.words.row(i))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn list(out: &mut dyn Write, row: &[u32]) -> io::Result<()> {
    for (i, value) in row.iter().enumerate() {
        if i > 0 {
            write!(out, " ")?;
        }
        write!(out, "{value}")?;
    }
    Ok(())
}
