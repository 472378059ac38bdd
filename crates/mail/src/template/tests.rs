//! Templates, good and bad.

use serde_json::json;
use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> (TempDir, Templates) {
    let dir = tempfile::tempdir().expect("a folder");
    let templates = dir.path().join("mail");
    std::fs::create_dir(&templates).expect("a folder");
    for (name, text) in files {
        std::fs::write(templates.join(name), text).expect("a file");
    }
    let settings = Settings { templates: Some(templates), ..Settings::default() };
    let templates = Templates::of(&settings);
    (dir, templates)
}

fn letter(template: &str, subject: &str, data: serde_json::Value) -> Letter {
    Letter {
        id: "1".into(),
        to: vec!["ada@example.org".into()],
        subject: subject.into(),
        template: template.into(),
        data,
    }
}

#[test]
fn values_are_put_in_and_escaped_where_it_is_html() {
    let (_dir, templates) = folder(&[
        ("order.txt", "Dear {{ name }},\n{% for of in items %}- {{ of.title }}\n{% endfor %}"),
        (
            "order.html",
            "{% extends \"frame.html\" %}{% block body %}<b title=\"{{ name }}\">{{ name }}</b>{% endblock %}",
        ),
        ("frame.html", "<main>{% block body %}{% endblock %}</main>"),
    ]);
    let data = json!({"name": "<i>\"Ada\"</i> & Co", "items": [{"title": "a"}, {"title": "ü"}]});
    let rendered = templates.render(&letter("order", "For {{ name }}", data)).expect("rendered");
    assert_eq!(rendered.subject, "For <i>\"Ada\"</i> & Co");
    assert_eq!(rendered.text, "Dear <i>\"Ada\"</i> & Co,\n- a\n- ü\n");
    let escaped = "&lt;i&gt;&quot;Ada&quot;&lt;/i&gt; &amp; Co";
    let html = rendered.html.expect("HTML").replace("&#x2f;", "/");
    assert_eq!(html, format!("<main><b title=\"{escaped}\">{escaped}</b></main>"));
}

#[test]
fn text_alone_is_a_letter_and_a_change_on_disk_holds_for_the_next_one() {
    let (dir, templates) = folder(&[("plain.txt", "one")]);
    let letter = letter("plain", "Hello", json!(null));
    let rendered = templates.render(&letter).expect("rendered");
    assert_eq!((&*rendered.text, rendered.html), ("one", None));
    std::fs::write(dir.path().join("mail/plain.txt"), "two").expect("a file");
    assert_eq!(templates.render(&letter).expect("rendered").text, "two");
}

#[test]
fn what_is_missing_is_named_and_nothing_of_the_data_is() {
    let (_dir, templates) = folder(&[
        ("gap.txt", "a\n{{ user.address.street }}"),
        ("top.txt", "{{ code }}"),
        ("loop.txt", "{% for x in list %}{{ x }}{% endfor %}"),
        ("if.txt", "{% if paid %}yes{% endif %}"),
        ("html.txt", "fine"),
        ("html.html", "{{ link }}"),
        ("broken.txt", "{% if %}"),
        ("calls.txt", "{{ user.name() }}"),
        ("filter.txt", "{{ user|unheard }}"),
        ("sum.txt", "{{ user + 1 }}"),
    ]);
    let data = json!({"user": {"address": {}, "name": "SECRET"}});
    for (template, subject, wanted) in [
        ("gap", "s", "gap.txt, line 2: a value is missing: user.address.street"),
        ("top", "s", "top.txt, line 1: a value is missing: code"),
        ("loop", "s", "list"),
        ("if", "s", "paid"),
        ("html", "s", "html.html, line 1: a value is missing: link"),
        ("html", "Hello {{ first_name }}", "subject, line 1: a value is missing: first_name"),
        ("broken", "s", "broken.txt, line 1: "),
        ("calls", "s", "calls.txt, line 1: "),
        ("filter", "s", "filter.txt, line 1: "),
        ("sum", "s", "sum.txt, line 1: "),
        ("absent", "s", "write absent.txt"),
    ] {
        let refused = templates.render(&letter(template, subject, data.clone()));
        let Err(Error::Refused(what)) = refused else { panic!("{template}: {refused:?}") };
        assert!(what.contains(wanted) && !what.contains("SECRET"), "{template}: {what}");
    }
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let (dir, templates) = folder(&[
        ("up.txt", "{% include \"../secret.txt\" %}"),
        ("abs.txt", "{% include path %}"),
        ("deep.txt", "{% include \"x/secret.txt\" %}"),
        ("other.txt", "{% include \"passwd\" %}"),
    ]);
    let secret = dir.path().join("secret.txt");
    std::fs::write(&secret, "SECRET").expect("a file");
    std::fs::create_dir(dir.path().join("mail/x")).expect("a folder");
    std::fs::write(dir.path().join("mail/x/secret.txt"), "SECRET").expect("a file");
    let long = "a".repeat(NAME_MAX + 1);
    let absolute = secret.with_extension("").display().to_string();
    let data = json!({"path": secret.display().to_string()});
    for name in ["../secret", "x/secret", "..", "", &*absolute, "a\0b", "a.b", "ü", &*long] {
        let refused = templates.render(&letter(name, "s", data.clone()));
        let Err(Error::Refused(what)) = refused else { panic!("{name}: {refused:?}") };
        assert!(what.starts_with("a template's name has 1 to 64 letters"), "{name}: {what}");
    }
    for name in ["up", "abs", "deep", "other"] {
        let refused = templates.render(&letter(name, "s", data.clone()));
        let Err(Error::Refused(what)) = refused else { panic!("{name}: {refused:?}") };
        assert!(what.starts_with(&format!("{name}.txt, line 1: ")), "{name}: {what}");
    }
}

#[test]
fn a_subject_is_one_line() {
    let (_dir, templates) = folder(&[("a.txt", "fine")]);
    let data = json!({"name": "Ada\r\nBcc: eve@example.org", "long": "x".repeat(SUBJECT_MAX + 1), "tab": "\t"});
    for subject in
        ["{{ name }}", "a\nb", "a\rb", "a\0b", "{{ tab }}x", "{{ long }}", "", " ", "{{ '' }}"]
    {
        let refused = templates.render(&letter("a", subject, data.clone()));
        let Err(Error::Refused(what)) = refused else { panic!("{subject:?}: {refused:?}") };
        assert!(what.contains("subject"), "{subject:?}: {what}");
    }
}

#[test]
fn a_template_has_its_bounds() {
    let long = "x".repeat(257 << 10);
    let (_dir, templates) = folder(&[
        (
            "endless.txt",
            "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        ),
        ("huge.txt", "{{ \"x\" * 1000000000 }}"),
        ("wide.txt", "{{ \"x\" * 1100000 }}"),
        ("deep.txt", "{% include \"deep.txt\" %}"),
        ("long.txt", &long),
    ]);
    for (name, wanted) in [
        ("endless", ""),
        ("huge", "too long"),
        ("wide", "mail.letter_max"),
        ("deep", ""),
        ("long", "mail.template_max"),
    ] {
        let refused = templates.render(&letter(name, "s", json!({})));
        let Err(Error::Refused(what)) = refused else { panic!("{name}: not refused") };
        assert!(what.contains(wanted) && what.len() < 500, "{name}: {what}");
    }
}

#[test]
fn what_html_includes_is_escaped_too() {
    let (_folder, templates) = folder(&[
        ("order.txt", "{% include \"name.txt\" %}"),
        ("order.html", "<p>{% include \"name.txt\" %}"),
        ("name.txt", "{{ name }}"),
    ]);
    let letter = letter("order", "s", json!({"name": "<b>Ada</b>"}));
    let rendered = templates.render(&letter).expect("a letter");
    assert_eq!(rendered.text, "<b>Ada</b>");
    assert_eq!(rendered.html.as_deref(), Some("<p>&lt;b&gt;Ada&lt;&#x2f;b&gt;"));
}
