//! `advrec data`, from outside.

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny")
}

/// A folder to run in, with the golden dataset in `set`.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("set")).unwrap();
    for entry in fs::read_dir(golden()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".txt.gz") {
            fs::copy(entry.path(), place.path().join("set").join(name)).unwrap();
        }
    }
    place
}

fn advrec(place: &Path, args: &[&str]) -> std::process::Output {
    Command::new(assert_cmd::cargo::cargo_bin!("advrec"))
        .args(args)
        .current_dir(place)
        .env_remove("ADVREC_DB")
        .env_remove("ADVREC_STORE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn write_gzip(place: &TempDir, name: &str, text: &[u8]) {
    fs::write(place.path().join("set").join(name), gzip(text)).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The message with which import refuses what `spoil` made of the golden dataset. Nothing may be
/// written.
fn refusal(spoil: impl FnOnce(&TempDir)) -> String {
    let place = place();
    spoil(&place);
    let output = advrec(place.path(), &["data", "import", "set", "--name", "tiny"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(names(place.path()), ["set"], "something was written");
    text(&output.stderr)
}

#[test]
fn a_truncated_gzip() {
    let message = refusal(|place| {
        let path = place.path().join("set/train.txt.gz");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    });
    insta::assert_snapshot!(message, @"error: set/train.txt.gz, line 133: truncated or corrupt gzip (incomplete deflate stream); copy or download the file again");
}

#[test]
fn a_file_that_is_no_gzip() {
    let message = refusal(|place| {
        fs::write(place.path().join("set/brand.txt.gz"), "a brand a line\n").unwrap();
    });
    insta::assert_snapshot!(message, @"error: set/brand.txt.gz, line 1: truncated or corrupt gzip (invalid gzip header); copy or download the file again");
}

#[test]
fn an_index_out_of_range() {
    let of_word =
        refusal(|place| write_gzip(place, "train.txt.gz", b"0\t0\t1 2\n39\t59\t0 90 3\n"));
    insta::assert_snapshot!(of_word, @"error: set/train.txt.gz, line 2: word index 90 is out of range; vocab.txt.gz has 90 lines, so indices end at 89");
    let of_user = refusal(|place| write_gzip(place, "test.txt.gz", b"40\t0\t1\n"));
    insta::assert_snapshot!(of_user, @"error: set/test.txt.gz, line 1: user index 40 is out of range; users.txt.gz has 40 lines, so indices end at 39");
    let of_brand = refusal(|place| {
        write_gzip(
            place,
            "brand_p_b.txt.gz",
            [b"\n".repeat(9), b"99999999999999999999999\n".to_vec()].concat().as_slice(),
        );
    });
    insta::assert_snapshot!(of_brand, @"error: set/brand_p_b.txt.gz, line 10: brand index 99999999999999999999999 is out of range; brand.txt.gz has 7 lines, so indices end at 6");
}

#[test]
fn a_missing_file() {
    let message = refusal(|place| {
        fs::remove_file(place.path().join("set/also_viewed_p_p.txt.gz")).unwrap();
    });
    insta::assert_snapshot!(message, @"error: set lacks the file also_viewed_p_p.txt.gz");
    let message = refusal(|place| {
        fs::remove_file(place.path().join("set/train.txt.gz")).unwrap();
    });
    insta::assert_snapshot!(message, @"error: set lacks the train interactions: neither train.txt.gz (with review words) nor train_pairs.txt.gz (without) is there");
    let message = refusal(|place| {
        fs::remove_dir_all(place.path().join("set")).unwrap();
        fs::create_dir(place.path().join("set")).unwrap();
    });
    insta::assert_snapshot!(message, @"error: set lacks the file users.txt.gz");
}

#[test]
fn a_non_number() {
    let word = refusal(|place| write_gzip(place, "train.txt.gz", b"0\t0\t1 2\n1\t2\t3 four\n"));
    insta::assert_snapshot!(word, @"error: set/train.txt.gz, line 2: `four` is not a whole number");
    let negative = refusal(|place| write_gzip(place, "train.txt.gz", b"-1\t0\t1 2\n"));
    insta::assert_snapshot!(negative, @"error: set/train.txt.gz, line 1: `-1` is not a whole number");
    let nothing = refusal(|place| write_gzip(place, "train.txt.gz", b"0\t\t1 2\n"));
    insta::assert_snapshot!(nothing, @"error: set/train.txt.gz, line 1: `` is not a whole number");
}

#[test]
fn a_crlf_line_ending() {
    let numbers = refusal(|place| write_gzip(place, "train.txt.gz", b"0\t0\t1 2\n1\t2\t3\r\n"));
    insta::assert_snapshot!(numbers, @"error: set/train.txt.gz, line 2: CRLF line ending; convert the file to LF, for example by dos2unix");
    let names = refusal(|place| write_gzip(place, "brand.txt.gz", b"a\r\nb\r\n"));
    insta::assert_snapshot!(names, @"error: set/brand.txt.gz, line 1: CRLF line ending; convert the file to LF, for example by dos2unix");
}

#[test]
fn an_empty_file() {
    let packed = refusal(|place| write_gzip(place, "category.txt.gz", b""));
    insta::assert_snapshot!(packed, @"error: set/category.txt.gz, line 1: the file is empty");
    let zero_bytes = refusal(|place| fs::write(place.path().join("set/test.txt.gz"), b"").unwrap());
    insta::assert_snapshot!(zero_bytes, @"error: set/test.txt.gz, line 1: the file is empty");
}

#[test]
fn a_wrong_number_of_lines_or_columns() {
    let few = refusal(|place| write_gzip(place, "brand_p_b.txt.gz", b"0\n1\n"));
    insta::assert_snapshot!(few, @"error: set/brand_p_b.txt.gz, line 2: 2 lines where 60 are expected, one for each line of product.txt.gz");
    let many = refusal(|place| write_gzip(place, "brand_p_b.txt.gz", &b"0\n".repeat(70)));
    insta::assert_snapshot!(many, @"error: set/brand_p_b.txt.gz, line 61: 70 lines where 60 are expected, one for each line of product.txt.gz");
    let pairs = refusal(|place| write_gzip(place, "train.txt.gz", b"0\t0\t1\n1\t2\n"));
    insta::assert_snapshot!(pairs, @"error: set/train.txt.gz, line 2: 2 columns where 3 are expected: user, product and the review's word indices, separated by tabs");
    let blank = refusal(|place| write_gzip(place, "train.txt.gz", b"\n\n"));
    insta::assert_snapshot!(blank, @"error: set/train.txt.gz, line 2: holds only blank lines where interactions were expected");
}

#[test]
fn a_name_that_may_not_be_given() {
    let place = place();
    for (name, reason) in [("a/b", "is no name for a dataset"), ("embedded", "take another name")] {
        for args in
            [&["data", "import", "set", "--name", name][..], &["data", "synth", "--name", name]]
        {
            let output = advrec(place.path(), args);
            assert_eq!(output.status.code(), Some(2));
            assert!(text(&output.stderr).contains(reason), "{}", text(&output.stderr));
        }
    }
    assert_eq!(names(place.path()), ["set"]);
}

#[test]
fn what_is_not_there_is_named() {
    let place = place();
    let output = advrec(place.path(), &["data", "verify", "beauty"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(text(&output.stderr), @"error: there is no dataset `beauty`: the database advrec.db knows no such name, and beauty is no folder");
    let output = advrec(place.path(), &["data", "import", "nowhere", "--name", "beauty"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(text(&output.stderr), @"error: there is no folder nowhere");
    assert_eq!(names(place.path()), ["set"]);
}

#[test]
fn counts_of_the_golden_set() {
    let place = place();
    let output = advrec(place.path(), &["data", "verify", "set"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout), @r#"
    set: PGPR files in set

                                count
    users                          40
    products                       60
    words                          90
    brands                          7
    categories                      6
    related products              120
    train pairs                   280
    test pairs                    120
    train review words          3,080
    test review words           1,320
    users without train items       0
    users without test items        0
    pairs in both parts             0
    also_bought edges           1,265
    also_viewed edges             251
    belongs_to edges              120
    bought_together edges          58
    described_as edges          1,979
    mentions edges              1,791
    produced_by edges              51
    purchase edges                280
    edges in both ways         11,590
    "#);
    assert_eq!(names(place.path()), ["set"], "verify is to write nothing");
}

#[test]
fn an_imported_dataset_is_found_by_its_name() {
    let place = place();
    let output = advrec(place.path(), &["data", "import", "set", "--name", "tiny"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    fs::remove_dir_all(place.path().join("set")).unwrap();
    let json = |name: &str| -> serde_json::Value {
        let output = advrec(place.path(), &["data", "verify", name, "--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let verified = json("tiny");
    assert_eq!(verified["summary"]["directed_edges"], 11_590);
    assert_eq!(verified["source"], "PGPR files in set");
    assert_eq!(names(&place.path().join(".advrec/tmp")), [""; 0]);
    // A damaged artefact is noticed, and importing again is what mends it.
    let key = verified["key"].as_str().unwrap();
    let file = place.path().join(".advrec/artefacts/dataset").join(key).join("dataset.safetensors");
    fs::write(&file, b"damaged").unwrap();
    let output = advrec(place.path(), &["data", "verify", "tiny"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("import it again"), "{}", text(&output.stderr));
    let again = golden();
    let output =
        advrec(place.path(), &["data", "import", again.to_str().unwrap(), "--name", "tiny"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(json("tiny")["key"], verified["key"]);
}

#[test]
fn a_generated_dataset_is_the_same_as_files_and_as_an_artefact() {
    let place = tempfile::tempdir().unwrap();
    let output = advrec(
        place.path(),
        &["data", "synth", "--name", "toy", "--users", "60", "--seed", "3", "--out", "toy"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = advrec(place.path(), &["data", "import", "toy", "--name", "copy"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(names(&place.path().join(".advrec/artefacts/dataset")).len(), 1);
    // The folder is occupied now, and the error comes before anything is registered.
    let output = advrec(place.path(), &["data", "synth", "--name", "other", "--out", "toy"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("name another folder"), "{}", text(&output.stderr));
    assert_eq!(advrec(place.path(), &["data", "verify", "other"]).status.code(), Some(2));
}

#[test]
fn what_cannot_be_registered_is_not_left_behind() {
    let place = place();
    fs::create_dir(place.path().join("advrec.db")).unwrap();
    for args in [
        &["data", "import", "set", "--name", "tiny"][..],
        &["data", "synth", "--name", "toy", "--users", "9", "--out", "toy"],
    ] {
        let output = advrec(place.path(), args);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    }
    assert_eq!(names(place.path()), ["advrec.db", "set"]);
}

#[test]
fn a_damaged_gzip() {
    let message = refusal(|place| {
        let path = place.path().join("set/train.txt.gz");
        let mut bytes = fs::read(&path).unwrap();
        let checksum = bytes.len() - 8;
        bytes[checksum] ^= 1;
        fs::write(&path, bytes).unwrap();
    });
    insta::assert_snapshot!(message, @"error: set/train.txt.gz, line 281: truncated or corrupt gzip (corrupt gzip stream does not have a matching checksum); copy or download the file again");
}

/// The real sets, where the folder of shared data lies beside the project.
#[test]
fn the_real_sets_have_the_published_counts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    for name in ["Amazon_Beauty", "Amazon_Cellphones", "Amazon_Clothing"] {
        let dir = root.join(name);
        if !dir.is_dir() {
            println!("skipped: there is no {}", dir.display());
            continue;
        }
        let place = tempfile::tempdir().unwrap();
        let dir = dir.to_str().unwrap();
        let output = advrec(place.path(), &["data", "verify", dir, "--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(report["published"].is_string());
        let summary = &report["summary"];
        assert_eq!(summary["pairs_in_both"], 0);
        assert_eq!(summary["edges"]["purchase"], summary["train_pairs"]);
    }
}
