//! Named flat arrays of whole numbers in a safetensors file: the form that datasets and graphs take
//! on disk. Each array is stored in the narrowest unsigned type that holds its largest value.

use memmap2::Mmap;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What can go wrong with a file of arrays.
#[derive(Debug, Error)]
pub enum ArraysError {
    #[error("could not {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is not a usable safetensors file: {source}")]
    Format { path: PathBuf, source: SafeTensorError },
    #[error("array `{name}` in {path} {reason}")]
    Array { path: PathBuf, name: String, reason: &'static str },
}

/// Arrays to be written.
#[derive(Debug, Default)]
pub struct Arrays {
    arrays: Vec<(String, Dtype, usize, Vec<u8>)>,
}

impl Arrays {
    /// Adds an array. Names must differ.
    pub fn add<T: Copy + Into<u64>>(&mut self, name: &str, values: &[T]) {
        let largest = values.iter().map(|&v| v.into()).max().unwrap_or(0);
        let (dtype, width) = match largest {
            0..=0xff => (Dtype::U8, 1),
            0x100..=0xffff => (Dtype::U16, 2),
            0x1_0000..=0xffff_ffff => (Dtype::U32, 4),
            _ => (Dtype::U64, 8),
        };
        let mut bytes = Vec::with_capacity(values.len() * width);
        for &value in values {
            bytes.extend_from_slice(&value.into().to_le_bytes()[..width]);
        }
        self.arrays.push((name.to_owned(), dtype, values.len(), bytes));
    }

    /// Writes the file. The same arrays give the same bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ArraysError> {
        let failed = |source| match source {
            SafeTensorError::IoError(source) => {
                ArraysError::Io { action: "write", path: path.to_owned(), source }
            }
            source => ArraysError::Format { path: path.to_owned(), source },
        };
        let views = self
            .arrays
            .iter()
            .map(|(name, dtype, len, bytes)| {
                Ok((name, TensorView::new(*dtype, vec![*len], bytes)?))
            })
            .collect::<Result<Vec<_>, SafeTensorError>>()
            .map_err(failed)?;
        safetensors::serialize_to_file(views, None, path).map_err(failed)
    }
}

/// An open file of arrays.
#[derive(Debug)]
pub struct ArrayFile {
    path: PathBuf,
    map: Mmap,
}

impl ArrayFile {
    /// Opens a file that [`Arrays::write`] wrote.
    ///
    /// # Errors
    /// If it cannot be opened or is no safetensors file.
    pub fn open(path: &Path) -> Result<Self, ArraysError> {
        let io = |source| ArraysError::Io { action: "open", path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        // SAFETY: artefacts are written under another name and never changed after the renaming, so
        // the mapped bytes do not change while they are read.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        let opened = Self { path: path.to_owned(), map };
        opened.tensors()?;
        Ok(opened)
    }

    fn tensors(&self) -> Result<SafeTensors<'_>, ArraysError> {
        SafeTensors::deserialize(&self.map)
            .map_err(|source| ArraysError::Format { path: self.path.clone(), source })
    }

    /// Reads one array.
    ///
    /// # Errors
    /// If it is missing, is not a flat array of unsigned numbers, or a value does not fit `T`.
    pub fn read<T: TryFrom<u64>>(&self, name: &str) -> Result<Vec<T>, ArraysError> {
        let tensors = self.tensors()?;
        let tensor = tensors.tensor(name).map_err(|_| self.bad(name, "is missing"))?;
        if tensor.shape().len() != 1 {
            return Err(self.bad(name, "is not flat"));
        }
        let values = match tensor.dtype() {
            Dtype::U8 => widen::<T, 1>(tensor.data()),
            Dtype::U16 => widen::<T, 2>(tensor.data()),
            Dtype::U32 => widen::<T, 4>(tensor.data()),
            Dtype::U64 => widen::<T, 8>(tensor.data()),
            _ => return Err(self.bad(name, "does not hold unsigned whole numbers")),
        };
        values.ok_or_else(|| self.bad(name, "holds a number that is too large"))
    }

    /// An error about an array of this file.
    pub fn bad(&self, name: &str, reason: &'static str) -> ArraysError {
        ArraysError::Array { path: self.path.clone(), name: name.to_owned(), reason }
    }
}

/// Little-endian numbers of `W` bytes each; `None` if one does not fit `T`.
fn widen<T: TryFrom<u64>, const W: usize>(bytes: &[u8]) -> Option<Vec<T>> {
    bytes
        .chunks_exact(W)
        .map(|chunk| {
            let mut wide = [0u8; 8];
            wide[..W].copy_from_slice(chunk);
            T::try_from(u64::from_le_bytes(wide)).ok()
        })
        .collect()
}

// In tests a failed `unwrap` is a failed assertion.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_whatever_their_width() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let wide = [0u64, 255, 256, 65_535, 65_536, u64::from(u32::MAX), u64::MAX];
        let mut arrays = Arrays::default();
        for n in 0..=wide.len() {
            arrays.add(&n.to_string(), &wide[..n]);
        }
        arrays.write(&path).unwrap();
        let file = ArrayFile::open(&path).unwrap();
        for n in 0..=wide.len() {
            assert_eq!(file.read::<u64>(&n.to_string()).unwrap(), wide[..n]);
        }
        assert_eq!(file.read::<u8>("2").unwrap(), [0, 255]);
        let message = |name| file.read::<u8>(name).unwrap_err().to_string();
        assert!(message("3").ends_with("holds a number that is too large"));
        assert!(message("none").ends_with("is missing"));
    }

    #[test]
    fn other_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        std::fs::write(&path, b"no tensors here").unwrap();
        let message = ArrayFile::open(&path).unwrap_err().to_string();
        assert!(message.contains("is not a usable safetensors file"), "{message}");
    }
}
