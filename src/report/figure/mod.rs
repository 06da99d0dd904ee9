//! Figures for a paper, from the database alone: one file for each kind of figure, which says what is in
//! it; `layout` puts it on a sheet and `paint` makes SVG and PNG of that.

mod attention;
mod frame;
mod frequency;
mod heat;
mod layout;
mod marks;
mod mmd;
mod names;
mod paint;
mod pca;
mod pdf;
mod picture;
mod results;
mod roc;
mod seeds;
mod series;
mod strength;
mod strength_frequency;
mod timeline;
mod training;
mod transfer;

pub(super) use names::dataset as dataset_name;
pub use paint::font_face;
pub use picture::Figure;
pub(super) use results::file_name;

use super::database::{ReportError, check_grid, relations};
use results::Outcome;
use rusqlite::Connection;
use thiserror::Error;

/// Why a figure could not be drawn although there is what it shows.
#[derive(Debug, Error)]
pub enum FigureError {
    #[error("could not draw the figure `{figure}`: {reason}")]
    Drawing { figure: String, reason: String },
    #[error("could not write the figure `{figure}` as PNG: {source}")]
    Encoding { figure: String, source: png::EncodingError },
}

/// Whose NDCG figures show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Users {
    /// Users with a full list of ten, over whom the paper averages; all, where nobody has one
    #[default]
    Full,
    /// All users with test items, missing places counted as misses
    All,
}

impl Users {
    /// The split of the metrics.
    fn split(self) -> &'static str {
        match self {
            Self::Full => "valid",
            Self::All => "all_users",
        }
    }

    /// What captions call them.
    fn words(self) -> &'static str {
        match self {
            Self::Full => "users with a full list",
            Self::All => "all users",
        }
    }
}

/// What figures are made from.
struct Source<'a> {
    db: &'a Connection,
    grid: Option<&'a str>,
    users: Users,
    outcomes: Vec<Outcome>,
}

impl Source<'_> {
    /// From now on NDCG is these users'.
    fn show(&mut self, users: Users) {
        self.users = users;
        self.outcomes.iter_mut().for_each(|outcome| outcome.users = users);
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(move |outcome| outcome.kind == kind)
    }
}

/// Draws all figures of its kind; none where what it shows is missing.
type Draw = fn(&Source<'_>) -> Result<Vec<Figure>, ReportError>;

/// A kind of figure: its id, what it needs, how it is drawn.
struct Kind {
    id: &'static str,
    needs: &'static str,
    draw: Draw,
}

const KINDS: [Kind; 11] = [
    frequency::KIND,
    strength::KIND,
    strength_frequency::KIND,
    roc::KIND,
    transfer::KIND,
    mmd::KIND,
    pca::KIND,
    training::KIND,
    seeds::KIND,
    timeline::KIND,
    attention::KIND,
];

/// A kind of figure that is not drawn, and what the database would need to have.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    pub figure: &'static str,
    pub needs: &'static str,
}

/// Makes all figures for which the database has results, and says which it has not.
///
/// # Errors
/// [`ReportError`] where the database cannot be read or has no grid of this name.
pub fn figures(
    db: &Connection,
    grid: Option<&str>,
    users: Users,
) -> Result<(Vec<Figure>, Vec<Skipped>), ReportError> {
    if let Some(name) = grid {
        check_grid(db, &relations(db)?, name)?;
    }
    let mut source = Source { db, grid, users, outcomes: results::read(db, grid)? };
    let (mut drawn, mut skipped) = (Vec::new(), Vec::new());
    for kind in &KINDS {
        source.show(users);
        let mut figures = (kind.draw)(&source)?;
        if figures.is_empty() && users == Users::Full {
            // Strong attacks leave no user with a full list.
            source.show(Users::All);
            figures = (kind.draw)(&source)?;
        }
        for figure in &mut figures {
            figure.caption = figure.caption.replace(Users::Full.words(), source.users.words());
        }
        if figures.is_empty() {
            skipped.push(Skipped { figure: kind.id, needs: kind.needs });
        }
        drawn.extend(figures);
    }
    Ok((drawn, skipped))
}

#[cfg(test)]
mod tests;
