use super::*;
use crate::plan::{Stage, StageKind};
use serde_json::Map;

fn origin() -> Origin {
    Origin::new(Stage::new(StageKind::Noop, Map::new(), Vec::new()).key(), "cpu")
}

fn state(epoch: u64) -> State<'static> {
    let mut state = State::new(epoch, &[Metric::new("train_loss", "epoch/1", 0.1 + 0.2, 3)]);
    state.add_number("steps", 7.0);
    // A number that is none is kept as well: what becomes of it is for the training to say.
    state.add("weights", vec![1.5f32, -0.0, f32::NAN, f32::MIN_POSITIVE / 2.0]);
    state.add("nothing", Vec::new());
    state
}

fn open(folder: &Path) -> Checkpoint {
    Checkpoint::open(folder, origin(), Duration::ZERO)
}

fn kept(folder: &Path, epoch: u64) {
    open(folder).keep(false, || state(epoch));
}

fn failure(folder: &Path) -> String {
    let place = Place { folder: folder.to_owned(), origin: origin() };
    let error = place.read().unwrap_err().to_string();
    assert_eq!(open(folder).epoch(), 0);
    error.replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn what_is_kept_is_found_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("not/there");
    assert_eq!(open(&folder).epoch(), 0);
    kept(&folder, 4);
    kept(&folder, 5);
    let mut checkpoint = open(&folder);
    assert_eq!(checkpoint.epoch(), 5);
    let fresh = || Ok::<_, CheckpointError>(vec![0f32; 4]);
    let restore = |weights: &mut Vec<f32>, found: &State<'_>| {
        assert_eq!(found.number("steps").unwrap(), 7.0);
        assert!(found.number("other").is_err() && found.tensor("weights", 3).is_err());
        assert!(found.tensor("nothing", 0).unwrap().is_empty());
        found.copy_to("weights", weights)
    };
    let (weights, epoch, metrics) = checkpoint.resume(fresh, restore).unwrap();
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    assert_eq!(bits(&weights), bits(state(5).tensor("weights", 4).unwrap()));
    assert_eq!((epoch, metrics), (5, state(5).metrics));
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [FILE]);
}

#[test]
fn a_state_that_does_not_fit_leaves_a_fresh_training() {
    let dir = tempfile::tempdir().unwrap();
    kept(dir.path(), 3);
    let restore = |training: &mut (i32, Vec<f32>), found: &State<'_>| {
        training.0 = 1;
        found.copy_to("weights", &mut training.1)
    };
    let fresh = || Ok::<_, CheckpointError>((0, vec![0.0; 9]));
    let resumed = open(dir.path()).resume(fresh, restore).unwrap();
    assert_eq!(resumed, ((0, vec![0.0; 9]), 0, Vec::new()));
}

#[test]
fn damaged_files_are_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    kept(dir.path(), 3);
    let whole = fs::read(&path).unwrap();
    for length in [0, 31, 32, 100, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(failure(dir.path()).starts_with("FOLDER/training.checkpoint is damaged: "));
    }
    for place in [0, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        fs::write(&path, flipped).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(failure(dir.path()), @"FOLDER/training.checkpoint is damaged: its digest differs from the one written");
        }
    }
    // Whole, and something else.
    let digested = |content: &[u8]| [content, blake3::hash(content).as_bytes()].concat();
    fs::write(&path, digested(b"no tensors")).unwrap();
    assert!(failure(dir.path()).contains("is damaged"));
    let empty: [(&str, Flat<'_>); 0] = [];
    fs::write(&path, digested(&safetensors::serialize(empty, None).unwrap())).unwrap();
    insta::assert_snapshot!(failure(dir.path()), @"FOLDER/training.checkpoint is damaged: it has no header");
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(dir.path()).epoch(), 3);
}

#[test]
fn another_program_or_device_or_stage_does_not_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let own = Origin { program: "9.8.7 (abc)".to_owned(), ..origin() };
    let other_stage = Stage::new(StageKind::Graph, Map::new(), Vec::new()).key();
    for found in [
        Origin { program: "9.8.6 (abc)".to_owned(), ..own.clone() },
        Origin { device: "cuda".to_owned(), ..own.clone() },
        Origin { key: other_stage, ..own.clone() },
    ] {
        Checkpoint::open(dir.path(), found.clone(), Duration::ZERO).keep(false, || state(2));
        assert_eq!(Checkpoint::open(dir.path(), found, Duration::ZERO).epoch(), 2);
        assert_eq!(Checkpoint::open(dir.path(), own.clone(), Duration::ZERO).epoch(), 0);
    }
    let error = Place { folder: dir.path().to_owned(), origin: own }.read().unwrap_err();
    let error = error.to_string().replace(&dir.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(error, @"FOLDER/training.checkpoint was written by advrec 9.8.7 (abc) on cpu for stage d41740e2e747, and this is advrec 9.8.7 (abc) on cpu for stage 7f06a0e3c28c");
}

#[test]
fn a_training_is_kept_when_it_is_time_and_when_it_must_be() {
    let dir = tempfile::tempdir().unwrap();
    let mut checkpoint = Checkpoint::open(dir.path(), origin(), Duration::from_secs(3600));
    checkpoint.keep(false, || unreachable!("it is not time"));
    checkpoint.keep(true, || state(1));
    checkpoint.keep(false, || unreachable!("it is not time"));
    assert_eq!(open(dir.path()).epoch(), 1);
    let mut checkpoint = Checkpoint::open(dir.path(), origin(), Duration::from_millis(1));
    std::thread::sleep(Duration::from_millis(2));
    checkpoint.keep(false, || state(2));
    assert_eq!(open(dir.path()).epoch(), 2);
    Checkpoint::none().keep(true, || unreachable!("there is no place"));
}

#[test]
fn what_cannot_be_written_is_no_error_and_leaves_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the folder should be.
    let folder = dir.path().join("file");
    fs::write(&folder, "").unwrap();
    let mut checkpoint = open(&folder);
    checkpoint.keep(true, || state(1));
    assert!(checkpoint.warned);
    checkpoint.keep(true, || state(2));
    // A disk that is full: the temporary name leads to a device that says so.
    let folder = dir.path().join("full");
    kept(&folder, 3);
    let mut checkpoint = open(&folder);
    let temporary = folder.join(format!("{}-{}.tmp", host(), std::process::id()));
    std::os::unix::fs::symlink("/dev/full", &temporary).unwrap();
    checkpoint.keep(true, || state(4));
    assert!(checkpoint.warned && !temporary.is_symlink());
    assert_eq!(open(&folder).epoch(), 3);
    checkpoint.keep(true, || state(5));
    assert_eq!(open(&folder).epoch(), 5);
}
