//! The figures of `advrec report --figures`.

use crate::report::figure::{self, Figure, Skipped, Users};
use crate::store::{Database, WholeFile};
use anyhow::Context as _;
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Which figures are written.
#[derive(clap::Args)]
pub struct FigureArgs {
    /// Also write every figure that there are results for into this folder
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
    /// The format of the figures; `both` is SVG and PNG
    #[arg(long, value_name = "FORMAT", default_value = "both", requires = "figures")]
    figure_format: FigureFormat,
    /// Whose NDCG the figures show
    #[arg(long, value_name = "USERS", default_value = "full", requires = "figures")]
    figure_users: Users,
}

/// Formats of figures.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FigureFormat {
    Svg,
    Png,
    Pdf,
    Both,
    All,
}

/// What became of the figures.
#[derive(Serialize)]
pub struct Figures {
    written: Vec<Written>,
    skipped: Vec<Skipped>,
}

/// A figure's files and its caption.
#[derive(Serialize)]
struct Written {
    files: Vec<PathBuf>,
    caption: String,
}

impl Figures {
    /// Draws and writes those that are asked for; `None` where none are.
    ///
    /// # Errors
    /// If the database cannot be read, or a file cannot be written.
    pub fn write(
        args: &FigureArgs,
        db: &Database,
        grid: Option<&str>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(folder) = &args.figures else { return Ok(None) };
        let (drawn, skipped) = figure::figures(db.connection(), grid, args.figure_users)?;
        Ok(Some(Self { written: write_figures(&drawn, folder, args.figure_format)?, skipped }))
    }

    /// What became of them, for people.
    pub fn to_text(&self) -> String {
        let mut text = String::from("\nFigures\n");
        for Written { files, caption } in &self.written {
            let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
            text += &format!("  {}\n    {caption}\n", files.join(", "));
        }
        for Skipped { figure, needs } in &self.skipped {
            text += &format!("  {figure}: not drawn; it needs {needs}\n");
        }
        text
    }
}

/// Draws all before it writes any, so that a failure leaves no mixture of old and new.
fn write_figures(
    figures: &[Figure],
    folder: &Path,
    format: FigureFormat,
) -> anyhow::Result<Vec<Written>> {
    let mut all: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let mut written = Vec::new();
    for figure in figures {
        let mut files = Vec::new();
        let path = |ending: &str| folder.join(format!("{}.{ending}", figure.name));
        use FigureFormat::{All, Both, Pdf, Png, Svg};
        if matches!(format, Svg | Both | All) {
            files.push((path("svg"), figure.to_svg(true)?.into()));
        }
        if matches!(format, Png | Both | All) {
            files.push((path("png"), figure.to_png()?));
        }
        if matches!(format, Pdf | All) {
            files.push((path("pdf"), figure.to_pdf()?));
        }
        let paths = files.iter().map(|(path, _)| path.clone()).collect();
        written.push(Written { files: paths, caption: figure.caption.clone() });
        all.extend(files);
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not make the folder {}", folder.display()))?;
    for (path, bytes) in all {
        let whole = || {
            let mut file = WholeFile::create(&path)?;
            file.write_all(&bytes)?;
            file.finish()
        };
        whole().with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(written)
}
