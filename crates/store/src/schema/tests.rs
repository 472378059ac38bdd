//! Steps that have landed stay as they are, and need no more of TimescaleDB than everybody has.

use std::collections::BTreeMap;

use super::*;

/// `folder/file digest`, a line each.
const LANDED: &str = include_str!("../../migrations/landed");

/// Every step in the folders, as its line says.
fn list_steps() -> BTreeMap<String, String> {
    let folders =
        [("core_sqlite", &CORE), ("insight_sqlite", &INSIGHT), ("postgres", migrate::known())];
    let mut steps = BTreeMap::new();
    for (folder, known) in folders {
        let path = mainstay_testkit::checkout().join("crates/store/migrations").join(folder);
        for entry in std::fs::read_dir(path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let version = name.split('_').next().and_then(|number| number.parse().ok());
            let step = known.iter().find(|step| Some(step.version) == version);
            let step = step.unwrap_or_else(|| panic!("{folder}/{name} is no step: NNNN_name.sql"));
            let digest: String = step.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
            steps.insert(format!("{folder}/{name}"), digest);
        }
    }
    steps
}

#[test]
fn steps_that_have_landed_stay_as_they_are() {
    let landed: BTreeMap<_, _> = LANDED.lines().filter_map(|line| line.split_once(' ')).collect();
    let steps = list_steps();
    for (file, digest) in &landed {
        let found = steps.get(*file).map(String::as_str);
        assert_eq!(
            found,
            Some(*digest),
            "{file} has landed: databases remember it as it was, and refuse a server that has it otherwise. Undo that, and \
             put the change into a step of its own"
        );
    }
    for (file, digest) in &steps {
        assert!(
            landed.contains_key(file.as_str()),
            "{file} is new: from the moment it is merged it never changes. Add to crates/store/migrations/landed:\n{file} {digest}"
        );
    }
    let lines = LANDED.lines().count();
    assert_eq!(
        lines,
        landed.len(),
        "a line of crates/store/migrations/landed is no line or is twice there"
    );
}

/// The community licence is not everybody's: hosted databases have the Apache edition.
#[test]
fn steps_need_nothing_of_timescaledbs_community_edition() {
    const COMMUNITY: [&str; 5] = [
        "_policy(",
        "timescaledb.continuous",
        "timescaledb.compress",
        "compress_chunk(",
        "add_job(",
    ];
    for step in migrate::known().iter() {
        for word in COMMUNITY {
            assert!(!step.sql.as_str().contains(word), "{} needs {word}", step.description);
        }
    }
    let ours = migrate::known().iter().any(|step| step.sql.as_str().contains("create_hypertable("));
    assert!(ours, "and the steps are looked through");
}
