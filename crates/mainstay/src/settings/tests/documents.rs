//! What is written for people: the effective settings, the sample file, the reference.

use std::path::Path;

use super::*;

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let first = scene("[edge]\nworkers = 3\n[[site]]\ndir = \"DIR/site\"\nhsts = \"day\"\n[site.tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\n")
        .variable("MAINSTAY_HEADERS__ALLOW__IMG", "https://a.example");
    let loaded = load(&first.inputs).unwrap();
    let page = to_toml(&loaded);
    assert!(page.contains("not set"), "{page}");
    let second = scene(&page);
    let mut read = second.settings();
    assert_eq!(read.environment.take(), Some(Environment::Development));
    assert_eq!(read, loaded.settings, "{page}");

    let line = |start: &str| page.lines().find(|l| l.starts_with(start)).unwrap_or_default();
    assert!(line("workers").ends_with("mainstay.toml:2"), "{page}");
    assert!(line("img").ends_with("# env MAINSTAY_HEADERS__ALLOW__IMG"), "{page}");
    assert!(line("environment").ends_with("# default, from edge.listen"), "{page}");
    assert!(line("data_dir").ends_with("# default"), "{page}");
    let json = to_json(&loaded);
    assert_eq!(json["edge.workers"]["value"], 3);
    assert_eq!(json["site[0].hsts"]["value"], "day");
    assert_eq!(json["site[0].tls.key"]["value"], "k.pem");
    assert_eq!(json["headers.allow.img"]["source"], "env MAINSTAY_HEADERS__ALLOW__IMG");
}

#[test]
fn the_sample_file_means_the_defaults() {
    let documents = documents();
    let sample = documents.iter().find(|d| d.name == "mainstay.example.toml").unwrap();
    assert!(scene(&sample.text).problems().is_empty(), "as it stands");

    let set: String = sample
        .text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with([' ', ':']) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let scene = scene(&set);
    std::fs::create_dir(scene.dir.path().join("public")).unwrap();
    let shape = check::shape(&schemars::schema_for!(Settings));
    let file::Reading { assignments, mut problems } =
        file::parse(&set, Path::new("mainstay.toml"), &shape);
    let (read, _) = layers::resolve::<Settings>(assignments, &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");

    let examples = Settings {
        environment: Some(Environment::Production),
        public_url: Some("https://example.org".into()),
        site: read.site.clone(),
        // Their examples are of files that are not there; that they read is all that can be said.
        tls: read.tls.clone(),
        // Nor is there a database.
        database: read.database.clone(),
        redis: read.redis.clone(),
        // A queue is one by its name, and by nothing else.
        jobs: mainstay_jobs::Settings {
            queue: read.jobs.queue.clone(),
            ..mainstay_jobs::Settings::default()
        },
        mail: read.mail.clone(),
        webhook: read.webhook.clone(),
        ..Settings::default()
    };
    assert_eq!(read, examples);
    assert_eq!((read.site.len(), read.jobs.queue.len()), (1, 1));
}

#[test]
fn the_documents_are_fresh() {
    let docs = mainstay_testkit::checkout().join("docs");
    for document in documents() {
        let written = std::fs::read_to_string(docs.join(document.name)).unwrap_or_default();
        assert!(
            written == document.text,
            "docs/{} is stale: run `cargo xtask codegen`",
            document.name
        );
    }
}

#[test]
fn every_setting_has_its_manual() {
    let shape = check::shape(&schemars::schema_for!(Settings));
    for (path, field) in value::list_leaves(&shape) {
        assert!(!field.about.is_empty(), "{path}");
        assert!(field.shape != shape::Shape::Any, "{path} has no kind");
    }
}
