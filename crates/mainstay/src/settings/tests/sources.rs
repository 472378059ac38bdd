//! Where values come from and which wins.

use std::ffi::OsString;
use std::path::Path;

use super::*;

#[test]
fn nothing_set_is_well() {
    let loaded = load(&Inputs::default()).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.file, None);
}

#[test]
fn later_sources_win_and_are_remembered() {
    let file = "[edge]\nworkers = 1\nconnections_max = 10\nh2_streams_max = 10\n";
    let scene = scene(file)
        .variable("MAINSTAY_EDGE__WORKERS", "2")
        .variable("MAINSTAY_EDGE__CONNECTIONS_MAX", "20")
        .flag("--workers", "edge.workers", "3");
    let edge = scene.settings().edge;
    assert_eq!((edge.workers, edge.connections_max, edge.h2_streams_max), (3, 20, 10));
    assert_eq!(scene.source("edge.workers"), "flag --workers");
    assert_eq!(scene.source("edge.connections_max"), "env MAINSTAY_EDGE__CONNECTIONS_MAX");
    assert_eq!(scene.source("edge.h2_streams_max"), "mainstay.toml:4");
    assert_eq!(scene.source("edge.listen"), "default");
}

#[test]
fn variables_reach_every_level() {
    let scene = scene("")
        .variable("MAINSTAY_DATA_DIR", "DIR/data")
        .variable("MAINSTAY_HEADERS__ALLOW__IMG", "https://a.example, https://b.example")
        .variable("MAINSTAY_METRICS__ROADMAP_NAMES", "true")
        .variable("MAINSTAY_PUBLIC_URL", "")
        .variable("PATH", "/bin");
    let settings = scene.settings();
    assert_eq!(settings.data_dir, scene.dir.path().join("data"));
    assert_eq!(settings.headers.allow.img, ["https://a.example", "https://b.example"]);
    assert!(settings.metrics.roadmap_names);
    assert_eq!(settings.public_url, None);
}

#[test]
fn databases_come_under_the_names_deployments_use() {
    let (primary, replica) = ("postgres://u@127.0.0.1:1/d", "postgres://u@127.0.0.1:2/d");
    let scene = scene("")
        .variable("DATABASE_PRIMARY_URL", primary)
        .variable("DATABASE_REPLICA_7_URL", "postgres://u@127.0.0.1:7/d")
        .variable("DATABASE_REPLICA_3_URL", replica)
        .variable("DATABASE_REPLICA_4_URL", "")
        .variable("DATABASE_URL", "mysql://somebody.elses");
    let database = scene.settings().database;
    assert_eq!(database.primary.as_deref(), Some(primary));
    assert_eq!(database.replicas, [replica, "postgres://u@127.0.0.1:7/d"]);
    assert_eq!(scene.source("database.primary"), "env DATABASE_PRIMARY_URL");
    assert_eq!(scene.source("database.replicas"), "env DATABASE_REPLICA_3_URL");
    let ours = scene.variable("MAINSTAY_DATABASE__PRIMARY", replica);
    assert_eq!(ours.settings().database.primary.as_deref(), Some(replica));
}

#[test]
fn redis_comes_under_the_names_deployments_use() {
    let scene = scene("")
        .variable("REDIS_NODE_2_HOST", "b.example")
        .variable("REDIS_NODE_1_HOST", "a.example")
        .variable("REDIS_NODE_1_PORT", "7001")
        .variable("REDIS_PASSWORD", "hush")
        .variable("REDIS_URL", "redis://somebody.elses");
    let redis = scene.settings().redis;
    assert_eq!(redis.nodes, ["a.example:7001", "b.example:6379"]);
    assert_eq!(redis.password.as_deref(), Some("hush"));
    assert_eq!(scene.source("redis.nodes"), "env REDIS_NODE_1_HOST");
    let problems = scene.variable("REDIS_NODE_2_PORT", "many").problems();
    assert_eq!(problems, ["env REDIS_NODE_2_PORT: \"redis.nodes\" needs a port from 1 to 65535"]);
}

#[test]
fn unknown_and_unreadable_variables_are_refused() {
    let scene = scene("")
        .variable("MAINSTAY_EDGE__LISEN", "127.0.0.1:1")
        .variable("MAINSTAY_EDGE__WORKERS", "many")
        .flag("--env", "environment", "prod");
    assert_eq!(
        scene.problems(),
        [
            "env MAINSTAY_EDGE__LISEN: unknown variable \"MAINSTAY_EDGE__LISEN\"; did you mean \"MAINSTAY_EDGE__LISTEN\"?",
            "env MAINSTAY_EDGE__WORKERS: \"edge.workers\" must be a whole number from 0, not \"many\"",
            "flag --env: \"environment\" must be one of \"development\", \"production\", not \"prod\"",
        ]
    );
}

#[test]
fn a_variable_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut scene = scene("");
    let text = OsString::from_vec(vec![0xff]);
    scene.inputs.variables.push(("MAINSTAY_DATA_DIR".into(), text));
    assert_eq!(scene.problems(), ["env MAINSTAY_DATA_DIR: is not UTF-8"]);
}

#[test]
fn the_environment_follows_the_listener_unless_it_is_said() {
    let environment = |scene: &Scene| scene.settings().environment().as_str();
    let public = "[edge]\nlisten = \"0.0.0.0:8080\"\n";
    assert_eq!(environment(&scene("")), "development");
    assert_eq!(environment(&scene("[edge]\nlisten = \"[::1]:1\"\n")), "development");
    assert_eq!(environment(&scene(public)), "production");
    assert_eq!(environment(&scene("").variable("NODE_ENV", "production")), "production");
    assert_eq!(environment(&scene(public).variable("NODE_ENV", "development")), "production");
    assert_eq!(environment(&scene(public).variable("MAINSTAY_ENV", "development")), "development");
    let both = scene("").variable("MAINSTAY_ENV", "development").variable("NODE_ENV", "production");
    assert_eq!(environment(&both), "development");
    assert_eq!(environment(&both.flag("--env", "environment", "production")), "production");
}

#[test]
fn the_folder_of_the_command_line_finds_its_site() {
    let alone = scene("").site("site").settings();
    assert_eq!(alone.site.len(), 1);
    assert_eq!(alone.site[0].name, "default");

    let homeless = scene("[[site]]\nname = \"mine\"\ncsp = \"off\"\n").site("site");
    let settings = homeless.settings();
    assert_eq!(settings.site[0].name, "mine");
    assert_eq!(settings.site[0].dir, Some(homeless.dir.path().join("site")));
    assert_eq!(settings.headers_of(&settings.site[0]).csp, guard::Csp::Off);

    let taken = scene("[[site]]\ndir = \"DIR/site\"\n").site("site");
    assert_eq!(
        taken.problems(),
        [
            "argument SITE_DIR: every [[site]] of the settings file names its own folder or upstreams already"
        ]
    );
    let none = load(&Inputs::default()).unwrap();
    assert!(none.sites().is_err_and(|p| p.to_string().starts_with("settings: nothing to serve")));
    let bare = scene("[[site]]\nname = \"mine\"\n");
    let loaded = load(&bare.inputs).unwrap();
    let problem = loaded.sites().map(<[_]>::len).map_err(|p| p.to_string());
    assert!(problem.is_err_and(|p| p.contains("mainstay.toml:1:1: nothing to serve")));

    let missing = scene("").site("none").problems();
    assert_eq!(
        missing,
        ["argument SITE_DIR: \"site[0].dir\" \"none\": No such file or directory (os error 2)"]
    );
}

#[test]
fn upstreams_of_the_command_line_find_their_site() {
    let urls = ["http://127.0.0.1:3000".to_owned(), "http://127.0.0.1:3001".to_owned()];
    let mut alone = scene("");
    alone.inputs.upstreams = urls.to_vec();
    assert_eq!(alone.settings().site[0].upstreams, urls);

    let mut homeless = scene("[[site]]\nname = \"mine\"\nhosts = [\"example.org\"]\n");
    homeless.inputs.upstreams = urls.to_vec();
    let settings = homeless.settings();
    assert_eq!((settings.site.len(), &*settings.site[0].name), (1, "mine"));
    assert_eq!(settings.site[0].upstreams, urls);

    let mut wrong = scene("");
    wrong.inputs.upstreams = vec!["localhost:3000".into()];
    let problem = "flag --upstream: \"site[0].upstreams\" \"localhost:3000\": is not a URL such as http://127.0.0.1:3000";
    assert_eq!(wrong.problems(), [problem]);
}

#[test]
fn a_named_file_must_exist_and_the_variable_can_name_it() {
    let mut scene = scene("data_dir = \"elsewhere\"\n");
    let file = scene.inputs.config.take().unwrap();
    scene.inputs.variables.push(("MAINSTAY_CONFIG".into(), file.into()));
    assert_eq!(scene.settings().data_dir, Path::new("elsewhere"));

    scene.inputs.config = Some(scene.dir.path().join("none.toml"));
    assert_eq!(
        scene.problems(),
        ["none.toml:1:1: cannot be read: No such file or directory (os error 2)"]
    );
}
