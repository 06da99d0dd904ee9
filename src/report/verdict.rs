//! How our numbers stand to the clean agent's and to the paper's (docs/method.md, section 9).

use super::document::{Cell, Column, Row, Table};
use super::table1::{Block, Estimate, METRICS, ResultRow, Table1};
use super::table2::{DetectorBlock, Table2};
use super::table2_layout::{METRICS as MEASURES, PAPERS};

/// The paper's number against ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It lies in our interval.
    Within,
    /// It does not, but moves from the clean number to the same side as ours.
    SameDirection,
    /// It moves to the other side.
    Contradicts,
    /// It does not lie in our interval, and no clean number gives a direction.
    Outside,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::SameDirection => "same direction",
            Self::Contradicts => "contradicts",
            Self::Outside => "outside",
        }
    }

    /// The verdict on a number of the paper. `clean`: ours and the paper's of the clean agent.
    fn of(ours: &Estimate, paper: f64, clean: Option<(f64, f64)>) -> Self {
        if ours.ends().is_some_and(|(lower, upper)| (lower..=upper).contains(&paper)) {
            return Self::Within;
        }
        let Some((our_clean, paper_clean)) = clean else { return Self::Outside };
        match (ours.mean - our_clean) * (paper - paper_clean) > 0.0 {
            true => Self::SameDirection,
            false => Self::Contradicts,
        }
    }

    fn cell(self) -> Cell {
        Cell::Text(self.name().to_owned())
    }
}

impl Block {
    /// The row of the clean agent with this row's algorithm.
    fn clean_of(&self, row: &ResultRow) -> Option<&ResultRow> {
        let mut clean = self.rows.iter().filter(|other| {
            let setting = &other.setting;
            setting.agent == row.setting.agent && setting.attack == "none" && setting.is_plain()
        });
        // Of several there is no saying which.
        clean.next().filter(|_| clean.next().is_none())
    }

    /// The change of each metric against the clean agent, and the verdicts on the paper's numbers; of the
    /// two tables those that have rows.
    pub(super) fn verdicts(&self) -> Vec<Table> {
        let (mut changes, mut verdicts): (Vec<Row>, Vec<Row>) = Default::default();
        for row in self.untimed() {
            let clean = self.clean_of(row).filter(|clean| !std::ptr::eq(*clean, row));
            let usable = |row: &ResultRow, metric: &str| {
                row.estimate("valid", metric).filter(|e| !e.ambiguous).copied()
            };
            let before = |metric: &str| clean.and_then(|clean| usable(clean, metric));
            if clean.is_some() {
                let change = METRICS.map(|(metric, _)| {
                    let pair = usable(row, metric).zip(before(metric));
                    let pair = pair.filter(|(_, before)| before.mean != 0.0);
                    let change = pair.map(|(ours, b)| 100.0 * (ours.mean - b.mean) / b.mean);
                    let source =
                        change.and(clean).and_then(|clean| row.change_from(clean, "valid", metric));
                    (Cell::number(change, 1), source)
                });
                changes.push(row.laid_out_from(change.to_vec()));
            }
            if let Some(paper) = &row.paper {
                let verdict = METRICS.map(|(metric, _)| {
                    let of_clean = |clean: &ResultRow| clean.paper.as_ref()?.metric(metric);
                    let clean = before(metric).map(|b| b.mean).zip(clean.and_then(of_clean));
                    let pair = usable(row, metric).zip(paper.metric(metric));
                    pair.map_or(Cell::Missing, |(ours, paper)| {
                        Verdict::of(&ours, paper, clean).cell()
                    })
                });
                verdicts.push(row.laid_out(verdict.to_vec()));
            }
        }
        let captioned = [
            (changes, "change against the clean agent (valid, in percent of its number)"),
            (verdicts, "verdict on the paper's number"),
        ];
        let columns = || METRICS.map(|(_, title)| Column::alone(title)).to_vec();
        let tables = captioned.into_iter().filter(|(rows, _)| !rows.is_empty());
        tables
            .map(|(rows, caption)| {
                Table::plain("agent or attack", columns(), rows).captioned(caption)
            })
            .collect()
    }
}

impl DetectorBlock {
    /// The verdicts on the paper's numbers; nothing where it has none.
    pub(super) fn verdicts(&self) -> Option<Table> {
        let columns = MEASURES[..PAPERS].iter().map(|(_, title)| Column::alone(*title)).collect();
        let rows = self.rows.iter().filter_map(|row| {
            let paper = row.paper.as_ref()?;
            let verdict = |&(metric, _): &(&str, &str)| {
                let pair = row.estimate(metric).zip(paper.metric(metric));
                pair.map_or(Cell::Missing, |(ours, paper)| Verdict::of(ours, paper, None).cell())
            };
            let cells = MEASURES[..PAPERS].iter().map(verdict).collect();
            Some(Row::new(row.label.clone(), cells).under(&row.attack))
        });
        let table = Table::plain("tested on", columns, rows.collect());
        let caption = format!("{}: verdict on the paper's number", self.label);
        (!table.groups[0].rows.is_empty()).then(|| table.captioned(caption))
    }
}

impl Table1 {
    /// What the verdicts say.
    pub(super) fn verdict_note(&self) -> Option<String> {
        self.blocks.iter().any(Block::has_paper).then(|| {
            "Verdicts: the paper's number lies `within` the 95 % interval of ours; or not, but both went \
             the `same direction` from the clean agent's; or it `contradicts` ours. For the clean agent \
             itself, `within` or `outside`."
                .to_owned()
        })
    }
}

impl Table2 {
    /// What the verdicts say.
    pub(super) fn verdict_note(&self) -> Option<String> {
        self.has_paper().then(|| {
            "Verdicts: the paper's number lies `within` the 95 % interval of ours or `outside`."
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_comes_first_then_the_direction() {
        let interval = Some((2.5, 3.5)).unzip();
        let (lower, upper) = interval;
        let ours = Estimate { mean: 3.0, lower, upper, n: 3, ambiguous: false, skewed: false };
        let clean = Some((5.0, 4.6));
        assert_eq!(Verdict::of(&ours, 3.5, clean), Verdict::Within);
        assert_eq!(Verdict::of(&ours, 2.0, clean), Verdict::SameDirection);
        assert_eq!(Verdict::of(&ours, 4.7, clean), Verdict::Contradicts);
        assert_eq!(Verdict::of(&ours, 4.6, clean), Verdict::Contradicts);
        assert_eq!(Verdict::of(&ours, 2.0, None), Verdict::Outside);
        let single = Estimate { lower: None, upper: None, n: 1, ..ours };
        assert_eq!(Verdict::of(&single, 3.0, clean), Verdict::SameDirection);
    }
}
