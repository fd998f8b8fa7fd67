//! `data fetch`: data sets from the net to the data folder.

use ebm_data::data_directory;
use ebm_data::fetch::{Fetcher, Progress, recipe};

use crate::cli::{DataArguments, DataCommand};
use crate::error::DriverError;
use crate::logging::Screen;

const TEMPLATE: &str = "{prefix} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left";

pub(crate) fn run(arguments: &DataArguments, screen: &Screen) -> Result<(), DriverError> {
    let DataCommand::Fetch { name, data } = &arguments.command;
    let recipe = recipe(name).map_err(|error| DriverError::Usage(error.to_string()))?;
    let directory = data_directory(data.folder())?;
    let bar = screen.bar(0, TEMPLATE);
    let fetched =
        Fetcher::from_environment()?.fetch(
            &recipe,
            &directory,
            &mut |progress| match progress {
                Progress::Downloading {
                    file,
                    received,
                    total,
                } => {
                    bar.set_prefix(file.to_owned());
                    bar.set_length(total);
                    bar.set_position(received);
                }
                Progress::Verifying { file } => tracing::info!("checking {file}"),
                Progress::AlreadyComplete { file } => {
                    screen.tell(&format!("{file}: already complete"));
                }
                Progress::Retrying {
                    file,
                    failures,
                    reason,
                } => {
                    screen.say(&format!(
                        "{file}: {reason}; trying again (failure {failures})"
                    ));
                }
                Progress::Unpacking { file } => screen.tell(&format!("{file}: unpacking")),
                Progress::Complete { file } => {
                    screen.tell(&format!("{file}: complete, checksum right"));
                }
                _ => {}
            },
        )?;
    bar.finish_and_clear();
    screen.tell(&format!(
        "{name}: {} files in {} ({} downloaded now)",
        fetched.downloaded + fetched.already_complete,
        fetched.directory.display(),
        fetched.downloaded,
    ));
    Ok(())
}
