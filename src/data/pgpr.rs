//! PGPR's dataset format (Xian et al., SIGIR 2019): a folder of gzip files, one record a line, the
//! line number is the index.
//!
//! - `users`, `product`, `vocab`, `brand`, `category`, `related_product`: one name a line. Only
//!   their number matters here; a name may be empty.
//! - `brand_p_b`, `category_p_c`, `also_bought_p_p`, `also_viewed_p_p`, `bought_together_p_p`: line i
//!   lists the tails of product i, separated by spaces.
//! - `train` and `test`: user, product, and the words of the review, separated by tabs; or
//!   `train_pairs` and `test_pairs` without the words.
//!
//! Every message names the file and, counted from 1, the line.

use super::dataset::{Dataset, Interactions, Rows};
use crate::kg::EntityType;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What can be wrong with a folder in PGPR's format.
#[derive(Debug, Error)]
pub enum PgprError {
    #[error("there is no folder {dir}")]
    NoFolder { dir: PathBuf },
    #[error("{dir} lacks {wanted}")]
    MissingFile { dir: PathBuf, wanted: String },
    #[error("could not read {file}: {source}")]
    Io { file: PathBuf, source: io::Error },
    #[error(
        "{file}, line {line}: truncated or corrupt gzip ({reason}); copy or download the file again"
    )]
    Gzip { file: PathBuf, line: u64, reason: String },
    #[error("{file}, line 1: the file is empty")]
    Empty { file: PathBuf },
    #[error("{file}, line {line}: holds only blank lines where interactions were expected")]
    NoInteractions { file: PathBuf, line: u64 },
    #[error(
        "{file}, line {line}: CRLF line ending; convert the file to LF, for example by dos2unix"
    )]
    CarriageReturn { file: PathBuf, line: u64 },
    #[error("{file}, line {line}: `{text}` is not a whole number")]
    NotANumber { file: PathBuf, line: u64, text: String },
    #[error("{file}, line {line}: {columns} columns where {expected} are expected: {layout}")]
    Columns { file: PathBuf, line: u64, columns: usize, expected: usize, layout: &'static str },
    #[error(
        "{file}, line {line}: {what} index {value} is out of range; {vocabulary} has {size} lines, \
         so indices end at {last}", last = .size - 1
    )]
    OutOfRange {
        file: PathBuf,
        line: u64,
        what: &'static str,
        value: String,
        vocabulary: String,
        size: u64,
    },
    #[error(
        "{file}, line {line}: {lines} lines where {expected} are expected, one for each line of \
         {products}"
    )]
    Lines { file: PathBuf, line: u64, lines: u64, expected: u64, products: String },
    #[error("{dir} has {count} entities, more than 32 bits can number")]
    TooMany { dir: PathBuf, count: u64 },
}

/// Name of the file that lists a type's entities.
pub const fn entity_file(ty: EntityType) -> &'static str {
    match ty {
        EntityType::User => "users.txt.gz",
        EntityType::Product => "product.txt.gz",
        EntityType::Word => "vocab.txt.gz",
        EntityType::Brand => "brand.txt.gz",
        EntityType::Category => "category.txt.gz",
        EntityType::RelatedProduct => "related_product.txt.gz",
    }
}

/// Names of the files of [`crate::kg::Relation::OF_PRODUCT`].
pub const RELATION_FILES: [&str; 5] = [
    "brand_p_b.txt.gz",
    "category_p_c.txt.gz",
    "also_bought_p_p.txt.gz",
    "also_viewed_p_p.txt.gz",
    "bought_together_p_p.txt.gz",
];

/// Types of the tails of [`crate::kg::Relation::OF_PRODUCT`].
const TAILS: [EntityType; 5] = [
    EntityType::Brand,
    EntityType::Category,
    EntityType::RelatedProduct,
    EntityType::RelatedProduct,
    EntityType::RelatedProduct,
];

const LAYOUT_WORDS: &str = "user, product and the review's word indices, separated by tabs";
const LAYOUT_PAIRS: &str = "user and product, separated by a tab";

/// Reads a folder. Where reviews with words and pairs without are both there, the reviews are taken.
///
/// # Errors
/// If a file is missing or anything in it is not as the format says; see [`PgprError`].
pub fn read(dir: &Path) -> Result<Dataset, PgprError> {
    if !dir.is_dir() {
        return Err(PgprError::NoFolder { dir: dir.to_owned() });
    }
    // All missing files are found before anything long is done.
    for name in EntityType::ALL.map(entity_file).iter().chain(&RELATION_FILES) {
        if !dir.join(name).is_file() {
            return Err(PgprError::MissingFile {
                dir: dir.to_owned(),
                wanted: format!("the file {name}"),
            });
        }
    }
    let train = interaction_file(dir, "train")?;
    let test = interaction_file(dir, "test")?;

    let mut counts = [0u32; EntityType::COUNT];
    let mut total = 0u64;
    for ty in EntityType::ALL {
        let lines = TextFile::read(&dir.join(entity_file(ty)))?.count_lines()?;
        total += lines;
        // A single count that is too large makes the total too large.
        counts[ty as usize] = u32::try_from(lines).unwrap_or(u32::MAX);
    }
    if total > u64::from(u32::MAX) {
        return Err(PgprError::TooMany { dir: dir.to_owned(), count: total });
    }

    let mut product_relations: [Rows; 5] = std::array::from_fn(|_| Rows::new());
    for (i, rows) in product_relations.iter_mut().enumerate() {
        let file = TextFile::read(&dir.join(RELATION_FILES[i]))?;
        *rows = product_rows(&file, TAILS[i], &counts)?;
    }

    let train_part = interactions(&TextFile::read(&train.0)?, train.1, &counts)?;
    let mut test_part = interactions(&TextFile::read(&test.0)?, test.1, &counts)?;
    if !train.1 {
        // Words of the test part alone are of no use, and `has_words` speaks for both parts.
        test_part.words = Rows::empty_rows(test_part.len());
    }
    Ok(Dataset {
        counts,
        has_words: train.1,
        train: train_part,
        test: test_part,
        product_relations,
    })
}

/// The file of a part's interactions, and whether it has words.
fn interaction_file(dir: &Path, part: &str) -> Result<(PathBuf, bool), PgprError> {
    for (name, words) in [(format!("{part}.txt.gz"), true), (format!("{part}_pairs.txt.gz"), false)]
    {
        if dir.join(&name).is_file() {
            return Ok((dir.join(name), words));
        }
    }
    Err(PgprError::MissingFile {
        dir: dir.to_owned(),
        wanted: format!(
            "the {part} interactions: neither {part}.txt.gz (with review words) nor \
             {part}_pairs.txt.gz (without) is there"
        ),
    })
}

/// A file's text, unpacked.
struct TextFile {
    path: PathBuf,
    text: Vec<u8>,
}

impl TextFile {
    fn read(path: &Path) -> Result<Self, PgprError> {
        let io = |source| PgprError::Io { file: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let packed_bytes = file.metadata().map_err(io)?.len();
        if packed_bytes == 0 {
            return Err(PgprError::Empty { file: path.to_owned() });
        }
        let mut text = Vec::with_capacity(packed_bytes as usize * 4);
        let reader = io::BufReader::with_capacity(1 << 17, file);
        if let Err(e) = MultiGzDecoder::new(reader).read_to_end(&mut text) {
            // What was unpacked before the damage says how far the file is good.
            let line = 1 + text.iter().filter(|&&b| b == b'\n').count() as u64;
            return Err(match e.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::InvalidData => {
                    PgprError::Gzip { file: path.to_owned(), line, reason: e.to_string() }
                }
                _ => io(e),
            });
        }
        if text.is_empty() {
            return Err(PgprError::Empty { file: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), text })
    }

    /// The lines with their numbers from 1, without line ends. A last line may lack its line end.
    fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        (1u64..).zip(text.split(|&b| b == b'\n'))
    }

    fn count_lines(&self) -> Result<u64, PgprError> {
        let mut count = 0;
        for (line, text) in self.lines() {
            self.check_ending(line, text)?;
            count = line;
        }
        Ok(count)
    }

    fn check_ending(&self, line: u64, text: &[u8]) -> Result<(), PgprError> {
        if text.last() == Some(&b'\r') {
            return Err(PgprError::CarriageReturn { file: self.path.clone(), line });
        }
        Ok(())
    }

    /// Reads one index of a type.
    fn index(
        &self,
        line: u64,
        text: &[u8],
        ty: EntityType,
        counts: &[u32; EntityType::COUNT],
    ) -> Result<u32, PgprError> {
        let mut value = 0u64;
        for &byte in text {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(self.not_a_number(line, text));
            }
            value = value.saturating_mul(10).saturating_add(u64::from(digit));
        }
        if text.is_empty() {
            return Err(self.not_a_number(line, text));
        }
        let size = counts[ty as usize];
        match u32::try_from(value) {
            Ok(index) if index < size => Ok(index),
            _ => Err(PgprError::OutOfRange {
                file: self.path.clone(),
                line,
                what: ty.name(),
                value: shown(text),
                vocabulary: entity_file(ty).to_owned(),
                size: u64::from(size),
            }),
        }
    }

    /// Appends the indices in a list separated by spaces.
    fn indices(
        &self,
        line: u64,
        text: &[u8],
        ty: EntityType,
        counts: &[u32; EntityType::COUNT],
        values: &mut Vec<u32>,
    ) -> Result<(), PgprError> {
        for item in text.split(|&b| b == b' ') {
            // Runs of spaces, and one at the end, are harmless.
            if !item.is_empty() {
                values.push(self.index(line, item, ty, counts)?);
            }
        }
        Ok(())
    }

    fn not_a_number(&self, line: u64, text: &[u8]) -> PgprError {
        PgprError::NotANumber { file: self.path.clone(), line, text: shown(text) }
    }
}

/// Text from a file as a message quotes it.
fn shown(text: &[u8]) -> String {
    const LONGEST: usize = 40;
    let mut shown = String::from_utf8_lossy(&text[..text.len().min(LONGEST)]).into_owned();
    if text.len() > LONGEST {
        shown.push('…');
    }
    shown
}

fn product_rows(
    file: &TextFile,
    tail: EntityType,
    counts: &[u32; EntityType::COUNT],
) -> Result<Rows, PgprError> {
    let expected = u64::from(counts[EntityType::Product as usize]);
    let mut rows = Rows::new();
    let mut lines = 0;
    for (line, text) in file.lines() {
        file.check_ending(line, text)?;
        file.indices(line, text, tail, counts, &mut rows.values)?;
        rows.offsets.push(rows.values.len() as u64);
        lines = line;
    }
    if lines != expected {
        return Err(PgprError::Lines {
            file: file.path.clone(),
            // Too few: where the file ends. Too many: the first line without a product.
            line: lines.min(expected + 1),
            lines,
            expected,
            products: entity_file(EntityType::Product).to_owned(),
        });
    }
    Ok(rows)
}

fn interactions(
    file: &TextFile,
    with_words: bool,
    counts: &[u32; EntityType::COUNT],
) -> Result<Interactions, PgprError> {
    if file.text.iter().all(|b| b"\n ".contains(b)) {
        let line = file.lines().count() as u64;
        return Err(PgprError::NoInteractions { file: file.path.clone(), line });
    }
    let (expected, layout) = if with_words { (3, LAYOUT_WORDS) } else { (2, LAYOUT_PAIRS) };
    let mut part = Interactions { words: Rows::new(), ..Interactions::default() };
    for (line, text) in file.lines() {
        file.check_ending(line, text)?;
        let mut columns = text.splitn(expected + 1, |&b| b == b'\t');
        let fields = [columns.next(), columns.next(), columns.next()];
        let (user, product, words) = match (fields, columns.next()) {
            ([Some(user), Some(product), Some(words)], None) if with_words => {
                (user, product, words)
            }
            ([Some(user), Some(product), None], None) if !with_words => (user, product, &[][..]),
            _ => {
                return Err(PgprError::Columns {
                    file: file.path.clone(),
                    line,
                    columns: text.split(|&b| b == b'\t').count(),
                    expected,
                    layout,
                });
            }
        };
        part.users.push(file.index(line, user, EntityType::User, counts)?);
        part.products.push(file.index(line, product, EntityType::Product, counts)?);
        file.indices(line, words, EntityType::Word, counts, &mut part.words.values)?;
        part.words.offsets.push(part.words.values.len() as u64);
    }
    Ok(part)
}
