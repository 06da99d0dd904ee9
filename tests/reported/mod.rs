//! A grid on the embedded dataset whose stages report made-up metrics, as if it had been swept.

#![allow(dead_code)] // Each test program uses a part.

use crate::lab::Lab;
use crate::swept;
use advrec::plan::{Metric, Plan, Stage, StageKind};
use serde_json::Map;

pub const GRID: &str = "\
name: small
dataset: embedded
seeds: 6
axes:
  attack: [none, {id: fgsm_linf, epsilon: [0.1, 0.5]}, jsma]
";

/// Standard output of a command that succeeds.
pub fn told(lab: &Lab, args: &[&str]) -> String {
    let output = lab.run(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that refuses its arguments.
pub fn refused(lab: &Lab, args: &[&str]) -> String {
    let output = lab.run(args);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

/// Records a grid as swept. A ranking's NDCG is 5, less by what its attack takes, plus a part that its seed
/// moves; the other metrics follow it.
pub fn sweep(lab: &Lab, text: &str) -> Plan {
    let (_, plan) = swept::plan(text);
    let ndcg = |stage: &Stage| {
        let of = |cell: &&advrec::plan::Cell| {
            cell.stages.iter().any(|&at| plan.stages[at].stage == *stage)
        };
        let cell = plan.cells.iter().find(of).unwrap();
        let taken = match cell.params.text("attack") {
            Some("fgsm_linf") => 4.0 * cell.params["epsilon"].as_f64().unwrap(),
            Some("fgsm_l1") => 2.3,
            Some("jsma") => 1.5,
            _ => 0.0,
        };
        let seed = cell.params["seed"].as_u64().unwrap();
        let moved = [0.1, -0.2, 0.05, 0.3, -0.1, -0.15][seed as usize % 6];
        5.0 - taken + moved * (1.0 + taken)
    };
    swept::sweep(&lab.path(""), text, |stage| {
        let mut metrics = Vec::new();
        if stage.kind == StageKind::Ranking {
            let ndcg = ndcg(stage);
            for (name, factor) in [("ndcg", 1.0), ("recall", 1.4), ("hr", 3.0), ("precision", 0.4)]
            {
                metrics.push(Metric::new(name, "valid", ndcg * factor, 100));
                metrics.push(Metric::new(name, "all_users", ndcg * factor * 0.9, 120));
            }
            metrics.push(Metric::new("users_left_out", "all", 20.0, 120));
        }
        if stage.kind == StageKind::Detection {
            // Between 0.7 and 0.8: the less is left to the attacked agent, the more is found.
            let f1 = 1.0 - ndcg(stage) / 20.0;
            let measures = [("precision", 0.02), ("recall", -0.02), ("f1", 0.0), ("auroc", 0.1)];
            for (name, more) in measures {
                metrics.push(Metric::new(name, "all", f1 + more, 100));
            }
        }
        (metrics, Map::new())
    })
}
