//! The published schema of grids, and the documentation of the language.

mod program;

use std::fs;
use std::path::Path;

fn advrec(arguments: &[&str], dir: &Path) -> (Option<i32>, String) {
    let program = assert_cmd::cargo::cargo_bin!("advrec");
    let (code, stdout, stderr) = program::run(program, dir, arguments);
    (Some(code), stdout + &stderr)
}

#[test]
fn the_published_schema_is_the_programs() {
    let (code, printed) = advrec(&["schema"], Path::new("."));
    assert_eq!(code, Some(0));
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/grid.schema.json");
    assert!(
        fs::read_to_string(published).unwrap() == printed,
        "run `advrec schema > docs/grid.schema.json`"
    );
}

/// Validates grids by the schema, as an editor would.
const VALIDATE: &str = "
import json, re, sys
try:
    import jsonschema, yaml
except ImportError:
    sys.exit(77)
# YAML 1.1, which PyYAML reads, takes 1e-4 for text.
number = re.compile(r'^[-+]?[0-9]+(\\.[0-9]*)?[eE][-+]?[0-9]+$')
yaml.SafeLoader.add_implicit_resolver('tag:yaml.org,2002:float', number, list('-+0123456789'))
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for path in sys.argv[2:]:
    for error in validator.iter_errors(yaml.safe_load(open(path))):
        sys.exit(f'{path}: {error.message[:300]}')
";

#[test]
fn another_implementation_finds_the_projects_grids_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let grids = fs::read_dir(root.join("experiments")).unwrap().map(|e| e.unwrap().path());
    let grids: Vec<_> = grids.filter(|p| p.extension().is_some_and(|e| e == "yaml")).collect();
    assert!(grids.len() >= 7);
    let output = std::process::Command::new("python3")
        .args(["-c", VALIDATE])
        .arg(root.join("docs/grid.schema.json"))
        .args(grids)
        .output();
    // The library's own tests check the same with a checker of theirs.
    let Ok(output) = output else { return eprintln!("skipped: there is no python3") };
    if output.status.code() == Some(77) {
        return eprintln!("skipped: python3 has no jsonschema or no yaml");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_grid_in_the_documentation_is_one() {
    let text = include_str!("../docs/grid.md");
    let mut planned = 0;
    for block in text.split("```yaml\n").skip(1) {
        let (grid, _) = block.split_once("```").unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("grid.yaml"), grid).unwrap();
        let (code, printed) = advrec(&["plan", "grid.yaml"], dir.path());
        assert_eq!(code, Some(0), "{grid}\n{printed}");
        planned += 1;
    }
    assert!(planned >= 7, "{planned}");
}
