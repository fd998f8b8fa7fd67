//! From JSON values to settings, with the key in every complaint.

use serde_json::{Map, Value, json};

use super::ExperimentConfig;
use super::error::Fault;
use super::suggest::did_you_mean;

pub(super) fn decode(file: Map<String, Value>) -> Result<ExperimentConfig, Fault> {
    let file = Value::Object(file);
    serde_path_to_error::deserialize(&file).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        let better = match path.as_str() {
            "data" => blame_in_data(&file),
            "long_run" if message.starts_with("missing field") => absent_of_long_run(&file),
            _ => None,
        };
        better.unwrap_or_else(|| explain(&path, &message))
    })
}

/// serde names only the first absent key; who adds this section by `--set` wants to know them all.
fn absent_of_long_run(file: &Value) -> Option<Fault> {
    let section = file.get("long_run")?;
    let mut absent = vec!["every", "steps", "start"];
    absent.retain(|&key| section.get(key).is_none());
    let absent = absent.join(", ");
    Some(Fault::new(
        "long_run",
        format!("needs the keys every, steps and start; missing: {absent}"),
    ))
}

/// `data` is read in two passes for its tag, in which serde loses the key that is wrong. Trying each key alone finds it.
fn blame_in_data(file: &Value) -> Option<Fault> {
    let data = file.get("data")?.as_object()?;
    let source = data.get("source")?;
    let complaint = |alone: Value| {
        let result = serde_json::from_value::<ebm_data::DataConfig>(alone);
        let message = result.err()?.to_string();
        (!message.starts_with("missing field")).then_some(message)
    };
    if let Some(message) = complaint(json!({"source": source})) {
        return Some(explain("data.source", &message));
    }
    data.iter().find_map(|(key, value)| {
        let message = complaint(json!({"source": source, key: value}))?;
        Some(explain(&format!("data.{key}"), &message))
    })
}

/// Puts serde's words into ours. They quote names in backticks: the one that is wrong, then those that are allowed.
pub(super) fn explain(path: &str, message: &str) -> Fault {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (wrong, allowed) = names.split_first().unwrap_or((&"", &[]));
    let key = match path {
        "." => (*wrong).to_owned(),
        _ if path.rsplit('.').next() == Some(wrong) => path.to_owned(),
        _ => format!("{path}.{wrong}"),
    };
    let suggestion = || did_you_mean(wrong, allowed.iter().copied());
    if message.starts_with("missing field") && path == "." {
        Fault::new(key, "is missing")
    } else if message.starts_with("missing field") {
        Fault::new(path, format!("needs the key \"{wrong}\""))
    } else if message.starts_with("unknown field") {
        let known = allowed.join(", ");
        Fault::new(
            key,
            format!(
                "is not a known key{}; the keys here are {known}",
                suggestion()
            ),
        )
    } else if message.starts_with("unknown variant") {
        Fault::new(path, format!("is wrong: {message}{}", suggestion()))
    } else {
        Fault::new(path, format!("is wrong: {message}"))
    }
}
