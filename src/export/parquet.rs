//! Parquet: a column after the other, each of one type, in groups of rows.

use super::{ExportError, RowWriter, text};
use crate::store::{Column, RowStream};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use rusqlite::types::ValueRef;
use std::io::Write;
use std::sync::Arc;

/// Rows of a group: what is kept in memory until it is written.
const GROUP_ROWS: usize = 1 << 16;
/// Bytes of text of a group, where that is reached first.
const GROUP_BYTES: usize = 32 << 20;

/// Integers up to this are all reals, too: 2⁵³.
const EXACT: u64 = 1 << 53;

/// The type of a column; any value may be NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Real,
    /// Whatever is no number, and numbers beside such.
    Text,
}

/// What has been seen of a column.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    integer: bool,
    /// An integer that is no real.
    large: bool,
    real: bool,
    other: bool,
}

impl Seen {
    fn see(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => {}
            ValueRef::Integer(i) => {
                self.integer = true;
                self.large |= i.unsigned_abs() > EXACT;
            }
            ValueRef::Real(_) => self.real = true,
            ValueRef::Text(_) | ValueRef::Blob(_) => self.other = true,
        }
    }

    /// The type that holds all without loss; of a column of NULL alone the declared one.
    fn kind(self, declared: &str) -> Kind {
        match self {
            Self { other: true, .. } | Self { real: true, large: true, .. } => Kind::Text,
            Self { real: true, .. } => Kind::Real,
            Self { integer: true, .. } => Kind::Integer,
            _ if declared.starts_with("INT") => Kind::Integer,
            _ if ["REAL", "NUM"].iter().any(|name| declared.starts_with(name)) => Kind::Real,
            _ => Kind::Text,
        }
    }
}

/// The types of the columns of a query, from all its rows.
///
/// # Errors
/// If it cannot be read.
pub fn kinds(columns: &[Column], rows: &mut RowStream<'_>) -> Result<Vec<Kind>, ExportError> {
    let mut seen = vec![Seen::default(); columns.len()];
    rows.each(|row| {
        seen.iter_mut().zip(row).for_each(|(seen, &value)| seen.see(value));
        Ok::<_, ExportError>(())
    })?;
    Ok(seen.iter().zip(columns).map(|(seen, column)| seen.kind(&column.declared)).collect())
}

/// Values of a column that wait for their group.
struct Pending {
    values: Values,
    /// Of each row 1, or 0 where it is NULL and has no value.
    present: Vec<i16>,
}

enum Values {
    Integers(Vec<i64>),
    Reals(Vec<f64>),
    Texts(Vec<ByteArray>),
}

impl Pending {
    fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Integer => Values::Integers(Vec::new()),
            Kind::Real => Values::Reals(Vec::new()),
            Kind::Text => Values::Texts(Vec::new()),
        };
        Self { values, present: Vec::new() }
    }

    /// Takes a value; returns how many bytes of text it adds.
    fn push(&mut self, value: ValueRef<'_>) -> usize {
        self.present.push(i16::from(value != ValueRef::Null));
        match (&mut self.values, value) {
            (_, ValueRef::Null) => {}
            (Values::Integers(values), ValueRef::Integer(i)) => values.push(i),
            (Values::Reals(values), ValueRef::Real(x)) => values.push(x),
            (Values::Reals(values), ValueRef::Integer(i)) => values.push(i as f64),
            (Values::Texts(values), value) => {
                let text = text(value);
                // Rows beside each other often share a text, such as the parameters of one result.
                match values.last() {
                    Some(last) if last.data() == text.as_bytes() => values.push(last.clone()),
                    _ => {
                        values.push(text.as_bytes().to_vec().into());
                        return text.len();
                    }
                }
            }
            // The type holds all that was seen, and a snapshot shows the same rows twice.
            (Values::Integers(_) | Values::Reals(_), _) => unreachable!("a column has its type"),
        }
        0
    }

    fn clear(&mut self) {
        self.present.clear();
        match &mut self.values {
            Values::Integers(values) => values.clear(),
            Values::Reals(values) => values.clear(),
            Values::Texts(values) => values.clear(),
        }
    }
}

/// A Parquet file: integers are `int64`, reals `double`, texts UTF-8 strings.
pub struct Parquet<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Pending>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> Parquet<W> {
    /// Begins a file whose columns have these types.
    ///
    /// # Errors
    /// If the file does not take it.
    pub fn new(columns: &[String], kinds: &[Kind], out: W) -> Result<Self, ParquetError> {
        let field = |(name, kind): (&String, &Kind)| {
            let (physical, logical) = match kind {
                Kind::Integer => (Physical::INT64, None),
                Kind::Real => (Physical::DOUBLE, None),
                Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            };
            let builder = Type::primitive_type_builder(name, physical);
            let builder = builder.with_repetition(Repetition::OPTIONAL);
            builder.with_logical_type(logical).build().map(Arc::new)
        };
        let fields = columns.iter().zip(kinds).map(field).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("schema").with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("advrec version {}", env!("CARGO_PKG_VERSION")))
            .build();
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        let columns = kinds.iter().map(|&kind| Pending::new(kind)).collect();
        Ok(Self { file, columns, rows: 0, bytes: 0 })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for pending in &mut self.columns {
            let Some(mut column) = group.next_column()? else { break };
            let present = Some(&pending.present[..]);
            match &pending.values {
                Values::Integers(values) => {
                    column.typed::<Int64Type>().write_batch(values, present, None)?
                }
                Values::Reals(values) => {
                    column.typed::<DoubleType>().write_batch(values, present, None)?
                }
                Values::Texts(values) => {
                    column.typed::<ByteArrayType>().write_batch(values, present, None)?
                }
            };
            column.close()?;
            pending.clear();
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl<W: Write + Send> RowWriter for Parquet<W> {
    fn row(&mut self, row: &[ValueRef<'_>]) -> Result<(), ExportError> {
        for (column, &value) in self.columns.iter_mut().zip(row) {
            self.bytes += column.push(value);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.file.close()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use std::fs::File;

    fn kind(values: &[ValueRef<'_>], declared: &str) -> Kind {
        let mut seen = Seen::default();
        values.iter().for_each(|&value| seen.see(value));
        seen.kind(declared)
    }

    #[test]
    fn a_column_has_the_narrowest_type_that_loses_nothing() {
        let (one, half, word) =
            (ValueRef::Integer(1), ValueRef::Real(0.5), ValueRef::Text(b"word"));
        let large = ValueRef::Integer((1 << 53) + 1);
        assert_eq!(kind(&[one, ValueRef::Null, large], "TEXT"), Kind::Integer);
        assert_eq!(kind(&[half, one], ""), Kind::Real);
        assert_eq!(kind(&[half, large], "REAL"), Kind::Text);
        assert_eq!(kind(&[one, word], "INTEGER"), Kind::Text);
        assert_eq!(kind(&[ValueRef::Blob(&[1])], ""), Kind::Text);
        for (declared, expected) in
            [("INTEGER", Kind::Integer), ("INT", Kind::Integer), ("REAL", Kind::Real)]
        {
            assert_eq!(kind(&[ValueRef::Null], declared), expected);
        }
        assert_eq!(kind(&[], "TEXT"), Kind::Text);
    }

    #[test]
    fn groups_of_rows_give_back_every_value() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("a.db")).unwrap();
        let rows = GROUP_ROWS as i64 + 100;
        let sql = format!(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})
             SELECT i, CASE WHEN i % 3 THEN i / 7.0 WHEN i % 2 THEN i END AS x,
                    CASE WHEN i % 5 THEN 'λ' || (i / 2) END AS word, NULL AS vacant
             FROM n"
        );
        let column = |name: &str| Column { name: name.to_owned(), declared: String::new() };
        let columns = ["i", "x", "word", "vacant"].map(column);
        let mut stream = db.stream(&sql).unwrap();
        let kinds = kinds(&columns, &mut stream).unwrap();
        assert_eq!(kinds, [Kind::Integer, Kind::Real, Kind::Text, Kind::Text]);
        let path = dir.path().join("a.parquet");
        let out = File::create(&path).unwrap();
        let mut file = Box::new(Parquet::new(stream.columns(), &kinds, out).unwrap());
        stream.each(|row| file.row(row)).unwrap();
        file.finish().unwrap();

        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let mut count = 0;
        for (i, row) in (0..).zip(reader.get_row_iter(None).unwrap()) {
            let x = match (i % 3, i % 2) {
                (0, 0) => "null".to_owned(),
                (0, _) => format!("{:?}", i as f64),
                _ => format!("{:?}", i as f64 / 7.0),
            };
            let word = if i % 5 == 0 { "null".to_owned() } else { format!("\"λ{}\"", i / 2) };
            let row = row.unwrap().to_string();
            assert_eq!(row, format!("{{i: {i}, x: {x}, word: {word}, vacant: null}}"));
            count += 1;
        }
        assert_eq!(count, rows);
    }
}
