//! Where data sets live on this computer.

use std::path::{Path, PathBuf};

use crate::error::DataError;

/// The environment variable that names the data folder.
const VARIABLE: &str = "EBM_DATA_DIR";

/// The data folder: `explicit` if given, else the environment variable `EBM_DATA_DIR`, else "ebm" in the user's data
/// folder (on Linux `~/.local/share/ebm`). It need not exist yet.
///
/// # Errors
/// [`DataError::NoDataDirectory`] if there is none of the three.
pub fn data_directory(explicit: Option<&Path>) -> Result<PathBuf, DataError> {
    choose(
        explicit,
        std::env::var_os(VARIABLE).map(PathBuf::from),
        || {
            directories::ProjectDirs::from("", "", "ebm")
                .map(|project| project.data_dir().to_path_buf())
        },
    )
}

fn choose(
    explicit: Option<&Path>,
    variable: Option<PathBuf>,
    user: impl FnOnce() -> Option<PathBuf>,
) -> Result<PathBuf, DataError> {
    explicit
        .map(Path::to_path_buf)
        // An empty variable counts as unset, as in the shell.
        .or_else(|| variable.filter(|path| !path.as_os_str().is_empty()))
        .or_else(user)
        .ok_or(DataError::NoDataDirectory)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_variable_over_the_user_folder() {
        let user = || Some(PathBuf::from("user"));
        let variable = |name: &str| Some(PathBuf::from(name));
        assert_eq!(
            choose(Some(Path::new("flag")), variable("env"), user).unwrap(),
            Path::new("flag")
        );
        assert_eq!(
            choose(None, variable("env"), user).unwrap(),
            Path::new("env")
        );
        assert_eq!(choose(None, variable(""), user).unwrap(), Path::new("user"));
        let error = choose(None, None, || None).unwrap_err().to_string();
        assert!(error.contains(VARIABLE), "{error}");
    }
}
