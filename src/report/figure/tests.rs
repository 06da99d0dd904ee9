//! What is in each figure, from a database whose numbers are made by hand.

use super::picture::{Axis, Mark, Marker, Panel, Pattern, Pen, Sample};
use super::*;
use super::{frame::BLUE, frame::GREEN, names::CLEAN};
use rusqlite::params;
use serde_json::{Value as Json, json};

/// Tables in place of the views and of what is under them: figures know only their columns.
fn database() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE seeds_summary (grid, kind, parameters, split, metric, value, lower, upper, n);
         CREATE TABLE cell_results (grid, shared_parameters, ranking, cell_id, params, rollout);
         CREATE TABLE stages (key, kind, state);
         CREATE TABLE stage_inputs (stage_key, role, input_key);
         CREATE TABLE projections (stage_key, share_1, share_2, rollout_sequences, other_sequences,
             rollout_points, other_points);
         CREATE TABLE metrics (stage_key, name, split, value);
         CREATE TABLE latest_grids (id, name);
         CREATE TABLE cells (id, grid_id, params);
         CREATE TABLE cell_stages (cell_id, stage_key);
         CREATE TABLE grids (id, name);
         CREATE TABLE sweeps (id, grid_id);
         CREATE TABLE attempts (sweep_id, ended);
         CREATE TABLE runs (attempt, kind, state, slot, started, ended, sweep_id);",
    )
    .unwrap();
    db
}

/// The parameters of a result on a dataset, with `more`.
fn on(dataset: &str, more: Json) -> Json {
    let mut all = json!({"dataset": dataset, "agent.algorithm": "actor_critic", "defense": "none"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// Adds a value with an interval that reaches 1 to either side.
fn add(db: &Connection, kind: &str, parameters: &Json, (split, metric): (&str, &str), value: f64) {
    let row = params![kind, parameters.to_string(), split, metric, value, value - 1.0, value + 1.0];
    db.execute("INSERT INTO seeds_summary VALUES ('g', ?, ?, ?, ?, ?, ?, ?, 3)", row).unwrap();
}

fn ndcg(db: &Connection, parameters: &Json, value: f64) {
    add(db, "ranking", parameters, ("valid", "ndcg"), value);
}

fn drawn(db: &Connection, kind: &Kind) -> Vec<Figure> {
    let outcomes = results::read(db, None).unwrap();
    let source = Source { db, grid: None, users: Users::Full, outcomes };
    (kind.draw)(&source).unwrap()
}

type Points<'a> = &'a [(f64, f64)];

/// Points, band and pen of the lines in a panel.
fn lines(panel: &Panel) -> Vec<(Points<'_>, Points<'_>, Pen)> {
    let line = |mark: &'_ Mark| matches!(mark, Mark::Line { .. });
    let lines = panel.marks.iter().filter(|mark| line(mark)).map(|mark| match mark {
        Mark::Line { points, band, pen, .. } => (&points[..], &band[..], *pen),
        _ => unreachable!("others were left out"),
    });
    lines.collect()
}

/// Row, column and text of the fields of a heat map.
fn fields(panel: &Panel) -> Vec<(usize, usize, &str)> {
    let field = |mark: &'_ Mark| matches!(mark, Mark::Field { .. });
    let fields = panel.marks.iter().filter(|mark| field(mark)).map(|mark| match mark {
        Mark::Field { row, column, text, .. } => (*row, *column, text.as_str()),
        _ => unreachable!("others were left out"),
    });
    let mut fields: Vec<_> = fields.collect();
    fields.sort_unstable();
    fields
}

fn names(axis: &Axis) -> &[String] {
    match axis {
        Axis::Names { names, .. } => names,
        Axis::Numbers { .. } => &[],
    }
}

fn timed(id: &str, timing: &str, frequency: f64) -> Json {
    json!({"attack": id, "epsilon": 0.5, "objective": "value", "timing": timing, "frequency": frequency})
}

#[test]
fn figure_2_has_the_papers_panels_lines_and_colours() {
    let db = database();
    for (dataset, clean) in [("Amazon_Clothing", 3.0), ("Amazon_Beauty", 6.0)] {
        ndcg(&db, &on(dataset, json!({"attack": "none"})), clean);
        for (id, timing, loss) in [
            ("fgsm_linf", "random", 1.0),
            ("fgsm_linf", "strategic", 2.0),
            ("fgsm_l1", "random", 1.5),
        ] {
            // The larger frequency first: lines run from left to right all the same.
            for frequency in [0.5, 0.25] {
                let parameters = on(dataset, timed(id, timing, frequency));
                ndcg(&db, &parameters, clean - loss * frequency);
                let realised = ("all", "realised_frequency");
                add(&db, "rollout", &parameters, realised, frequency + 0.01);
            }
        }
    }
    let figures = drawn(&db, &frequency::KIND);
    assert_eq!(figures.len(), 1);
    let figure = &figures[0];
    assert_eq!((figure.name.as_str(), figure.columns), ("figure2", 2));
    let titles: Vec<&str> = figure.panels.iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles, ["Beauty", "Clothing"]);
    let beauty = &figure.panels[0];
    assert_eq!(beauty.marks[0], Mark::Level { at: 6.0, pen: CLEAN });
    let lines = lines(beauty);
    let pens: Vec<Pen> = lines.iter().map(|line| line.2).collect();
    let wanted = [(GREEN, Pattern::DashDot), (BLUE, Pattern::DashDot), (BLUE, Pattern::Solid)];
    assert_eq!(pens, wanted.map(|(colour, dash)| Pen::new(colour, dash)));
    assert_eq!(lines[2].0, [(0.26, 5.5), (0.51, 5.0)]);
    assert_eq!(lines[2].1, [(4.5, 6.5), (4.0, 6.0)]);
    let legend: Vec<&str> = figure.legend.iter().map(|key| key.label.as_str()).collect();
    let wanted =
        ["clean", "FGSM ℓ1 ε=0.5, random", "FGSM ℓ∞ ε=0.5, random", "FGSM ℓ∞ ε=0.5, strategic"];
    assert_eq!(legend, wanted);
}

#[test]
fn several_strengths_have_a_panel_each() {
    let db = database();
    for (epsilon, frequency) in [(0.5, 0.25), (0.5, 0.5), (0.1, 0.25), (0.1, 0.5)] {
        for id in ["fgsm_linf", "fgsm_l1"] {
            let mut attack = timed(id, "random", frequency);
            attack["epsilon"] = epsilon.into();
            let parameters = on("Amazon_Beauty", attack);
            ndcg(&db, &parameters, 5.0 - epsilon * frequency);
            add(&db, "rollout", &parameters, ("all", "realised_frequency"), frequency);
        }
    }
    let figure = &drawn(&db, &frequency::KIND)[0];
    let titles: Vec<&str> = figure.panels.iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles, ["Beauty, ε=0.1", "Beauty, ε=0.5"]);
    for panel in &figure.panels {
        let colours: Vec<_> = lines(panel).iter().map(|line| line.2.colour).collect();
        assert_eq!(colours, [GREEN, BLUE], "the colours of the norms in every panel");
    }
    let legend: Vec<&str> = figure.legend.iter().map(|key| key.label.as_str()).collect();
    assert_eq!(legend, ["FGSM ℓ1, random", "FGSM ℓ∞, random"]);
}

#[test]
fn a_single_frequency_is_no_line() {
    let db = database();
    let parameters = on("Amazon_Beauty", timed("fgsm_linf", "random", 0.5));
    ndcg(&db, &parameters, 1.0);
    add(&db, "rollout", &parameters, ("all", "realised_frequency"), 0.5);
    assert!(drawn(&db, &frequency::KIND).is_empty());
}

#[test]
fn intervals_of_ndcg_end_at_nought() {
    let db = database();
    for (epsilon, value) in [(0.1, 2.0), (1.0, 0.25)] {
        let attack = json!({"attack": "fgsm_l1", "epsilon": epsilon, "timing": "always"});
        ndcg(&db, &on("d", attack), value);
    }
    let figures = drawn(&db, &strength::KIND);
    let panel = &figures[0].panels[0];
    assert_eq!(lines(panel)[0].0, [(0.1, 2.0), (1.0, 0.25)]);
    assert_eq!(lines(panel)[0].1, [(1.0, 3.0), (0.0, 1.25)]);
    assert!(matches!(panel.x, Axis::Numbers { logarithmic: true, .. }));
}

#[test]
fn results_that_differ_in_more_than_the_attack_share_no_figure() {
    let db = database();
    for hidden in [64, 128] {
        for epsilon in [0.1, 0.2] {
            let attack = json!({"attack": "fgsm_l1", "epsilon": epsilon, "agent.hidden": hidden});
            ndcg(&db, &on("d", attack), f64::from(hidden) * epsilon);
        }
    }
    let figures = drawn(&db, &strength::KIND);
    let named: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
    assert_eq!(named, ["attack-strength-g", "attack-strength-g-2"]);
    assert!(figures[1].caption.ends_with("(g, agent.hidden=64)"), "{}", figures[1].caption);
    assert_eq!(lines(&figures[1].panels[0])[0].0, [(0.1, 6.4), (0.2, 12.8)]);
}

#[test]
fn strength_and_frequency_cross_in_a_heat_map() {
    let db = database();
    for (epsilon, frequency, value) in
        [(0.1, 0.2, 9.0), (0.1, 0.5, 8.0), (0.5, 0.2, 7.0), (0.5, 0.5, 3.0)]
    {
        let mut attack = timed("fgsm_linf", "random", frequency);
        attack["epsilon"] = epsilon.into();
        ndcg(&db, &on("Amazon_Beauty", attack), value);
    }
    let figures = drawn(&db, &strength_frequency::KIND);
    let panel = &figures[0].panels[0];
    assert_eq!(panel.title, "Beauty: FGSM ℓ∞, random");
    assert_eq!(names(&panel.y), ["0.5", "0.1"]);
    assert_eq!(names(&panel.x), ["0.2", "0.5"]);
    assert_eq!(fields(panel), [(0, 0, "7.00"), (0, 1, "3.00"), (1, 0, "9.00"), (1, 1, "8.00")]);
    let shades = panel.marks.iter().map(|mark| match mark {
        Mark::Field { shade, text, .. } => (text.as_str(), *shade),
        _ => unreachable!("a heat map has fields alone"),
    });
    let shades: std::collections::BTreeMap<_, _> = shades.collect();
    assert_eq!((shades["3.00"], shades["9.00"], shades["8.00"]), (0.0, 1.0, 5.0 / 6.0));
}

#[test]
fn the_transfer_matrix_holds_both_directions_and_the_clean_agents() {
    let db = database();
    for (victim, clean, own, other) in
        [("actor_critic", 9.0, 1.0, 5.0), ("reinforce", 8.0, 2.0, 6.0)]
    {
        let result = |more: Json| {
            let mut all = on("d", more);
            all["agent.algorithm"] = victim.into();
            all
        };
        let from = if victim == "reinforce" { "actor_critic" } else { "reinforce" };
        let attack = json!({"attack": "fgsm_l2", "epsilon": 1.0});
        ndcg(&db, &result(json!({"attack": "none"})), clean);
        ndcg(&db, &result(attack.clone()), own);
        let mut transferred = attack;
        transferred["transfer.algorithm"] = from.into();
        ndcg(&db, &result(transferred), other);
    }
    let figures = drawn(&db, &transfer::KIND);
    let panel = &figures[0].panels[0];
    assert_eq!(names(&panel.x), ["actor critic", "reinforce"]);
    assert_eq!(names(&panel.y), ["no attack", "actor critic", "reinforce"]);
    let wanted = [
        (0, 0, "9.00"),
        (0, 1, "8.00"),
        (1, 0, "1.00"),
        (1, 1, "6.00"),
        (2, 0, "5.00"),
        (2, 1, "2.00"),
    ];
    assert_eq!(fields(panel), wanted);
}

#[test]
fn drift_from_references_alone_has_their_columns() {
    let db = database();
    let of =
        [json!({"attack": "none"}), json!({"attack": "fgsm_l1"}), json!({"attack": "deepfool"})];
    for (one, other, mmd) in
        [(0, 0, 0.01), (0, 1, 0.2), (1, 0, 0.2), (1, 1, 0.02), (2, 0, 0.3), (2, 1, 0.4)]
    {
        let mut parameters = on("d", of[one].clone());
        parameters["other"] = of[other].clone();
        add(&db, "drift", &parameters, ("all", "mmd_biased"), mmd);
    }
    let figures = drawn(&db, &mmd::KIND);
    let panel = &figures[0].panels[0];
    assert_eq!(names(&panel.x), ["clean", "FGSM ℓ1"]);
    assert_eq!(names(&panel.y), ["clean", "DeepFool", "FGSM ℓ1"]);
    let wanted = [
        (0, 0, "0.010"),
        (0, 1, "0.200"),
        (1, 0, "0.300"),
        (1, 1, "0.400"),
        (2, 0, "0.200"),
        (2, 1, "0.020"),
    ];
    assert_eq!(fields(panel), wanted);
}

/// A cell with a rollout of this name; returns its parameters without the seed.
fn walked(db: &Connection, id: i64, attack: &str, seed: i64) -> Json {
    let parameters = on("Amazon_Beauty", json!({"attack": attack}));
    let mut all = parameters.clone();
    all["seed"] = seed.into();
    let row = params![parameters.to_string(), id, all.to_string(), format!("walk{id}")];
    let sql = "INSERT INTO cell_results (grid, shared_parameters, cell_id, params, rollout)
        VALUES ('g', ?, ?, ?, ?)";
    db.execute(sql, row).unwrap();
    parameters
}

/// The comparison of two cells by their numbers, with one point a side, each at its cell's number.
fn projected(db: &Connection, key: &str, one: i64, other: i64) {
    let point = |id: i64| format!("[[{id}, {}]]", -id);
    let shares = (0.4, 0.126);
    let row = params![key, shares.0, shares.1, point(one), point(other)];
    db.execute("INSERT INTO projections VALUES (?, ?, ?, 50, 60, ?, ?)", row).unwrap();
    db.execute("INSERT INTO stages VALUES (?, 'drift', 'done')", [key]).unwrap();
    for (role, id) in [("rollout", one), ("other", other)] {
        let input = params![key, role, format!("walk{id}")];
        db.execute("INSERT INTO stage_inputs VALUES (?, ?, ?)", input).unwrap();
        db.execute("INSERT INTO cell_stages VALUES (?, ?)", params![id, key]).unwrap();
    }
}

#[test]
fn clean_and_attacked_paths_of_the_first_seed_share_a_panel() {
    let db = database();
    let attacks = ["none", "fgsm_l1", "deepfool"];
    for seed in [2, 1] {
        let id = |at: i64| 10 * seed + at;
        let cells: Vec<Json> =
            (0..3).map(|at| walked(&db, id(at), attacks[at as usize], seed)).collect();
        // Which side is clean is chance; the pair of two attacks shows nothing clean.
        projected(&db, &format!("a{seed}"), id(0), id(1));
        projected(&db, &format!("b{seed}"), id(2), id(0));
        projected(&db, &format!("c{seed}"), id(1), id(2));
        for (one, other) in [(0, 1), (1, 0), (2, 0), (0, 2), (1, 2), (2, 1)] {
            let mut parameters = cells[one].clone();
            parameters["other"] = json!({"attack": attacks[other]});
            add(&db, "drift", &parameters, ("all", "mmd_biased"), 0.5);
        }
    }
    let figures = drawn(&db, &pca::KIND);
    assert_eq!(figures.len(), 1);
    assert_eq!(figures[0].name, "pca");
    let caption = &figures[0].caption;
    assert!(caption.contains("paths on Beauty, seed 1:"), "{caption}");
    assert!(caption.contains("up to 60 sequences a set, of which up to 1 "), "{caption}");
    let panels = figures[0].panels.iter().map(|panel| {
        let clouds = panel.marks.iter().map(|mark| match mark {
            Mark::Cloud { points, marker, .. } => (*marker, points.clone()),
            _ => unreachable!("a projection has clouds alone"),
        });
        (panel.title.as_str(), clouds.collect::<Vec<_>>())
    });
    let pair = |clean, attacked| {
        let point = |id: f64| vec![(id, -id)];
        vec![(Marker::Circle, point(clean)), (Marker::Triangle, point(attacked))]
    };
    let wanted = [("DeepFool", pair(10.0, 12.0)), ("FGSM ℓ1", pair(10.0, 11.0))];
    assert_eq!(panels.collect::<Vec<_>>(), wanted);
    let panel = &figures[0].panels[0];
    assert_eq!(panel.x.label(), "PC 1 (40 % of variance)");
    assert_eq!(panel.y.label(), "PC 2 (13 % of variance)");
    let colours: Vec<_> = figures[0].legend.iter().map(|key| key.sample).collect();
    let circle = Sample::Speck { marker: Marker::Circle, colour: frame::GREY };
    assert_eq!(colours[0], circle);
}

#[test]
fn many_attacks_are_on_several_pages() {
    let db = database();
    walked(&db, 0, "none", 1);
    for id in 1..=9 {
        let mut parameters = walked(&db, id, &format!("attack{id}"), 1);
        projected(&db, &format!("p{id}"), 0, id);
        parameters["other"] = json!({"attack": "none"});
        add(&db, "drift", &parameters, ("all", "mmd_biased"), 0.5);
    }
    let figures = drawn(&db, &pca::KIND);
    let pages: Vec<_> = figures.iter().map(|f| (f.name.as_str(), f.panels.len())).collect();
    assert_eq!(pages, [("pca", 8), ("pca-part-2", 1)]);
}

#[test]
fn a_detectors_curves_are_in_the_order_of_their_rates() {
    let db = database();
    let test =
        on("d", json!({"attack": "fgsm_l1", "epsilon": 0.1, "detector.method": "gru_attention"}));
    for (split, tpr) in [("fpr/1", 1.0), ("fpr/0.05", 0.9), ("fpr/0.1", 0.95), ("fpr/0", 0.1)] {
        add(&db, "detection", &test, (split, "roc_tpr"), tpr);
    }
    for (split, precision) in [("recall/1", 0.5), ("recall/0.05", 0.99)] {
        add(&db, "detection", &test, (split, "pr_precision"), precision);
    }
    add(&db, "detection", &test, ("all", "fpr_at_95_tpr"), 0.1);
    for (step, clean, attacked) in [("step/1", 0.4, 0.2), ("step/2", 0.6, 0.8)] {
        add(&db, "detection", &test, (step, "attention_clean"), clean);
        add(&db, "detection", &test, (step, "attention_attacked"), attacked);
    }
    let figure = &drawn(&db, &roc::KIND)[0];
    assert_eq!(lines(&figure.panels[0])[0].0, [(0.0, 0.1), (0.05, 0.9), (0.1, 0.95), (1.0, 1.0)]);
    assert_eq!(lines(&figure.panels[1])[0].0, [(0.05, 0.99), (1.0, 0.5)]);
    assert!(figure.panels[0].marks.contains(&Mark::Dot { at: (0.1, 0.95), colour: GREEN }));
    let panel = &drawn(&db, &attention::KIND)[0].panels[0];
    let points: Vec<_> = lines(panel).iter().map(|line| line.0.to_vec()).collect();
    assert_eq!(points, [[(0.0, 0.4), (1.0, 0.6)], [(0.0, 0.2), (1.0, 0.8)]]);
    assert_eq!(names(&panel.x), ["1", "2"]);
}

#[test]
fn box_plots_hold_the_quartiles_of_the_seeds() {
    let db = database();
    for (id, values) in [("none", [4.0, 8.0, 6.0]), ("fgsm_l1", [1.0, 3.0, 2.0])] {
        let parameters = on("d", json!({"attack": id}));
        ndcg(&db, &parameters, values[1]);
        for value in values {
            let key = format!("{id}/{value}");
            let cell = params![parameters.to_string(), key];
            // Twice: cells that share a ranking count once.
            for _ in 0..2 {
                db.execute("INSERT INTO cell_results (grid, shared_parameters, ranking) VALUES ('g', ?, ?)", cell).unwrap();
            }
            db.execute("INSERT INTO stages VALUES (?, 'ranking', 'done')", [&key]).unwrap();
            let metric = params![key, value];
            db.execute("INSERT INTO metrics VALUES (?, 'ndcg', 'valid', ?)", metric).unwrap();
        }
    }
    let panel = &drawn(&db, &seeds::KIND)[0].panels[0];
    assert_eq!(names(&panel.y), ["clean", "FGSM ℓ1"]);
    let boxes = panel.marks.iter().filter_map(|mark| match mark {
        Mark::Box { row, five, .. } => Some((*row, *five)),
        _ => None,
    });
    let wanted = [(0, [4.0, 5.0, 6.0, 7.0, 8.0]), (1, [1.0, 1.5, 2.0, 2.5, 3.0])];
    assert_eq!(boxes.collect::<Vec<_>>(), wanted);
    db.execute("DELETE FROM cell_results WHERE ranking LIKE '%/8.0' OR ranking LIKE '%/8'", [])
        .unwrap();
    assert!(drawn(&db, &seeds::KIND).is_empty(), "one row of three seeds is no comparison");
}

#[test]
fn trainings_are_means_over_seeds_with_their_range() {
    let db = database();
    db.execute_batch(
        r#"INSERT INTO latest_grids VALUES (1, 'g');
           INSERT INTO cells VALUES
               (1, 1, '{"dataset": "d", "seed": 1, "embedding.epochs": 2, "attack": "none"}'),
               (2, 1, '{"dataset": "d", "seed": 2, "embedding.epochs": 2, "attack": "none"}');
           INSERT INTO stages VALUES ('a', 'embedding', 'done'), ('b', 'embedding', 'done');
           INSERT INTO cell_stages VALUES (1, 'a'), (2, 'b');
           INSERT INTO metrics VALUES ('a', 'train_loss', 'epoch/1', 4.0), ('a', 'train_loss', 'epoch/2', 2.0),
               ('b', 'train_loss', 'epoch/1', 6.0), ('b', 'train_loss', 'epoch/2', 2.5);"#,
    )
    .unwrap();
    let figure = &drawn(&db, &training::KIND)[0];
    assert_eq!((figure.name.as_str(), figure.panels.len()), ("training", 1));
    let lines = lines(&figure.panels[0]);
    assert_eq!(lines[0].0, [(1.0, 5.0), (2.0, 2.25)]);
    assert_eq!(lines[0].1, [(4.0, 6.0), (2.0, 2.5)]);
}

#[test]
fn the_timeline_is_of_the_last_sweep_and_shows_what_failed() {
    let db = database();
    db.execute_batch(
        "INSERT INTO sweeps VALUES (1, NULL), (2, NULL);
         INSERT INTO attempts VALUES (1, 'then'), (2, 'then');
         INSERT INTO runs VALUES
             (1, 'agent', 'done', 0, '2026-01-01T10:00:00.000Z', '2026-01-01T10:00:09.000Z', 1),
             (2, 'agent', 'done', 0, '2026-01-01T12:00:00.000Z', '2026-01-01T12:00:10.000Z', 2),
             (3, 'rollout', 'failed', 1, '2026-01-01T12:00:04.000Z', '2026-01-01T12:00:20.000Z', 2),
             (4, 'rollout', 'running', 0, '2026-01-01T12:00:10.000Z', NULL, 2);",
    )
    .unwrap();
    let figure = &drawn(&db, &timeline::KIND)[0];
    let bars = figure.panels[0].marks.iter().map(|mark| match mark {
        Mark::Bar { row, from, to, crossed, .. } => (*row, from.round(), to.round(), *crossed),
        _ => unreachable!("a timeline has bars alone"),
    });
    assert_eq!(bars.collect::<Vec<_>>(), [(0, 0.0, 10.0, false), (1, 4.0, 20.0, true)]);
    assert!(figure.legend.iter().any(|key| key.sample == Sample::Crossed));
    // 10 and 16 seconds of two slots over 20.
    assert!(figure.caption.ends_with("65 % of the time on average"), "{}", figure.caption);
}

#[test]
fn ndcg_is_of_all_users_where_that_is_asked_for_or_nobody_has_a_full_list() {
    let db = database();
    let attacked = |epsilon: f64| {
        on("Amazon_Beauty", json!({"attack": "fgsm_l1", "epsilon": epsilon, "timing": "always"}))
    };
    for (epsilon, value) in [(0.02, 4.0), (0.1, 1.0)] {
        add(&db, "ranking", &attacked(epsilon), ("all_users", "ndcg"), value);
    }
    let strength = |users: Users| -> Option<(Vec<(f64, f64)>, String)> {
        let (figures, _) = figures(&db, None, users).unwrap();
        let figure = figures.into_iter().find(|figure| figure.name == strength::KIND.id)?;
        let points = lines(&figure.panels[0]).first()?.0.to_vec();
        Some((points, figure.caption[..30].to_owned()))
    };
    let of_all = (vec![(0.02, 4.0), (0.1, 1.0)], "NDCG over all users against th".to_owned());
    assert_eq!(strength(Users::Full), Some(of_all.clone()));
    for (epsilon, value) in [(0.02, 4.5), (0.1, 3.0)] {
        ndcg(&db, &attacked(epsilon), value);
    }
    let (points, caption) = strength(Users::Full).unwrap();
    assert_eq!(points, [(0.02, 4.5), (0.1, 3.0)]);
    assert_eq!(caption, "NDCG over users with a full li");
    assert_eq!(strength(Users::All), Some(of_all));
}

#[test]
fn an_empty_database_has_no_figures_and_no_pictures_of_nothing() {
    let (figures, skipped) = figures(&database(), None, Users::Full).unwrap();
    assert_eq!(figures, []);
    assert_eq!(skipped.len(), KINDS.len());
}
