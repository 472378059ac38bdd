//! What is refused, and how it is said.

use super::*;

#[test]
fn unknown_settings_name_line_column_and_what_was_meant() {
    refused(
        "[edge]\n\n  lisen = \"127.0.0.1:1\"\n",
        &["mainstay.toml:3:3: unknown setting \"edge.lisen\"; did you mean \"edge.listen\"?"],
    );
    refused(
        "[egde]\nlisten = \"127.0.0.1:1\"\n",
        &["mainstay.toml:1:2: unknown setting \"egde\"; did you mean \"edge\"?"],
    );
    refused(
        "connections_max = 5\n",
        &[
            "mainstay.toml:1:1: unknown setting \"connections_max\"; did you mean \"edge.connections_max\"?",
        ],
    );
    refused(
        "[[site]]\nupstream = [\"http://127.0.0.1:3000\"]\n",
        &[
            "mainstay.toml:2:1: unknown setting \"site[0].upstream\"; did you mean \"site[0].upstreams\"?",
        ],
    );
}

#[test]
fn addresses_of_databases_are_refused_without_showing_them() {
    refused(
        "[database]\nprimary = \"mysql://u:secret@h/d\"\nreplicas = [\"postgres://u:secret@h:x/d\"]\n",
        &[
            "mainstay.toml:2:11: \"database.primary\" must begin with postgres:// or postgresql://",
            "mainstay.toml:3:12: \"database.replicas\" is not an address of a PostgreSQL database",
        ],
    );
    refused(
        "[database]\nreplicas = [\"postgres://u@h/d\"]\npool_min = 60\n",
        &[
            "mainstay.toml:2:12: \"database.replicas\" needs database.primary: replicas alone take no changes",
            "mainstay.toml:3:12: \"database.pool_min\" must not exceed database.pool_max (50)",
        ],
    );
}

#[test]
fn queues_have_names_of_their_own_and_leases_a_length() {
    refused(
        "[jobs]\nlease = \"10ms\"\n[[jobs.queue]]\nname = \"a b\"\n[[jobs.queue]]\nconcurrency = 2\n",
        &[
            "mainstay.toml:2:9: \"jobs.lease\" is from \"1s\" to \"1d\"",
            "mainstay.toml:4:8: \"jobs.queue[0].name\" `a b` is no name of a queue: write 1 to 100 letters, digits, `-`, `_`, `.` or `:`",
            "mainstay.toml:5:1: \"jobs.queue[1].name\" `` is no name of a queue: write 1 to 100 letters, digits, `-`, `_`, `.` or `:`",
        ],
    );
}

#[test]
fn servers_of_redis_have_a_host_and_a_port() {
    refused(
        "[redis]\nnodes = [\"a:6379\", \"b\", \":1\"]\nnamespace = \"my site\"\n",
        &[
            "mainstay.toml:2:9: \"redis.nodes\" must be \"host:port\", not \"b\"",
            "mainstay.toml:2:9: \"redis.nodes\" must be \"host:port\", not \":1\"",
            "mainstay.toml:3:13: \"redis.namespace\" must be letters, digits, - and _, at least one",
        ],
    );
}

#[test]
fn authorities_of_redis_need_tls() {
    refused(
        "[redis]\nnodes = [\"a:6379\"]\nca_file = \"ca.pem\"\n",
        &[
            "mainstay.toml:3:11: \"redis.ca_file\" needs redis.tls = true: without it nothing is encrypted, and nobody's certificate is looked at",
        ],
    );
}

#[test]
fn mail_servers_and_workers_are_refused_without_showing_secrets() {
    refused(
        "[mail]\nurl = \"http://u:secret@h\"\nfrom = \"nobody\"\n",
        &[
            "mainstay.toml:2:7: \"mail.url\" must begin with smtp:// or smtps://",
            "mainstay.toml:3:8: \"mail.from\" must be an address such as \"Shop <shop@example.org>\", not \"nobody\"",
        ],
    );
    refused(
        "[webhook]\nsecret = \"sesame\"\norigins = [\"http://h/path\"]\n",
        &[
            "mainstay.toml:2:10: \"webhook.secret\" must be base64 of at least 24 bytes, with or without \"whsec_\" before it: make one with `openssl rand -base64 32`",
            "mainstay.toml:3:11: \"webhook.origins\" must be scheme and host such as \"http://127.0.0.1:9000\", not \"http://h/path\"",
        ],
    );
}

#[test]
fn every_problem_is_reported_at_once() {
    refused(
        "data_dir = 5\n[edge]\nworkers = -1\nhead_timeout = \"10\"\nidle_timeout = \"1\"\nlisen = 1\n[headers]\ncsp = \"enforced\"\n[edge.x]\n",
        &[
            "mainstay.toml:1:12: \"data_dir\" must be a text in quotes, not 5",
            "mainstay.toml:3:11: \"edge.workers\" must be a whole number from 0, not -1",
            "mainstay.toml:4:16: \"edge.head_timeout\": \"10\" needs a unit: ms, s, m, h or d",
            "mainstay.toml:5:16: \"edge.idle_timeout\": \"1\" needs a unit: ms, s, m, h or d",
            "mainstay.toml:6:1: unknown setting \"edge.lisen\"; did you mean \"edge.listen\"?",
            "mainstay.toml:8:7: \"headers.csp\" must be one of \"auto\", \"enforce\", \"report\", \"off\", not \"enforced\"; did you mean \"enforce\"?",
            "mainstay.toml:9:7: unknown setting \"edge.x\"",
        ],
    );
}

#[test]
fn broken_toml_is_reported_with_its_place_beside_other_problems() {
    let problems = scene("data_dir = \n[edge]\nlisen = 1\n").problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("mainstay.toml:1:1"), "{problems:?}");
    assert!(problems[1].starts_with("mainstay.toml:3:1: unknown setting"), "{problems:?}");
}

#[test]
fn wrong_kinds_of_value_are_named() {
    refused("edge = 1\n", &["mainstay.toml:1:8: \"edge\" must be a table, not 1"]);
    refused("[site]\ndir = \"x\"\n", &["mainstay.toml:1:1: \"site\" is a list: write [[site]]"]);
    refused(
        "data_dir = 2026-01-01\n",
        &["mainstay.toml:1:12: \"data_dir\" must be a text in quotes"],
    );
    refused(
        "[edge]\nh2_streams_max = 5000000000\n",
        &[
            "mainstay.toml:2:18: \"edge.h2_streams_max\" must be a whole number from 1 to 4294967295, not 5000000000",
        ],
    );
}

#[test]
fn addresses_and_bounds_are_checked() {
    refused(
        "[edge]\nlisten = \":8080\"\n",
        &[
            "mainstay.toml:2:10: \"edge.listen\" must be an IP address and a port, not \":8080\"; did you mean \"127.0.0.1:8080\"?",
        ],
    );
    refused(
        "[admin]\nlisten = \"0.0.0.0:8081\"\n",
        &[
            "mainstay.toml:2:10: \"admin.listen\" must be a loopback address: the admin side speaks plain http, reach it through a tunnel; did you mean \"127.0.0.1:8081\"?",
        ],
    );
    refused(
        "[admin]\nlisten = \"127.0.0.1:8080\"\n",
        &["mainstay.toml:2:10: \"admin.listen\" is the address of the public listener"],
    );
    refused(
        "[edge]\nconnections_max = 0\nhead_timeout = \"0s\"\nworkers = 0\nhead_bytes_max = \"1KiB\"\n",
        &[
            "mainstay.toml:2:19: \"edge.connections_max\" must be a whole number from 1, not 0",
            "mainstay.toml:3:16: \"edge.head_timeout\" must be more than zero",
            "mainstay.toml:5:18: \"edge.head_bytes_max\" must be at least \"8KiB\"",
        ],
    );
    for prefix in ["", "/", "x", "/x/", "/a//b", "/../x", "/a b"] {
        let problems = scene(&format!("[edge]\nprefix = \"{prefix}\"\n")).problems();
        assert_eq!(problems.len(), 1, "{prefix}: {problems:?}");
    }
    for url in [
        "example.org",
        "ftp://example.org",
        "https://",
        "https://a/b",
        "https://u@a",
        "https://a/#x",
    ] {
        let problems = scene(&format!("public_url = \"{url}\"\n")).problems();
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
    }
    assert!(scene("public_url = \"https://example.org\"\n").problems().is_empty());
}

#[test]
fn what_cannot_be_kept_whole_is_refused_rather_than_cut() {
    refused(
        "[insight]\nevents_max = 1025\n",
        &["mainstay.toml:2:14: \"insight.events_max\" must not exceed 1024, not 1025"],
    );
    assert_eq!(scene("[insight]\nevents_max = 1024\n").problems(), [""; 0]);
    let named = |bytes: usize| scene("").variable("APP_VERSION", &"r".repeat(bytes)).problems();
    assert_eq!(named(64), [""; 0]);
    assert_eq!(
        named(65),
        ["env APP_VERSION: \"insight.release\" must have at most 64 bytes, not 65"]
    );
}

#[test]
fn samples_fit_into_the_steps_they_are_merged_into() {
    for every in ["1s", "10s", "15s", "1m", "150s"] {
        let text = format!("[insight]\nsample_every = \"{every}\"\n");
        assert_eq!(scene(&text).problems(), [""; 0], "{every}");
    }
    for every in ["5m", "10m", "7s", "1500ms"] {
        let problems = scene(&format!("[insight]\nsample_every = \"{every}\"\n")).problems();
        let found =
            problems.iter().any(|line| line.contains("must be whole seconds that divide 5m"));
        assert!(found, "{every}: {problems:?}");
    }
}

#[test]
fn what_a_room_finds_wrong_has_its_place_too() {
    let problems = scene("[cors]\norigins = [\"https://a.example/\"]\n").problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("mainstay.toml:2:11: \"cors.origins\" "), "{problems:?}");
}

#[test]
fn folders_of_sites_are_checked() {
    refused(
        "[[site]]\ndir = \"DIR/none\"\n",
        &["mainstay.toml:2:7: \"site[0].dir\" \"none\": No such file or directory (os error 2)"],
    );
    refused(
        "[[site]]\ndir = \"DIR/mainstay.toml\"\n",
        &["mainstay.toml:2:7: \"site[0].dir\" \"mainstay.toml\" is not a folder"],
    );
    refused(
        "data_dir = \"DIR/site\"\n[[site]]\ndir = \"DIR/site/../site\"\n",
        &["mainstay.toml:3:7: \"site[0].dir\" \"site/../site\" lies in data_dir \"site\""],
    );
    // The scene's folder holds `site`: a folder anywhere below the data dir is refused, not only the data dir itself.
    refused(
        "data_dir = \"DIR/site/..\"\n[[site]]\ndir = \"DIR/site\"\n",
        &["mainstay.toml:3:7: \"site[0].dir\" \"site\" lies in data_dir \"site/..\""],
    );
    let outside = scene("data_dir = \"DIR/site/data\"\n[[site]]\ndir = \"DIR/site\"\n");
    std::fs::create_dir(outside.dir.path().join("site/data")).unwrap();
    assert_eq!(outside.problems(), [""; 0], "a data dir inside the site is well");
    refused(
        "[[site]]\ndir = \"DIR/site\"\n[[site]]\ndir = \"DIR/site\"\n",
        &[
            "mainstay.toml:3:1: \"site[1].name\" \"default\" is taken already",
            "mainstay.toml:3:1: \"site[1].hosts\" is empty: the site would answer for every host, as \"default\" does already",
        ],
    );
    refused(
        "[[site]]\nname = \"a\"\ndir = \"DIR/site\"\n[[site]]\nname = \"b c\"\ndir = \"DIR/site\"\n",
        &[
            "mainstay.toml:4:1: \"site[1].hosts\" is empty: the site would answer for every host, as \"a\" does already",
            "mainstay.toml:5:8: \"site[1].name\" must be 1 to 64 letters, digits, \"-\" or \"_\"",
        ],
    );
}

#[test]
fn hosts_upstreams_and_certificates_must_fit_together() {
    refused(
        "[[site]]\nhosts = [\"https://example.org/\", \"a b\", \"a.test\", \"A.test\"]\ndir = \"DIR/site\"\n[[site]]\nname = \"b\"\nhosts = [\"a.test\"]\ncanonical = \"a/b\"\nupstreams = [\"http://127.0.0.1:1/x\"]\ndir = \"DIR/site\"\n",
        &[
            "mainstay.toml:2:9: \"site[0].hosts\" must hold names such as \"example.org\", not \"https://example.org/\"; did you mean \"example.org\"?",
            "mainstay.toml:2:9: \"site[0].hosts\" must hold names such as \"example.org\", not \"a b\"",
            "mainstay.toml:2:9: \"site[0].hosts\" names \"A.test\" twice",
            "mainstay.toml:6:9: \"site[1].hosts\" \"a.test\" belongs to \"default\" already",
            "mainstay.toml:7:13: \"site[1].canonical\" must be a host name such as \"example.org\", not \"a/b\"",
            "mainstay.toml:8:13: \"site[1].upstreams\" cannot be together with \"dir\"",
            "mainstay.toml:8:13: \"site[1].upstreams\" \"http://127.0.0.1:1/x\": must end after the port: paths are passed on as they come",
        ],
    );
    refused(
        "[tls]\ncert = \"c.pem\"\nredirect_listen = \"127.0.0.1:8080\"\n[[site]]\ndir = \"DIR/site\"\nbuild_dir = \"DIR/site\"\n",
        &[
            "mainstay.toml:3:19: \"tls.redirect_listen\" is the address of the public listener",
            "mainstay.toml:6:13: \"site[0].build_dir\" belongs to a site with \"upstreams\"",
            "settings: \"tls.key\" is missing: \"tls.cert\" needs its key",
        ],
    );
}

#[test]
fn certificates_of_sites_are_whole_pairs_and_stand_beside_no_self_signed_one() {
    refused(
        "[tls]\nself_signed = true\n[[site]]\ndir = \"DIR/site\"\ntls.cert = \"c.pem\"\n\
         [[site]]\nname = \"b\"\nhosts = [\"b.test\"]\ndir = \"DIR/site\"\n[site.tls]\nkey = \"k.pem\"\n\
         [[site]]\nname = \"c\"\nhosts = [\"c.test\"]\ndir = \"DIR/site\"\n[site.tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\nkeys = 1\n",
        &[
            "mainstay.toml:2:15: \"tls.self_signed\" cannot be together with \"site[2].tls.cert\"",
            "mainstay.toml:3:1: \"site[0].tls.key\" is missing: \"site[0].tls.cert\" needs its key",
            "mainstay.toml:6:1: \"site[1].tls.cert\" is missing: \"site[1].tls.key\" needs its certificate",
            "mainstay.toml:19:1: unknown setting \"site[2].tls.keys\"; did you mean \"site[2].tls.key\"?",
        ],
    );
}

#[test]
fn a_name_has_one_certificate_whatever_the_port() {
    let site = |name: &str, host: &str, pair: &str| {
        format!(
            "[[site]]\nname = \"{name}\"\nhosts = [\"{host}\"]\ndir = \"DIR/site\"\n\
             tls.cert = \"{pair}.pem\"\ntls.key = \"{pair}.key\"\n"
        )
    };
    let first = site("a", "Shop.test", "one");
    refused(
        &format!("{first}{}", site("b", "shop.test:8443", "two")),
        &[
            "mainstay.toml:11:12: \"site[1].tls.cert\" \"shop.test\" has the certificate of \"a\" already: clients ask for one by the name, without a port",
        ],
    );
    for (host, pair) in [("shop.test:8443", "one"), ("www.shop.test:8443", "two")] {
        let text = format!("{first}{}", site("b", host, pair));
        assert_eq!(scene(&text).problems(), [""; 0], "{host} {pair}");
    }
    // A site without its own has the one for all.
    let all = "[tls]\ncert = \"all.pem\"\nkey = \"all.key\"\n";
    let plain = |name: &str| {
        let hosts = "hosts = [\"shop.test:8443\"]";
        format!("[[site]]\nname = \"{name}\"\n{hosts}\ndir = \"DIR/site\"\n")
    };
    let own = |pair: &str| site("own", "shop.test", pair);
    for (sites, expected) in [
        (
            format!("{}{}", own("one"), plain("plain")),
            "mainstay.toml:8:12: \"site[0].tls.cert\" \"shop.test\" has \"tls.cert\" at \"plain\" already: clients ask for one by the name, without a port",
        ),
        (
            format!("{}{}", plain("plain"), own("one")),
            "mainstay.toml:12:12: \"site[1].tls.cert\" \"shop.test\" has \"tls.cert\" at \"plain\" already: clients ask for one by the name, without a port",
        ),
    ] {
        refused(&format!("{all}{sites}"), &[expected]);
        assert_eq!(scene(&sites).problems(), [""; 0], "nothing is for all: {sites}");
    }
    let same = format!("{all}{}{}", own("all"), plain("plain"));
    assert_eq!(scene(&same).problems(), [""; 0]);
}

#[test]
fn a_canonical_name_must_be_one_that_the_site_answers_for() {
    refused(
        "[[site]]\nhosts = [\"www.c.example\"]\ncanonical = \"c.example\"\ndir = \"DIR/site\"\n",
        &[
            "mainstay.toml:3:13: \"site[0].canonical\" \"c.example\" is answered by no site: add it to \"hosts\"",
        ],
    );
    refused(
        "[[site]]\ncanonical = \"c.example\"\ndir = \"DIR/site\"\n[[site]]\nname = \"b\"\nhosts = [\"c.example\"]\ndir = \"DIR/site\"\n",
        &["mainstay.toml:2:13: \"site[0].canonical\" \"c.example\" belongs to \"b\""],
    );
    for hosts in ["[]", "[\"c.example\"]", "[\"*.example\"]", "[\"C.example\", \"x.test\"]"] {
        let text =
            format!("[[site]]\nhosts = {hosts}\ncanonical = \"c.example\"\ndir = \"DIR/site\"\n");
        assert_eq!(scene(&text).problems(), [""; 0], "{hosts}");
    }
}

#[test]
fn a_token_file_is_looked_into() {
    let scene = scene("").variable("MAINSTAY_ADMIN__TOKEN_FILE", "DIR/token");
    assert!(scene.problems()[0].contains("cannot be read"), "{:?}", scene.problems());
    std::fs::write(scene.dir.path().join("token"), " \n").unwrap();
    assert!(scene.problems()[0].ends_with("\"token\" is empty"), "{:?}", scene.problems());
    std::fs::write(scene.dir.path().join("token"), "sesame\n").unwrap();
    assert!(scene.problems().is_empty());
}
