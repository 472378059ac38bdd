//! Whether one value fits the shape of its setting, and reading one from plain text; knows no file and no environment.

use serde_json::Value;

use super::place::{KeyPath, Step};
use super::shape::{Field, Shape};

/// Why a value does not fit: what to say and perhaps what was meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

/// Checks one value that is neither a table nor a list of tables.
pub(super) fn check(shape: &Shape, value: &Value, path: &KeyPath) -> Result<(), Misfit> {
    let fits = match (shape, value) {
        (Shape::Any, _)
        | (Shape::Text(_), Value::String(_))
        | (Shape::Number, Value::Number(_))
        | (Shape::Boolean, Value::Bool(_)) => true,
        (Shape::Integer(least, most), Value::Number(n)) => {
            let whole = n.as_i64().map(i128::from).or(n.as_u64().map(i128::from));
            whole.is_some_and(|n| (*least..=*most).contains(&n))
        }
        (Shape::Choice(words), Value::String(text)) => {
            return check_choice(words, text, shape, path);
        }
        (Shape::List(item), Value::Array(values)) => {
            return values
                .iter()
                .enumerate()
                .try_for_each(|(n, value)| check(item, value, &path.index(n)));
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(misfit(shape, value, path, None)) }
}

/// Reads a value from the text of a variable or flag, where nothing is quoted; lists are separated by commas.
pub(super) fn read_text(shape: &Shape, text: &str, path: &KeyPath) -> Result<Value, Misfit> {
    let plain = || Value::String(text.to_owned());
    let value = match shape {
        Shape::Integer(..) => text
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| text.parse::<u64>().map(Value::from))
            .ok(),
        Shape::Number => text.parse::<f64>().ok().map(Value::from),
        Shape::Boolean => text.parse::<bool>().ok().map(Value::from),
        Shape::List(item) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            return parts.map(|part| read_text(item, part, path)).collect();
        }
        _ => None,
    };
    let value = value.unwrap_or_else(plain);
    check(shape, &value, path).map(|()| value)
}

/// What was probably meant by an unknown key: a sibling spelt alike, else the same key in another table.
pub(super) fn suggest_key(
    root: &Shape,
    at: &KeyPath,
    siblings: &[Field],
    key: &str,
) -> Option<String> {
    let near = closest(key, siblings.iter().map(|f| f.name.as_str()));
    near.map(|name| at.key(name).to_string()).or_else(|| {
        let same = |path: &KeyPath| path.0.last() == KeyPath::dotted(key).0.last();
        list_leaves(root).into_iter().map(|(path, _)| path).find(same).map(|p| p.to_string())
    })
}

/// The candidate spelt most like `text`, if any is alike enough to be meant.
pub(super) fn closest<'a>(
    text: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // 0.6: two wrong letters in a word of five, one in a word of three.
    const ALIKE: f64 = 0.6;
    candidates
        .map(|c| (strsim::normalized_damerau_levenshtein(text, c), c))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

/// Every setting outside lists of tables, with its path, in the order of the reference.
pub(super) fn list_leaves(root: &Shape) -> Vec<(KeyPath, &Field)> {
    fn walk<'a>(fields: &'a [Field], at: &KeyPath, found: &mut Vec<(KeyPath, &'a Field)>) {
        for field in fields {
            let path = at.key(&field.name);
            match &field.shape {
                Shape::Table(inner) => walk(inner, &path, found),
                shape if shape.is_list_of_tables() => {}
                _ => found.push((path, field)),
            }
        }
    }
    let mut found = Vec::new();
    walk(root.fields(), &KeyPath::default(), &mut found);
    found
}

/// The value at `path`, if the tree has one.
pub(super) fn find<'a>(tree: &'a Value, path: &KeyPath) -> Option<&'a Value> {
    path.0.iter().try_fold(tree, |at, step| match step {
        Step::Key(key) => at.get(key),
        Step::Index(index) => at.get(index),
    })
}

fn check_choice(
    words: &[(String, String)],
    text: &str,
    shape: &Shape,
    path: &KeyPath,
) -> Result<(), Misfit> {
    if words.iter().any(|(word, _)| word == text) {
        return Ok(());
    }
    let near = closest(text, words.iter().map(|(word, _)| word.as_str())).map(str::to_owned);
    Err(misfit(shape, &Value::String(text.to_owned()), path, near))
}

fn misfit(shape: &Shape, value: &Value, path: &KeyPath, suggestion: Option<String>) -> Misfit {
    let found = match value {
        Value::Object(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    };
    Misfit { message: format!("\"{path}\" must be {}, not {found}", shape.words()), suggestion }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::shape::Kind;
    use super::*;

    fn choice() -> Shape {
        Shape::Choice(["auto", "off"].map(|w| (w.to_owned(), String::new())).into())
    }

    #[test]
    fn text_is_read_by_shape() {
        let texts = Shape::List(Box::new(Shape::Text(Kind::Plain)));
        for (shape, text, expected) in [
            (Shape::Integer(0, 65_535), "8", Some(json!(8))),
            (Shape::Integer(0, 65_535), "70000", None),
            (Shape::Integer(0, 65_535), "-1", None),
            (Shape::Integer(0, 65_535), "many", None),
            (Shape::Boolean, "true", Some(json!(true))),
            (Shape::Boolean, "yes", None),
            (Shape::Number, "0.5", Some(json!(0.5))),
            (Shape::Text(Kind::Plain), "8", Some(json!("8"))),
            (texts.clone(), "a, b,", Some(json!(["a", "b"]))),
            (choice(), "off", Some(json!("off"))),
            (choice(), "on", None),
        ] {
            let read = read_text(&shape, text, &KeyPath::dotted("x"));
            assert_eq!(read.ok(), expected, "{shape:?} {text}");
        }
    }

    #[test]
    fn a_wrong_word_names_the_right_ones() {
        let misfit = check(&choice(), &json!("aut"), &KeyPath::dotted("site").index(0).key("csp"));
        assert_eq!(
            misfit,
            Err(Misfit {
                message: "\"site[0].csp\" must be one of \"auto\", \"off\", not \"aut\"".into(),
                suggestion: Some("auto".into()),
            })
        );
    }

    #[test]
    fn a_wrong_item_is_named_by_its_place() {
        let texts = Shape::List(Box::new(Shape::Text(Kind::Plain)));
        let misfit = check(&texts, &json!(["a", 3]), &KeyPath::dotted("hosts"));
        assert_eq!(
            misfit.map_err(|m| m.message),
            Err("\"hosts[1]\" must be a text in quotes, not 3".into())
        );
    }

    #[test]
    fn only_what_is_alike_is_suggested() {
        let names = ["listen", "workers", "prefix"];
        assert_eq!(closest("lisen", names.into_iter()), Some("listen"));
        assert_eq!(closest("worker", names.into_iter()), Some("workers"));
        assert_eq!(closest("colour", names.into_iter()), None);
    }
}
