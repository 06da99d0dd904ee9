//! Random and mutated grids through the program: it plans them, or says where they are at fault with exit
//! code 2. (`grid::fuzz` has many more cases, within the library.)

use super::run;
use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;

/// The lines of grids that are to be mutated.
const GRIDS: [&str; 3] = [
    include_str!("../../experiments/quickstart.yaml"),
    include_str!("../../experiments/timing.yaml"),
    "name: g\ndataset: embedded\nextends: quick\nseeds: {range: [1, 3]}\naxes:\n  attack:\n    - none\n    \
     - {id: fgsm_l1, epsilon: {linspace: [0.1, 0.5, 3]}}\ninclude:\n  - attack: [jsma, {id: noise_l1, \
     epsilon: 0.1}]\n",
];

/// Plans a file of these bytes, and checks what comes of it.
fn planned_or_refused(bytes: &[u8]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("grid.yaml"), bytes).unwrap();
    let (code, stdout, stderr) = run(dir.path(), &["plan", "grid.yaml"]);
    let shown = String::from_utf8_lossy(bytes);
    if code == 0 {
        prop_assert!(stdout.starts_with("grid "), "{shown:?}\n{stdout}{stderr}");
        return Ok(());
    }
    prop_assert_eq!(code, 2, "{:?}\n{}{}", shown, stdout, stderr);
    let place = stderr.strip_prefix("error: grid.yaml:").and_then(|rest| {
        let mut numbers = rest.splitn(3, ':').map(|number| number.parse::<usize>().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    let Some((line, column)) = place else {
        return Err(TestCaseError::fail(format!("no place: {stderr}\n{shown:?}")));
    };
    let lines: Vec<&str> = shown.lines().collect();
    // A lone CR ends a line for YAML, and not for `lines`.
    prop_assert!(line >= 1 && line <= lines.len().max(1) + shown.matches('\r').count(), "{stderr}");
    prop_assert!(column >= 1 && column <= shown.chars().count() + 1, "{stderr}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        planned_or_refused(&bytes)?;
    }

    #[test]
    fn mutated_grids(
        grid in prop::sample::select(GRIDS.to_vec()),
        edits in prop::collection::vec((any::<Index>(), any::<Index>(), 0..4), 1..4),
    ) {
        let mut lines: Vec<String> = grid.lines().map(str::to_owned).collect();
        for (one, other, what) in edits {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            match what {
                0 => drop(lines.remove(one)),
                1 => lines.insert(other, lines[one].clone()),
                2 => lines.swap(one, other),
                // All of a line but a character.
                _ => drop(lines[one].pop()),
            }
        }
        planned_or_refused(lines.join("\n").as_bytes())?;
    }
}
