//! The data of an experiment alone.

use ebm_data::DataConfig;
use serde_json::{Map, Value};

use super::ConfigError;
use super::decode::decode_data;
use super::error::Fault;
use super::overrides::Override;
use super::validate::of_data;

/// The section `data` of an experiment from overrides alone, such as `data.source=folder` and `data.path=flowers`,
/// checked without touching the disk.
///
/// # Errors
/// [`ConfigError::Override`] for what is no override, and [`ConfigError::Key`] for keys of other sections, unknown,
/// missing or wrong ones.
pub fn data_section(overrides: &[String]) -> Result<DataConfig, ConfigError> {
    let overrides = overrides
        .iter()
        .map(|argument| Override::parse(argument))
        .collect::<Result<Vec<_>, _>>()?;
    let mut file = Map::new();
    for each in &overrides {
        if each.key() != "data" && !each.key().starts_with("data.") {
            let problem =
                "is of another section; only keys of data, such as data.source, are taken here";
            return Err(Fault::new(each.key(), problem).at(each.origin()));
        }
        each.apply(&mut file)?;
    }
    decode_data(Value::Object(file))
        .and_then(|data| data.validate().map(|()| data).map_err(of_data))
        .map_err(
            |fault| match overrides.iter().rev().find(|each| each.gave(&fault.key)) {
                Some(each) => fault.at(each.origin()),
                None => fault.at("the data"),
            },
        )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn section(overrides: &[&str]) -> Result<DataConfig, String> {
        let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
        data_section(&overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn overrides_alone_make_the_section() {
        let data = section(&["data.source=folder", "data.path=flowers", "data.size=24"]).unwrap();
        assert_eq!((data.source(), data.shape()), ("folder", [3, 24, 24]));
        let whole = section(&[r#"data={"source": "mnist"}"#, "data.limit=3"]).unwrap();
        assert_eq!((whole.source(), whole.shape()), ("mnist", [1, 32, 32]));
    }

    #[test]
    fn what_is_wrong_is_said_of_its_override() {
        for (overrides, parts) in [
            (
                &["data.path=flowers"][..],
                &["data.path=flowers: ", "\"source\""][..],
            ),
            (
                &["data.source=folder"],
                &["data.source=folder: ", "\"path\""],
            ),
            (
                &["data.source=folders"],
                &["data.source=folders: ", "folder"],
            ),
            (
                &["data.source=folder", "data.path=x", "data.size=0"],
                &["data.size=0: \"data.size\"", "0 pixels"],
            ),
            (
                &["data.source=mnist", "data.sizes=3"],
                &["data.sizes=3: \"data.sizes\" is not a known key", "size"],
            ),
            (
                &["langevin.steps=3"],
                &["langevin.steps=3: ", "another section"],
            ),
            (&["data.source"], &["no \"=\""]),
        ] {
            let error = section(overrides).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
    }
}
