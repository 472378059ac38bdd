//! Every kind of field that a schema can hold.

use base::units::{Size, Span};
use mainstay_base as base;
use schemars::JsonSchema;

use super::*;

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Sample {
    /// How long.
    wait: Span,
    body: Option<Size>,
    mode: Option<Documented>,
    bare: Bare,
    port: u16,
    ratio: f64,
    names: Vec<String>,
    #[schemars(extend("writeOnly" = true))]
    key: Option<String>,
    inner: Inner,
    many: Vec<Inner>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is read")]
enum Documented {
    /// Yes.
    On,
    /// No.
    Off,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
enum Bare {
    A,
    B,
}

/// About inner.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Inner {
    on: bool,
}

#[test]
fn every_kind_of_field_is_read() {
    let shape = Shape::of(&schemars::schema_for!(Sample));
    let find = |name: &str| shape.fields().iter().find(|f| f.name == name).cloned();
    let words = |name: &str| find(name).map(|f| f.shape.words()).unwrap_or_default();
    assert_eq!(words("wait"), "a duration such as \"3s\"");
    assert_eq!(find("wait").map(|f| f.about).as_deref(), Some("How long."));
    assert_eq!(words("body"), "a size such as \"64KiB\"");
    assert_eq!(words("mode"), "one of \"on\", \"off\"");
    assert_eq!(words("bare"), "one of \"A\", \"B\"");
    assert_eq!(words("port"), "a whole number from 0 to 65535");
    assert_eq!(words("ratio"), "a number");
    assert_eq!(words("names"), "a list of texts");
    assert_eq!(words("inner"), "a table");
    assert_eq!(words("many"), "a list of tables");
    assert_eq!(find("key").map(|f| (f.secret, f.shape)), Some((true, Shape::Text(Kind::Plain))));
    assert_eq!(find("inner").map(|f| f.about).as_deref(), Some("About inner."));
}
