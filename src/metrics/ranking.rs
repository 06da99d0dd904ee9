//! NDCG, recall, hit rate and precision of top lists (SPEC section 5).

use super::statistics::mean;
use crate::data::Rows;
use crate::plan::Metric;
use std::ops::Range;

/// The four metrics, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    pub ndcg: f64,
    pub recall: f64,
    pub hr: f64,
    pub precision: f64,
}

/// Means over some users.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub scores: Scores,
    /// Users averaged; at least 1.
    pub users: u64,
}

/// Ranking metrics of a set of users, and of each of them for paired comparisons.
#[derive(Clone, Debug, PartialEq)]
pub struct RankingReport {
    /// Length of a full list.
    pub cutoff: usize,
    /// Users evaluated, ascending: those of the range that have test products. The arrays below are
    /// parallel to it.
    pub users: Vec<u32>,
    /// Whether the user got a full list.
    pub full: Vec<bool>,
    /// Each user's scores, missing places counted as misses.
    pub scores: Vec<Scores>,
    /// Over the users with a full list, as PGPR averages; `None` where there are none.
    pub valid: Option<Summary>,
    /// Over all evaluated users; `None` where there are none.
    pub all_users: Option<Summary>,
    /// Evaluated users without a full list, who are not in `valid`.
    pub users_left_out: u64,
}

/// Evaluates the lists of a range of users: row `i` of `lists` holds the products recommended to
/// user `users.start + i`, best first; of more than `cutoff` the first count. `test_products` has a
/// row for every user of the dataset, sorted. Users without test products are not evaluated.
///
/// Gains are binary; the ideal DCG is over min(relevant products, `cutoff`) places. For a full list
/// that is the length of the list, as in SPEC's `valid`.
///
/// # Panics
/// If `lists` has not one row a user, or the range ends beyond `test_products`.
pub fn ranking(
    users: Range<u32>,
    lists: &Rows,
    test_products: &Rows,
    cutoff: usize,
) -> RankingReport {
    assert_eq!(lists.len(), users.len(), "one list a user");
    let discounts: Vec<f64> = (0..cutoff).map(|i| 1.0 / ((i + 2) as f64).log2()).collect();
    let mut report = RankingReport {
        cutoff,
        users: Vec::new(),
        full: Vec::new(),
        scores: Vec::new(),
        valid: None,
        all_users: None,
        users_left_out: 0,
    };
    for (user, list) in users.zip(lists.iter()) {
        let relevant = test_products.row(user as usize);
        if relevant.is_empty() {
            continue;
        }
        let list = &list[..list.len().min(cutoff)];
        report.users.push(user);
        report.full.push(list.len() == cutoff);
        report.scores.push(score(list, relevant, &discounts));
    }
    let full = report.full.iter().zip(&report.scores).filter(|(full, _)| **full);
    report.valid = summary(&full.map(|(_, scores)| *scores).collect::<Vec<_>>());
    report.all_users = summary(&report.scores);
    report.users_left_out = report.full.iter().filter(|full| !**full).count() as u64;
    report
}

fn score(list: &[u32], relevant: &[u32], discounts: &[f64]) -> Scores {
    let mut dcg = 0.0;
    let mut hits = 0u32;
    for (product, discount) in list.iter().zip(discounts) {
        if relevant.binary_search(product).is_ok() {
            dcg += discount;
            hits += 1;
        }
    }
    let ideal: f64 = discounts.iter().take(relevant.len()).sum();
    let ratio = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    Scores {
        ndcg: ratio(dcg, ideal),
        recall: ratio(f64::from(hits), relevant.len() as f64),
        hr: if hits > 0 { 100.0 } else { 0.0 },
        precision: ratio(f64::from(hits), discounts.len() as f64),
    }
}

fn summary(scores: &[Scores]) -> Option<Summary> {
    let of = |get: fn(&Scores) -> f64| mean(&scores.iter().map(get).collect::<Vec<_>>());
    let scores_of_all = Scores {
        ndcg: of(|s| s.ndcg)?,
        recall: of(|s| s.recall)?,
        hr: of(|s| s.hr)?,
        precision: of(|s| s.precision)?,
    };
    Some(Summary { scores: scores_of_all, users: scores.len() as u64 })
}

impl RankingReport {
    /// The report as a stage's metrics: `ndcg`, `recall`, `hr` and `precision` for the splits `valid`
    /// and `all_users` (left out where no user is averaged), and `users_left_out` of all.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for (split, summary) in [("valid", self.valid), ("all_users", self.all_users)] {
            let Some(Summary { scores, users }) = summary else { continue };
            let named = [
                ("ndcg", scores.ndcg),
                ("recall", scores.recall),
                ("hr", scores.hr),
                ("precision", scores.precision),
            ];
            metrics.extend(named.map(|(name, value)| Metric::new(name, split, value, users)));
        }
        let left_out = self.users_left_out as f64;
        metrics.push(Metric::new("users_left_out", "all", left_out, self.users.len() as u64));
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[u32]]) -> Rows {
        let mut out = Rows::new();
        rows.iter().for_each(|row| out.push(row.iter().copied()));
        out
    }

    #[test]
    fn scores_by_hand() {
        // User 5: hits at places 1 and 3 of 3, three relevant. User 6: nothing to find. User 7: a
        // short list that hits. User 8: no list.
        let test = rows(&[&[], &[], &[], &[], &[], &[1, 4, 9], &[], &[2], &[3]]);
        let lists = rows(&[&[4, 7, 1, 9], &[1, 2, 3], &[2], &[]]);
        let report = ranking(5..9, &lists, &test, 3);
        assert_eq!(report.users, [5, 7, 8]);
        assert_eq!(report.full, [true, false, false]);
        assert_eq!(report.users_left_out, 2);
        let valid = report.valid.unwrap();
        assert_eq!(valid.users, 1);
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5;
        assert!((valid.scores.ndcg - 150.0 / ideal).abs() < 1e-9);
        assert!((valid.scores.recall - 200.0 / 3.0).abs() < 1e-9);
        assert!((valid.scores.precision - 200.0 / 3.0).abs() < 1e-9);
        assert_eq!(valid.scores.hr, 100.0);
        let all = report.all_users.unwrap();
        assert_eq!(all.users, 3);
        assert!((all.scores.ndcg - (150.0 / ideal + 100.0) / 3.0).abs() < 1e-9);
        // One hit in three places, not in the one that was filled.
        assert!((all.scores.precision - (200.0 / 3.0 + 100.0 / 3.0) / 3.0).abs() < 1e-9);
    }

    #[test]
    fn what_no_user_supports_is_left_out() {
        let report = ranking(0..1, &rows(&[&[2]]), &rows(&[&[2]]), 2);
        assert_eq!(report.valid, None);
        let names: Vec<_> =
            report.metrics().iter().map(|m| format!("{}/{}", m.name, m.split)).collect();
        let all = ["ndcg", "recall", "hr", "precision"].map(|name| format!("{name}/all_users"));
        assert_eq!(names[..4], all);
        assert_eq!(names[4..], ["users_left_out/all"]);
        let nobody = ranking(0..1, &rows(&[&[2]]), &rows(&[&[]]), 2);
        assert_eq!(nobody.metrics(), [Metric::new("users_left_out", "all", 0.0, 0)]);
    }

    #[test]
    fn golden_lists_give_the_golden_metrics() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let read = |name: &str| {
            let mut out = Rows::new();
            for row in golden[name].as_array().unwrap() {
                out.push(row.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32));
            }
            out
        };
        let report = ranking(0..40, &read("lists"), &read("test"), 10);
        assert_eq!(report.users_left_out, 35);
        let rounded = |s: Summary| {
            let Scores { ndcg, recall, hr, precision } = s.scores;
            format!("{ndcg:.4} {recall:.4} {hr:.4} {precision:.4} ({})", s.users)
        };
        let valid = rounded(report.valid.unwrap());
        let all_users = rounded(report.all_users.unwrap());
        assert_eq!(valid, "27.5504 33.3333 60.0000 10.0000 (5)");
        assert_eq!(all_users, "10.4125 11.6667 30.0000 3.5000 (40)");
    }

    /// Top-10 lists and test products of the golden tiny dataset, by user.
    const GOLDEN: &str = r#"{"lists": [
    [38,24,14,37,50,5,28,31,44,2],[8,2,17,38,48,36],[9,43,55,30,46],[21,18,31,59,30,2,4,20,12],
    [13,35],[42,10,1,22],[8,30,14,28,59,15],[10,35,31,27,54,50,37,32],[48,21,47],[43,51,21,49,27],
    [25,43,12,18,33,24,50],[8],[38,16,26,55,30,6],[16,4,50,41],[],[5,25,48,18,43,1,51],
    [37,32,46,27,51],[37,5,53,51],[7,38,0,6,1],[2,0],[26,10,1,22,15,2],
    [17,8,21,19,28,38,43,59,41],[25,28,48,59,16,4,23,24,14,46],[35],[],[48,49,55,7,20,39],
    [8,5,24,34],[58,46,28,21,56],[],[28,18,6,12],[25,24,21,10,1,29,53,43],[25,9,38,44,6,56],
    [22,45,24],[19,48,18,54,44],[6,1,30],[13,35,50,21,38,8,59,1,32],[8,46,50,13,9,25,4,23,21,36],
    [52,9,24,21,38,20,2,10,13,37],[42,55,25,20,10,44,13,35,18,58],[25,2,48,59,4,32]],
"test": [
    [26,42,44],[8,18,34],[3,50,59],[38,47,55],[7,10,31],[0,30,54],[19,30,52],[2,20,27],[13,33,38],
    [19,22,33],[5,37,47],[3,32,38],[3,32,58],[1,27,46],[1,40,58],[36,42,52],[21,31,33],[0,22,32],
    [43,49,56],[47,48,57],[6,10,19],[35,41,44],[18,33,52],[10,18,55],[9,16,58],[2,28,30],[0,5,55],
    [3,8,36],[4,24,39],[28,48,56],[4,37,50],[19,24,54],[8,35,42],[16,19,24],[9,21,34],[1,2,26],
    [8,21,40],[14,23,55],[13,37,42],[9,28,46]]}"#;
}
