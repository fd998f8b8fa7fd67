//! Where published data sets come from.

use crate::error::DataError;

/// A published data set: a name and the files it consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRecipe {
    /// The name, also of the folder below the data folder and of the configuration's `source`.
    pub name: String,
    /// The files, in the order they are fetched.
    pub files: Vec<RemoteFile>,
}

/// One file of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// The file's name on disk and, below NAME/, on a mirror.
    pub file: String,
    /// The address at its publisher.
    pub url: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal digits.
    pub sha256: String,
    /// Whether it is a `.tar.gz` archive to unpack.
    pub unpack: bool,
}

const MNIST: &str = "https://ossci-datasets.s3.amazonaws.com/mnist/";
const FASHION_MNIST: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/";
const CIFAR10: &str = "https://www.cs.toronto.edu/~kriz/";
const FLOWERS102: &str = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/";

/// Data set, base address, file, bytes, SHA-256. Archives are told by their names.
type Row = (&'static str, &'static str, &'static str, u64, &'static str);

#[rustfmt::skip]
const TABLE: [Row; 10] = [
    ("mnist", MNIST, "train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    ("mnist", MNIST, "train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    ("mnist", MNIST, "t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    ("mnist", MNIST, "t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ("fashion-mnist", FASHION_MNIST, "train-images-idx3-ubyte.gz", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    ("fashion-mnist", FASHION_MNIST, "train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    ("fashion-mnist", FASHION_MNIST, "t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    ("fashion-mnist", FASHION_MNIST, "t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ("cifar10", CIFAR10, "cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    ("flowers102", FLOWERS102, "102flowers.tgz", 344_862_509, "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246"),
];

/// All data sets that can be fetched.
#[must_use]
pub fn recipes() -> Vec<DataRecipe> {
    let mut recipes: Vec<DataRecipe> = Vec::new();
    for (name, base, file, bytes, sha256) in TABLE {
        let file = RemoteFile {
            file: file.into(),
            url: format!("{base}{file}"),
            bytes,
            sha256: sha256.into(),
            unpack: file.ends_with(".tar.gz") || file.ends_with(".tgz"),
        };
        match recipes.last_mut() {
            Some(recipe) if recipe.name == name => recipe.files.push(file),
            _ => recipes.push(DataRecipe {
                name: name.into(),
                files: vec![file],
            }),
        }
    }
    recipes
}

/// The recipe of the data set `name`: mnist, fashion-mnist, cifar10 or flowers102.
///
/// # Errors
/// [`DataError::UnknownName`] lists the names there are.
pub fn recipe(name: &str) -> Result<DataRecipe, DataError> {
    let all = recipes();
    let known: Vec<&str> = all.iter().map(|recipe| recipe.name.as_str()).collect();
    let known = known.join(", ");
    all.into_iter()
        .find(|recipe| recipe.name == name)
        .ok_or_else(|| DataError::UnknownName {
            name: name.into(),
            known,
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::DataConfig;

    #[test]
    fn every_recipe_is_a_source_of_the_configuration() {
        for recipe in recipes() {
            let json = format!(r#"{{"source": "{}"}}"#, recipe.name);
            serde_json::from_str::<DataConfig>(&json).unwrap();
            for file in recipe.files {
                assert_eq!(file.sha256.len(), 64);
                assert!(file.url.ends_with(&file.file));
                assert_eq!(file.unpack, !file.file.contains("ubyte"));
            }
        }
        assert_eq!(recipes().len(), 4);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(recipe("cifar10").unwrap().files.len(), 1);
        let error = recipe("cifar100").unwrap_err().to_string();
        assert!(
            error.contains("mnist, fashion-mnist, cifar10, flowers102"),
            "{error}"
        );
    }
}
