//! A dataset in memory and as an artefact: counts, interactions with their review words, and the
//! products' own relations. Everything is flat.

use super::arrays::{ArrayFile, Arrays, ArraysError};
use crate::kg::{EntityType, Relation};
use crate::plan::{Stage, StageKey, StageKind};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Name of the file in a dataset's artefact.
pub const FILE: &str = "dataset.safetensors";

/// What can go wrong in reading or writing a dataset's artefact.
#[derive(Debug, Error)]
pub enum DatasetError {
    #[error(transparent)]
    Arrays(#[from] ArraysError),
    #[error("{path} holds no consistent dataset: {reason}")]
    Inconsistent { path: PathBuf, reason: String },
}

/// Rows of variable length in two flat arrays: row `i` is `values[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// One more than there are rows; starts with 0.
    pub offsets: Vec<u64>,
    pub values: Vec<u32>,
}

impl Rows {
    /// No rows yet.
    pub fn new() -> Self {
        Self { offsets: vec![0], values: Vec::new() }
    }

    /// Appends a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = u32>) {
        self.values.extend(row);
        self.offsets.push(self.values.len() as u64);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of row `i`.
    pub fn row(&self, i: usize) -> &[u32] {
        &self.values[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    /// Rows from their two arrays; `None` unless the offsets start at 0, never fall and end at the
    /// number of values.
    pub fn from_parts(offsets: Vec<u64>, values: Vec<u32>) -> Option<Self> {
        let valid = offsets.first() == Some(&0)
            && offsets.last() == Some(&(values.len() as u64))
            && offsets.is_sorted();
        valid.then_some(Self { offsets, values })
    }

    /// This many rows with nothing in them.
    pub fn empty_rows(count: usize) -> Self {
        Self { offsets: vec![0; count + 1], values: Vec::new() }
    }

    /// For each value below `columns` the rows that hold it, ascending; a row that holds a value
    /// twice is listed twice. A counting sort: time is linear.
    pub fn transposed(&self, columns: usize) -> Rows {
        let mut offsets = vec![0u64; columns + 1];
        for &value in &self.values {
            offsets[value as usize + 1] += 1;
        }
        for column in 0..columns {
            offsets[column + 1] += offsets[column];
        }
        let mut next = offsets.clone();
        let mut values = vec![0u32; self.values.len()];
        for (i, row) in self.iter().enumerate() {
            for &value in row {
                values[next[value as usize] as usize] = i as u32;
                next[value as usize] += 1;
            }
        }
        Rows { offsets, values }
    }

    /// The same rows as sets: values ascending, each once. Every value is below `columns`.
    pub fn sorted_sets(&self, columns: usize) -> Rows {
        let sorted = self.transposed(columns).transposed(self.len());
        let mut sets = Rows { offsets: vec![0], values: Vec::with_capacity(sorted.values.len()) };
        for row in sorted.iter() {
            let start = sets.values.len();
            for &value in row {
                if sets.values[start..].last() != Some(&value) {
                    sets.values.push(value);
                }
            }
            sets.offsets.push(sets.values.len() as u64);
        }
        sets
    }

    /// Gathers rows by key: row `k` of the result holds the values of every row `i` of this with
    /// `keys[i] == k`, in the order of `i`. One key a row, each below `groups`.
    pub fn grouped(&self, keys: &[u32], groups: usize) -> Rows {
        debug_assert_eq!(keys.len(), self.len());
        let mut offsets = vec![0u64; groups + 1];
        for (i, &key) in keys.iter().enumerate() {
            offsets[key as usize + 1] += self.row(i).len() as u64;
        }
        for group in 0..groups {
            offsets[group + 1] += offsets[group];
        }
        let mut next = offsets.clone();
        let mut values = vec![0u32; self.values.len()];
        for (i, &key) in keys.iter().enumerate() {
            let row = self.row(i);
            let start = next[key as usize] as usize;
            values[start..start + row.len()].copy_from_slice(row);
            next[key as usize] += row.len() as u64;
        }
        Rows { offsets, values }
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|i| self.row(i))
    }
}

/// Purchases in file order: parallel arrays, and the words of each purchase's review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interactions {
    pub users: Vec<u32>,
    pub products: Vec<u32>,
    /// One row a purchase; all rows empty where the dataset has no words.
    pub words: Rows,
}

impl Interactions {
    pub fn len(&self) -> usize {
        self.users.len()
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The distinct products of each user (row = user), ascending.
    pub fn products_by_user(&self, users: usize, products: usize) -> Rows {
        let single =
            Rows { offsets: (0..=self.len() as u64).collect(), values: self.products.clone() };
        single.grouped(&self.users, users).sorted_sets(products)
    }
}

/// A dataset as imported or generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Number of entities by [`EntityType`].
    pub counts: [u32; EntityType::COUNT],
    /// Whether the interactions came with review words.
    pub has_words: bool,
    pub train: Interactions,
    pub test: Interactions,
    /// Tails of each product (row = product) by [`crate::kg::Relation::OF_PRODUCT`], as in the
    /// files, repetitions included. Tails are brands, categories, or related products.
    pub product_relations: [Rows; 5],
}

impl Dataset {
    /// Number of entities of one type.
    pub fn count(&self, ty: EntityType) -> usize {
        self.counts[ty as usize] as usize
    }

    /// Digest of all that the dataset holds, and of nothing else: the same data gives the same
    /// digest wherever it came from.
    pub fn content_key(&self) -> StageKey {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &mut dyn Iterator<Item = [u8; 8]>| {
            // The length goes in after the part, so that no two divisions into parts look alike.
            let mut count = 0u64;
            let mut buffer = Vec::with_capacity(1 << 16);
            for number in bytes {
                buffer.extend_from_slice(&number);
                count += 1;
                if buffer.len() >= 1 << 16 {
                    hasher.update(&buffer);
                    buffer.clear();
                }
            }
            hasher.update(&buffer);
            hasher.update(&count.to_le_bytes());
        };
        let mut narrow = |values: &[u32]| {
            part(&mut values.iter().map(|&v| u64::from(v).to_le_bytes()));
        };
        narrow(&self.counts);
        narrow(&[u32::from(self.has_words)]);
        for interactions in [&self.train, &self.test] {
            narrow(&interactions.users);
            narrow(&interactions.products);
        }
        let word_rows = [&self.train.words, &self.test.words];
        for rows in word_rows.into_iter().chain(&self.product_relations) {
            narrow(&rows.values);
            // Lengths rather than offsets: offsets may pass 32 bits.
            let lengths: Vec<u32> = rows.iter().map(|row| row.len() as u32).collect();
            narrow(&lengths);
        }
        StageKey::of_bytes(hasher.finalize().as_bytes())
    }

    /// The stage whose artefact this dataset is; `stage().key()` names the artefact.
    pub fn stage(&self) -> Stage {
        let mut params = Map::new();
        params.insert("content".to_owned(), Value::from(self.content_key().as_str()));
        Stage::new(StageKind::Dataset, params, Vec::new())
    }

    /// Writes [`FILE`] in the folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), DatasetError> {
        let mut arrays = Arrays::default();
        arrays.add("counts", &self.counts);
        arrays.add("has_words", &[u8::from(self.has_words)]);
        for (part, interactions) in [("train", &self.train), ("test", &self.test)] {
            arrays.add(&format!("{part}.users"), &interactions.users);
            arrays.add(&format!("{part}.products"), &interactions.products);
            arrays.add(&format!("{part}.word_offsets"), &interactions.words.offsets);
            arrays.add(&format!("{part}.words"), &interactions.words.values);
        }
        for (relation, rows) in Relation::OF_PRODUCT.iter().zip(&self.product_relations) {
            arrays.add(&format!("{}.offsets", relation.name()), &rows.offsets);
            arrays.add(&format!("{}.tails", relation.name()), &rows.values);
        }
        Ok(arrays.write(&dir.join(FILE))?)
    }

    /// Reads [`FILE`] in the folder.
    ///
    /// # Errors
    /// If it cannot be read, or what it holds is not consistent: lengths that do not match, an index
    /// beyond its entity count.
    pub fn load(dir: &Path) -> Result<Self, DatasetError> {
        let path = dir.join(FILE);
        let file = ArrayFile::open(&path)?;
        let inconsistent =
            |reason: String| DatasetError::Inconsistent { path: path.clone(), reason };
        let rows = |offsets: &str, values: &str| {
            Rows::from_parts(file.read(offsets)?, file.read(values)?)
                .ok_or_else(|| inconsistent(format!("`{offsets}` does not fit `{values}`")))
        };
        let part = |name: &str| {
            Ok::<_, DatasetError>(Interactions {
                users: file.read(&format!("{name}.users"))?,
                products: file.read(&format!("{name}.products"))?,
                words: rows(&format!("{name}.word_offsets"), &format!("{name}.words"))?,
            })
        };
        let of_product = |i: usize| {
            let name = Relation::OF_PRODUCT[i].name();
            rows(&format!("{name}.offsets"), &format!("{name}.tails"))
        };
        let dataset = Self {
            counts: file
                .read("counts")?
                .try_into()
                .map_err(|_| file.bad("counts", "does not hold a number for each entity type"))?,
            has_words: file.read::<u8>("has_words")? == [1],
            train: part("train")?,
            test: part("test")?,
            product_relations: [
                of_product(0)?,
                of_product(1)?,
                of_product(2)?,
                of_product(3)?,
                of_product(4)?,
            ],
        };
        dataset.check().map_err(inconsistent)?;
        Ok(dataset)
    }

    /// Whether all lengths and indices fit one another; otherwise what does not.
    fn check(&self) -> Result<(), String> {
        let below = |what: &str, values: &[u32], ty: EntityType| match values.iter().max() {
            Some(&max) if max as usize >= self.count(ty) => {
                Err(format!("{what} {max} of {} {}", self.count(ty), ty.name()))
            }
            _ => Ok(()),
        };
        if self.counts.iter().map(|&c| u64::from(c)).sum::<u64>() > u64::from(u32::MAX) {
            return Err("more entities than 32 bits can number".to_owned());
        }
        for part in [&self.train, &self.test] {
            if part.products.len() != part.len() || part.words.len() != part.len() {
                return Err("interactions of unequal lengths".to_owned());
            }
            below("user", &part.users, EntityType::User)?;
            below("product", &part.products, EntityType::Product)?;
            below("word", &part.words.values, EntityType::Word)?;
        }
        for (relation, rows) in Relation::OF_PRODUCT.into_iter().zip(&self.product_relations) {
            if rows.len() != self.count(EntityType::Product) {
                return Err(format!("{} rows of {}", rows.len(), relation.name()));
            }
            if let Some((_, tail)) = relation.ends() {
                below(relation.name(), &rows.values, tail)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn rows(rows: &[&[u32]]) -> Rows {
        let mut all = Rows::new();
        rows.iter().for_each(|row| all.push(row.iter().copied()));
        all
    }

    proptest! {
        #[test]
        fn sets_are_sorted_and_free_of_repetition(
            table in prop::collection::vec(prop::collection::vec(0u32..9, 0..7), 0..6),
        ) {
            let mut all = Rows::new();
            table.iter().for_each(|row| all.push(row.iter().copied()));
            let sets = all.sorted_sets(9);
            prop_assert_eq!(sets.len(), table.len());
            for (set, row) in sets.iter().zip(&table) {
                let expected: Vec<u32> =
                    row.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
                prop_assert_eq!(set, expected);
            }
        }
    }

    #[test]
    fn rows_are_gathered_in_order() {
        let all = rows(&[&[5, 1], &[], &[2], &[7]]);
        assert_eq!(all.grouped(&[2, 0, 0, 2], 3), rows(&[&[2], &[], &[5, 1, 7]]));
    }

    fn dataset() -> Dataset {
        let relation = |row: &[u32]| rows(&[row, &[]]);
        Dataset {
            counts: [2, 2, 300, 1, 1, 1],
            has_words: true,
            train: Interactions {
                users: vec![0, 1],
                products: vec![1, 0],
                words: rows(&[&[299, 0, 0], &[]]),
            },
            test: Interactions { users: vec![0], products: vec![0], words: rows(&[&[]]) },
            product_relations: [
                relation(&[0]),
                relation(&[0, 0]),
                relation(&[]),
                relation(&[0]),
                relation(&[]),
            ],
        }
    }

    #[test]
    fn a_dataset_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let dataset = dataset();
        dataset.save(dir.path()).unwrap();
        let loaded = Dataset::load(dir.path()).unwrap();
        assert_eq!(loaded, dataset);
        assert_eq!(loaded.stage().key(), dataset.stage().key());
    }

    #[test]
    fn any_change_changes_the_key() {
        let base = dataset();
        let mut keys = BTreeSet::from([base.content_key()]);
        let changes: [fn(&mut Dataset); 7] = [
            |d| d.counts[2] = 301,
            |d| d.has_words = false,
            |d| d.train.users.swap(0, 1),
            |d| d.train.words.values[2] = 1,
            |d| d.train.words.offsets[1] = 2,
            |d| d.test.products[0] = 1,
            |d| d.product_relations.swap(2, 3),
        ];
        for change in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert!(keys.insert(changed.content_key()));
        }
    }

    #[test]
    fn an_inconsistent_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut dataset = dataset();
        dataset.train.products[0] = 2;
        dataset.save(dir.path()).unwrap();
        let message = Dataset::load(dir.path()).unwrap_err().to_string();
        assert!(message.ends_with("no consistent dataset: product 2 of 2 product"), "{message}");
    }
}
