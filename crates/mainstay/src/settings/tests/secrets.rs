//! Secrets from files and their redaction, on a sample: the engine knows no setting by name.

use schemars::JsonSchema;

use crate::settings::place::Source;
use crate::settings::shape::Shape;
use crate::settings::variables;

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Sample {
    store: Store,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Store {
    #[schemars(extend("writeOnly" = true))]
    password: Option<String>,
    name: Option<String>,
}

#[test]
fn a_secret_can_come_from_a_file_and_nothing_else_can() {
    let shape = Shape::of(&schemars::schema_for!(Sample));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "sesame\n").unwrap();
    let variables = ["MAINSTAY_STORE__PASSWORD_FILE", "MAINSTAY_STORE__NAME_FILE"]
        .map(|name| (name.into(), file.clone().into()));
    let mut problems = Vec::new();
    let found = variables::read(&variables, &shape, &mut problems);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path.to_string(), "store.password");
    assert_eq!(found[0].value, "sesame");
    assert_eq!(found[0].source, Source::Env("MAINSTAY_STORE__PASSWORD_FILE".into()));
    assert_eq!(problems.len(), 1);
}
