//! The chapter on settings names every key, no other, and the right defaults.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ebm_experiment::config::{Study, StudyConfig};
use ebm_experiment::{ExperimentConfig, Source};
use serde_json::Value;

/// A key that no section has.
const UNKNOWN: &str = "no_such_key";

/// The least that each source of data needs.
const SOURCES: [&str; 10] = [
    r#"{"source": "embedded-digits"}"#,
    r#"{"source": "mnist"}"#,
    r#"{"source": "fashion-mnist"}"#,
    r#"{"source": "cifar10"}"#,
    r#"{"source": "flowers102"}"#,
    r#"{"source": "idx", "images": "images.gz"}"#,
    r#"{"source": "cifar", "directory": "cifar"}"#,
    r#"{"source": "folder", "path": "images"}"#,
    r#"{"source": "gmm"}"#,
    r#"{"source": "rings"}"#,
];

/// The settings that come of an experiment with these data and overrides, or what is said of them.
fn resolve(data: &Value, overrides: &[String]) -> Result<Value, String> {
    let source = Source::Named("chapter".into());
    let text = serde_json::json!({ "data": data }).to_string();
    let parsed = ExperimentConfig::parse(&source, &text, overrides);
    let (config, _) = parsed.map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(config).unwrap())
}

/// The names that a complaint lists.
fn listed(complaint: &str, before: &str) -> Option<Vec<String>> {
    let (_, names) = complaint.split_once(before)?;
    let names = names.split_once(" (did").map_or(names, |(names, _)| names);
    Some(names.split(", ").map(str::to_owned).collect())
}

/// The keys of a section, or of the whole file where `section` is empty; `None` for a single value.
fn keys_of(data: &Value, section: &str) -> Option<Vec<String>> {
    let unknown = format!("{}={}", within(section, UNKNOWN), 1);
    listed(
        &resolve(data, &[unknown]).unwrap_err(),
        "the keys here are ",
    )
}

fn within(section: &str, key: &str) -> String {
    match section {
        "" => key.to_owned(),
        _ => format!("{section}.{key}"),
    }
}

/// Every key of an experiment with these data, `section.name`, and its default.
fn defaults(data: &Value) -> BTreeMap<String, Default> {
    let resolved = resolve(data, &[]).unwrap();
    let mut defaults = BTreeMap::new();
    for section in keys_of(data, "").unwrap() {
        let keys = match keys_of(data, &section) {
            _ if section == "data" => resolved["data"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect(),
            Some(keys) => keys,
            None => {
                let value = resolved.get(&section);
                defaults.insert(section, Default::of(value));
                continue;
            }
        };
        for key in keys {
            let name = format!("{section}.{key}");
            let default = match resolved.get(&section) {
                Some(_) if section == "data" && data.get(&key).is_some() => Default::Required,
                Some(section) => Default::of(section.get(&key)),
                None => match absent_section(data, &section, &key) {
                    Some(default) => default,
                    None => continue,
                },
            };
            defaults.insert(name, default);
        }
    }
    defaults
}

/// The default of a key in a section that is not there by default; `None` where these data cannot have the section.
fn absent_section(data: &Value, section: &str, key: &str) -> Option<Default> {
    let empty = resolve(data, &[format!("{section}={{}}")]);
    match empty {
        Ok(resolved) if resolved.get(section).is_none() => Some(beside_another(data, section, key)),
        Ok(resolved) => Some(Default::of(resolved[section].get(key))),
        Err(complaint) if complaint.contains("remove the section") => None,
        Err(complaint) => {
            let missing = listed(&complaint, "missing: ").unwrap();
            assert!(missing.iter().any(|missing| missing == key), "{complaint}");
            Some(Default::Required)
        }
    }
}

/// The default of a key in a section that is not written as long as all its keys have their defaults.
fn beside_another(data: &Value, section: &str, key: &str) -> Default {
    for other in keys_of(data, section).unwrap() {
        let resolved = resolve(data, &[format!("{section}.{other}=2")]);
        if other != key
            && let Ok(resolved) = resolved
        {
            return Default::of(resolved[section].get(key));
        }
    }
    panic!("no other key of {section} shows the default of {key}")
}

/// What a key is where the file does not say.
#[derive(Debug, Clone, PartialEq)]
enum Default {
    Required,
    None,
    Value(Value),
}

impl Default {
    fn of(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::None,
            Some(value) => Self::Value(value.clone()),
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "required" => Self::Required,
            "none" => Self::None,
            value => Self::Value(serde_json::from_str(value.trim_matches('`')).unwrap()),
        }
    }
}

/// A row of a table of the chapter.
#[derive(Debug)]
struct Row {
    kind: String,
    /// Kinds of data, or nothing for all, with the default for them.
    defaults: Vec<(String, Default)>,
    meaning: String,
}

impl Row {
    fn default_for(&self, source: &str) -> Option<&Default> {
        let kind = match source {
            "gmm" | "rings" => "toys",
            _ => "images",
        };
        let found = |wanted: &str| self.defaults.iter().find(|(label, _)| label == wanted);
        let found = found(source).or_else(|| found(kind)).or_else(|| found(""));
        found.map(|(_, default)| default)
    }
}

/// The rows of all tables whose first column is headed like this.
fn rows(heading: &str) -> BTreeMap<String, Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/config.md");
    let chapter = std::fs::read_to_string(path).unwrap();
    let mut rows = BTreeMap::new();
    let mut is_wanted = false;
    for line in chapter.lines() {
        let Some(line) = line.strip_prefix("| ") else {
            is_wanted &= line.starts_with('|');
            continue;
        };
        let line = line.strip_suffix(" |").unwrap().replace("\\|", "¦");
        let [key, kind, defaults, meaning] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("not four columns: {line}")
        };
        if !key.starts_with('`') {
            is_wanted = key == heading;
            continue;
        }
        if !is_wanted {
            continue;
        }
        let defaults = defaults
            .split("; ")
            .map(|default| match default.split_once(' ') {
                Some((label, default)) => (label.to_owned(), Default::parse(default)),
                None => (String::new(), Default::parse(default)),
            });
        let row = Row {
            kind: kind.to_owned(),
            defaults: defaults.collect(),
            meaning: meaning.to_owned(),
        };
        let earlier = rows.insert(key.trim_matches('`').to_owned(), row);
        assert!(earlier.is_none(), "{key} is there twice");
    }
    rows
}

#[test]
fn the_chapter_has_every_key_and_its_default() {
    let rows = rows("key");
    let mut known = BTreeSet::new();
    for data in SOURCES {
        let data: Value = serde_json::from_str(data).unwrap();
        let source = data["source"].as_str().unwrap();
        for (key, default) in defaults(&data) {
            let row = rows.get(&key);
            let row = row.unwrap_or_else(|| panic!("the chapter lacks the key {key}"));
            let said = row.default_for(source);
            assert_eq!(said, Some(&default), "default of {key} for {source}");
            known.insert(key);
        }
    }
    for (key, row) in &rows {
        assert!(known.contains(key), "there is no key {key}");
        assert!(row.meaning.ends_with('.'), "{key}: {}", row.meaning);
    }
}

/// Every name that a key takes stands in its row.
#[test]
fn the_chapter_has_every_name_that_a_key_takes() {
    let rows = rows("key");
    let mut lists = 0;
    for (key, row) in &rows {
        let data = if key.starts_with("landscape.") {
            serde_json::json!({"source": "gmm"})
        } else {
            serde_json::json!({"source": "folder", "path": "images"})
        };
        let unknown = [format!("{key}={UNKNOWN}")];
        let Err(complaint) = resolve(&data, &unknown) else {
            continue;
        };
        if let Some(names) = listed(&complaint, "must be one of ") {
            let said: Vec<_> = row.kind.split('`').skip(1).step_by(2).collect();
            assert_eq!(said, names, "{key}");
            lists += 1;
            if key == "data.source" {
                assert_eq!(
                    names.len(),
                    SOURCES.len(),
                    "a source is missing in this test"
                );
            }
        }
    }
    assert_eq!(lists, 8);
}

#[test]
fn the_chapter_has_every_key_of_a_study() {
    let rows = rows("key of a study");
    let complaint = |text: Value| {
        let source = Source::Named("chapter".into());
        Study::parse(&source, &text.to_string(), &[])
            .unwrap_err()
            .to_string()
    };
    let keys = |text: Value| listed(&complaint(text), "the keys here are ").unwrap();
    let least =
        serde_json::json!({"base": "short-run", "variants": [{"name": "a"}, {"name": "b"}]});
    let config: StudyConfig = serde_json::from_value(least.clone()).unwrap();
    let resolved = serde_json::to_value(config).unwrap();

    let mut known = BTreeMap::new();
    let mut add = |prefix: &str, keys: Vec<String>, resolved: &Value, given: &Value| {
        for key in keys {
            let default = match given.get(&key) {
                Some(_) => Default::Required,
                None => Default::of(resolved.get(&key)),
            };
            known.insert(format!("{prefix}{key}"), default);
        }
    };
    let unknown = serde_json::json!({UNKNOWN: 1});
    add("", keys(unknown.clone()), &resolved, &least);
    let variant = keys(serde_json::json!({"variants": [unknown]}));
    add(
        "variants[].",
        variant,
        &resolved["variants"][0],
        &least["variants"][0],
    );
    let diagnosis = keys(serde_json::json!({"diagnosis": unknown}));
    add(
        "diagnosis.",
        diagnosis,
        &resolved["diagnosis"],
        &Value::Null,
    );
    // The section itself has no row.
    known.remove("diagnosis").unwrap();

    let said: BTreeMap<_, _> = rows
        .iter()
        .map(|(key, row)| (key.clone(), row.default_for("").unwrap().clone()))
        .collect();
    assert_eq!(said, known);
}
