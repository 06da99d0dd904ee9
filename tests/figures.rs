//! `advrec report --figures`: figures as files, from the database alone.

mod program;
mod swept;

use advrec::plan::{Metric, Stage, StageKind};
use advrec::store::Database;
use rusqlite::Connection;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use tempfile::TempDir;

/// Two datasets with random and strategic timing, which the embedded one stands in for: two dimensions of its
/// embedding become the two names.
const GRID: &str = "
    name: timing
    dataset: embedded
    seeds: [1, 2, 3]
    rollout: {direct: false}
    axes:
      embedding.dimension: [20, 21]
      attack: [none, {id: fgsm_linf, epsilon: 0.5}, {id: fgsm_l1, epsilon: 0.1}]
      timing: {values: [random, strategic], when: {attack: [fgsm_linf, fgsm_l1]}}
      frequency: {values: [0.25, 0.5, 1.0], when: {attack: [fgsm_linf, fgsm_l1]}}
";

/// Results that fall with the frequency, and differ between seeds.
fn result(stage: &Stage) -> Vec<Metric> {
    let number = |name: &str| stage.params.get(name).and_then(|value| value.as_f64());
    let frequency = number("frequency").unwrap_or(0.0);
    match stage.kind {
        StageKind::Rollout => vec![Metric::new("realised_frequency", "all", frequency, 100)],
        // A ranking does not know what it ranks: its key is as good as chance.
        StageKind::Ranking => {
            let chance = stage.key().to_string().bytes().map(f64::from).sum::<f64>() / 100.0;
            vec![Metric::new("ndcg", "valid", chance, 100)]
        }
        StageKind::Embedding => {
            let epochs = (1..=5).map(f64::from);
            epochs.map(|e| Metric::new("train_loss", format!("epoch/{e}"), 9.0 / e, 100)).collect()
        }
        _ => Vec::new(),
    }
}

fn database(dir: &Path) {
    swept::sweep(dir, GRID, |stage| (result(stage), swept::Provenance::new()));
    let db = Connection::open(dir.join("advrec.db")).unwrap();
    db.execute_batch(
        r#"UPDATE cells SET params = json_set(params, '$.dataset', CASE
               json_extract(params, '$."embedding.dimension"') WHEN 20 THEN 'Amazon_Beauty'
               ELSE 'Amazon_Clothing' END, '$."embedding.dimension"', 20)"#,
    )
    .unwrap();
}

fn report(dir: &TempDir, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let advrec = assert_cmd::cargo::cargo_bin!("advrec");
    let arguments: Vec<&str> = [&["report"], arguments].concat();
    assert_cmd::Command::from_std(program::command(advrec, dir.path(), &arguments)).assert()
}

/// What is printed from the heading of the figures on.
fn printed(assert: &assert_cmd::assert::Assert) -> String {
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    text[text.find("\nFigures\n").unwrap() + 1..].to_owned()
}

fn files(folder: &Path) -> Vec<String> {
    let names =
        fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn figure_2_is_a_file_in_two_formats() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let result = report(&dir, &["--figures", "out/figures"]).success();
    insta::assert_snapshot!(printed(&result), @r"
    Figures
      out/figures/figure2.svg, out/figures/figure2.png
        NDCG over users with a full list against the realised share of attacked time steps; dash-dot random, solid strategic timing; bands are 95 % intervals over seeds
      out/figures/training-timing-Amazon_Beauty.svg, out/figures/training-timing-Amazon_Beauty.png
        Trainings of the grid timing on Beauty: means over seeds as far as all of them trained, bands from the lowest to the highest
      out/figures/training-timing-Amazon_Clothing.svg, out/figures/training-timing-Amazon_Clothing.png
        Trainings of the grid timing on Clothing: means over seeds as far as all of them trained, bands from the lowest to the highest
      attack-strength: not drawn; it needs NDCG under an attack on every time step with two values of `epsilon` or more
      strength-frequency: not drawn; it needs NDCG under an attack with two values or more of both `epsilon` and `frequency`
      roc: not drawn; it needs the test of a detector (`detector.method`)
      transfer: not drawn; it needs NDCG under an attack that is crafted on another agent (`transfer.algorithm`, `transfer.seed`)
      mmd: not drawn; it needs drift between cells (`drift.compare: references` or `all`)
      pca: not drawn; it needs drift between clean and attacked cells (`drift.compare: references` or `all`), compared by this version
      seeds: not drawn; it needs NDCG of three seeds or more, clean and under an attack on every time step
      timeline: not drawn; it needs a sweep with attempts that ended
      attention: not drawn; it needs the test of a detector with `detector.method: gru_attention`
    ");
    let folder = dir.path().join("out/figures");
    let svg = fs::read_to_string(folder.join("figure2.svg")).unwrap();
    assert!(svg.contains("width=\"84.0mm\"") && svg.contains("<title>NDCG over users"), "{svg}");
    let written = |text: &str| svg.contains(&format!("\n{text}\n"));
    for text in ["Beauty", "Clothing", "NDCG (%)", "share of time steps attacked", "clean"] {
        assert!(written(text), "{text}");
    }
    assert!(written("FGSM ℓ∞ ε=0.5, random") && written("FGSM ℓ1 ε=0.1, strategic"));
    // Two panels with two attacks at two timings and three frequencies, and the samples of the legend.
    let dots = |colour: &str| {
        svg.lines().filter(|l| l.starts_with("<circle") && l.contains(colour)).count()
    };
    assert_eq!((dots("#0072B2"), dots("#009E73")), (2 * 2 * 3 + 2, 2 * 2 * 3 + 2));
    assert_eq!(svg.matches("<polygon").count(), 2 * 4, "an interval band for each line");
    // It shows on a machine without the font, and asks no other machine for it.
    assert!(
        svg.contains(
            "@font-face{font-family:'DejaVu Sans Condensed';src:url(data:font/ttf;base64,"
        )
    );
    assert!(!svg.replace("http://www.w3.org/2000/svg", "").contains("http"));

    let png = png::Decoder::new(Cursor::new(fs::read(folder.join("figure2.png")).unwrap()));
    let mut png = png.read_info().unwrap();
    let height: f64 =
        svg.split("height=\"").nth(1).unwrap().split("mm").next().unwrap().parse().unwrap();
    assert_eq!(png.info().width, 992, "84 mm of 300 pixels in an inch");
    assert!((f64::from(png.info().height) - height * 300.0 / 25.4).abs() <= 1.0);
    let mut pixels = vec![0; png.output_buffer_size().unwrap()];
    png.next_frame(&mut pixels).unwrap();
    let blue = pixels.chunks(3).filter(|pixel| *pixel == [0, 114, 178]).count();
    let black = pixels.chunks(3).filter(|pixel| *pixel == [0, 0, 0]).count();
    assert!(blue > 1000 && black > 1000, "{blue} blue and {black} black pixels");
}

#[test]
fn one_format_and_the_list_of_files_as_json() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let arguments = ["--figures", "f", "--figure-format", "svg", "--output", "json"];
    let result = report(&dir, &arguments).success();
    assert!(files(&dir.path().join("f")).iter().all(|name| name.ends_with(".svg")));
    let json: serde_json::Value = serde_json::from_slice(&result.get_output().stdout).unwrap();
    let written = json["figures"]["written"].as_array().unwrap();
    assert_eq!(written[0]["files"], serde_json::json!(["f/figure2.svg"]));
    assert!(json["figures"]["skipped"].as_array().unwrap().iter().any(|s| s["figure"] == "roc"));
    for format in ["png", "pdf"] {
        report(&dir, &["--figures", format, "--figure-format", format]).success();
        assert!(files(&dir.path().join(format)).iter().all(|name| name.ends_with(format)));
    }
    report(&dir, &["--figures", "all", "--figure-format", "all"]).success();
    let all = files(&dir.path().join("all"));
    assert_eq!(all[..3], ["figure2.pdf", "figure2.png", "figure2.svg"]);
}

/// The answer of a program on a file; `None` where the machine has no such program.
fn ask(program: &str, arguments: &[&str], file: &Path) -> Option<String> {
    match std::process::Command::new(program).args(arguments).arg(file).output() {
        Ok(output) => {
            assert!(output.status.success(), "{program}: {output:?}");
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("not looked at with {program}, which is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn a_pdf_has_the_size_the_font_and_the_text_of_the_svg() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    report(&dir, &["--figures", "f", "--figure-format", "all"]).success();
    let folder = dir.path().join("f");
    let svg = fs::read_to_string(folder.join("figure2.svg")).unwrap();
    let path = folder.join("figure2.pdf");
    let pdf = fs::read(&path).unwrap();
    assert!(pdf.starts_with(b"%PDF-1.7") && pdf.trim_ascii_end().ends_with(b"%%EOF"));
    let plain = String::from_utf8_lossy(&pdf);
    let box_ = plain.split("/MediaBox [0 0 ").nth(1).unwrap().split(']').next().unwrap();
    let sides: Vec<f64> = box_.split(' ').map(|side| side.parse().unwrap()).collect();
    let height: f64 =
        svg.split("height=\"").nth(1).unwrap().split("mm").next().unwrap().parse().unwrap();
    let mm = |points: f64| points / 72.0 * 25.4;
    assert!((mm(sides[0]) - 84.0).abs() < 0.01 && (mm(sides[1]) - height).abs() < 0.06, "{box_}");
    assert_eq!(plain.matches("/BaseFont /ADVREC+DejaVuSansCondensed").count(), 2);
    assert!(plain.contains("/FontFile2"), "the font is inside");

    if let Some(fonts) = ask("pdffonts", &[], &path) {
        let columns: Vec<&str> = fonts.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(
            columns[..6],
            ["ADVREC+DejaVuSansCondensed", "CID", "TrueType", "Identity-H", "yes", "yes"]
        );
        assert_eq!(fonts.lines().count(), 3, "{fonts}");
    }
    let pixels = folder.join("pixels");
    if ask("pdftoppm", &["-r", "10", "-singlefile"], &path).is_some() {
        let made = std::process::Command::new("pdftoppm")
            .args(["-r", "300", "-singlefile", "-png"])
            .args([&path, &pixels])
            .status();
        assert!(made.unwrap().success());
        let (drawn, size) = shades(&pixels.with_extension("png"));
        let (wanted, wanted_size) = shades(&folder.join("figure2.png"));
        assert!(size.0.abs_diff(wanted_size.0) <= 1 && size.1.abs_diff(wanted_size.1) <= 1);
        // Letters are smoothed in another way: alike are patches, not pixels.
        let far = drawn.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 40.0, "a patch differs by {far} of 255");
        let mean = drawn.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).sum::<f64>();
        assert!(mean / (drawn.len() as f64) < 4.0, "patches differ by {mean} on the mean");
    }
}

/// Mean lightness of patches of a PNG, 40 a row and a column, and its size.
fn shades(file: &Path) -> (Vec<f64>, (u32, u32)) {
    const PATCHES: usize = 40;
    let mut png = png::Decoder::new(Cursor::new(fs::read(file).unwrap())).read_info().unwrap();
    let mut bytes = vec![0; png.output_buffer_size().unwrap()];
    png.next_frame(&mut bytes).unwrap();
    let (width, height) = (png.info().width as usize, png.info().height as usize);
    let samples = bytes.len() / (width * height);
    let mut sums = vec![(0.0, 0.0); PATCHES * PATCHES];
    for (at, pixel) in bytes.chunks(samples).enumerate() {
        let (x, y) = (at % width, at / width);
        let patch = &mut sums[y * PATCHES / height * PATCHES + x * PATCHES / width];
        let light: f64 = pixel[..samples.min(3)].iter().map(|v| f64::from(*v)).sum();
        *patch = (patch.0 + light / samples.min(3) as f64, patch.1 + 1.0);
    }
    (sums.iter().map(|(sum, n)| sum / n).collect(), (width as u32, height as u32))
}

#[test]
fn the_same_database_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    for folder in ["a", "b"] {
        report(&dir, &["--figures", folder, "--figure-format", "all"]).success();
    }
    let read = |folder: &str| -> Vec<Vec<u8>> {
        let folder = dir.path().join(folder);
        files(&folder).iter().map(|name| fs::read(folder.join(name)).unwrap()).collect()
    };
    assert_eq!(read("a"), read("b"));
}

#[test]
fn what_is_not_drawn_is_named_with_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    drop(Database::open(&dir.path().join("advrec.db")).unwrap());
    let result = report(&dir, &["--figures", "figures"]).success();
    insta::assert_snapshot!(printed(&result), @r"
    Figures
      figure2: not drawn; it needs NDCG under an attack with `timing: random` or `strategic` at two frequencies or more
      attack-strength: not drawn; it needs NDCG under an attack on every time step with two values of `epsilon` or more
      strength-frequency: not drawn; it needs NDCG under an attack with two values or more of both `epsilon` and `frequency`
      roc: not drawn; it needs the test of a detector (`detector.method`)
      transfer: not drawn; it needs NDCG under an attack that is crafted on another agent (`transfer.algorithm`, `transfer.seed`)
      mmd: not drawn; it needs drift between cells (`drift.compare: references` or `all`)
      pca: not drawn; it needs drift between clean and attacked cells (`drift.compare: references` or `all`), compared by this version
      training: not drawn; it needs a trained embedding, agent or detector with two epochs or more
      seeds: not drawn; it needs NDCG of three seeds or more, clean and under an attack on every time step
      timeline: not drawn; it needs a sweep with attempts that ended
      attention: not drawn; it needs the test of a detector with `detector.method: gru_attention`
    ");
    assert_eq!(files(&dir.path().join("figures")), [] as [&str; 0]);
}

#[test]
fn wrong_arguments_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let stderr = |arguments: &[&str], code| {
        let result = report(&dir, arguments).code(code);
        String::from_utf8(result.get_output().stderr.clone()).unwrap()
    };
    let format = stderr(&["--figure-format", "svg"], 2);
    assert!(format.contains("--figures <DIR>"), "{format}");
    insta::assert_snapshot!(stderr(&["--figures", "f", "--grid", "tming"], 2), @"error: the database has no grid `tming`; it has `timing`");
    fs::write(dir.path().join("taken"), "").unwrap();
    insta::assert_snapshot!(stderr(&["--figures", "taken"], 1), @"error: could not make the folder taken: File exists (os error 17)");
    assert!(!dir.path().join("f").exists());
}
