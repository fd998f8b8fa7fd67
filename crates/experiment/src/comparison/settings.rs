//! The settings in which runs differ.

use serde_json::Value;

use super::ComparedRun;

/// Shown for a key that a run does not have.
const ABSENT: &str = "–";

/// Rows of a key such as `langevin.steps` and its value in each run; only keys whose values are not the same in all.
pub(crate) fn differing_settings(runs: &[ComparedRun]) -> Vec<Vec<String>> {
    differing(&runs.iter().map(settings).collect::<Vec<_>>())
}

fn settings(run: &ComparedRun) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    // These settings come from a file and go back into one, so they always have a JSON form.
    let config = serde_json::to_value(&run.config).unwrap_or_default();
    flatten("", &config, &mut entries);
    entries.retain(|(key, _)| key != "description");
    if let Some(info) = &run.info {
        for (key, value) in [
            ("experiment", &info.experiment),
            ("backend", &info.backend),
            ("engine", &info.engine),
            ("version", &info.version),
            ("burn", &info.burn),
            ("platform", &info.platform),
        ] {
            entries.push((key.to_owned(), value.clone()));
        }
    }
    entries
}

fn flatten(key: &str, value: &Value, entries: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                flatten(&key, value, entries);
            }
        }
        Value::String(text) => entries.push((key.to_owned(), text.clone())),
        other => entries.push((key.to_owned(), other.to_string())),
    }
}

fn differing(runs: &[Vec<(String, String)>]) -> Vec<Vec<String>> {
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in runs.iter().flatten() {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let value = |run: &[(String, String)], key: &str| {
        run.iter()
            .find(|(name, _)| name == key)
            .map_or(ABSENT.to_owned(), |(_, value)| value.clone())
    };
    keys.into_iter()
        .map(|key| -> Vec<String> {
            std::iter::once(key.to_owned())
                .chain(runs.iter().map(|run| value(run, key)))
                .collect()
        })
        .filter(|row| row[1..].windows(2).any(|pair| pair[0] != pair[1]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_left() {
        let entries = |json: Value| {
            let mut entries = Vec::new();
            flatten("", &json, &mut entries);
            entries
        };
        let runs = [
            entries(serde_json::json!({"seed": 1, "langevin": {"steps": 30, "start": "uniform"}})),
            entries(
                serde_json::json!({"seed": 1, "langevin": {"steps": 60, "start": "uniform"}, "long_run": 5}),
            ),
        ];
        assert_eq!(
            differing(&runs),
            [
                vec!["langevin.steps", "30", "60"],
                vec!["long_run", ABSENT, "5"]
            ]
        );
    }
}
