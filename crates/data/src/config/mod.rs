//! Data as a configuration file describes them.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cifar::{CIFAR_TRAINING_BATCHES, load_cifar};
use crate::dataset::LoadedData;
use crate::digits::embedded_digits;
use crate::error::DataError;
use crate::folder::{OnBroken, load_folder};
use crate::idx::load_idx;
use crate::image_set::ImageSet;
use crate::left_out::LeftOut;
use crate::preprocess::{Fit, ImageConfig};
use crate::toy::{Gmm, Rings, Toy};

/// Which data to learn from. The key `source` says which; every other key has a default or is refused.
///
/// ```json
/// {"source": "mnist", "size": 32, "channels": 1, "fit": "resize", "limit": 1000}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum DataConfig {
    /// The MNIST test images compiled into the program.
    EmbeddedDigits(ImageConfig),
    /// The 60,000 MNIST training images in the data folder.
    Mnist(ImageConfig),
    /// The 60,000 Fashion-MNIST training images in the data folder.
    FashionMnist(ImageConfig),
    /// The 50,000 CIFAR-10 training images in the data folder.
    Cifar10(ImageConfig),
    /// The 8,189 Oxford flowers in the data folder.
    Flowers102(ImageConfig),
    /// An IDX file.
    Idx(IdxConfig),
    /// A folder with the binary training batches of CIFAR-10.
    Cifar(CifarConfig),
    /// A folder of images.
    Folder(FolderConfig),
    /// Gaussians on a circle.
    Gmm(Gmm),
    /// Concentric rings.
    Rings(Rings),
}

// Each of the following structs spells out the image keys, because serde's `flatten` would let unknown keys pass.
macro_rules! image_source {
    (
        $(#[$about:meta])* $name:ident, $(#[$about_path:meta])* $path:ident
        $(, $(#[$about_more:meta])* $more:ident: $kind:ty)?
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(#[$about_path])*
            pub $path: PathBuf,
            /// See [`ImageConfig::size`].
            #[serde(default = "default_size")]
            pub size: usize,
            /// See [`ImageConfig::channels`].
            #[serde(default)]
            pub channels: Option<usize>,
            /// See [`ImageConfig::fit`].
            #[serde(default)]
            pub fit: Fit,
            /// See [`ImageConfig::limit`].
            #[serde(default)]
            pub limit: Option<usize>,
            $(
                $(#[$about_more])*
                #[serde(default)]
                pub $more: $kind,
            )?
        }

        impl $name {
            /// The image keys.
            #[must_use]
            pub fn image(&self) -> ImageConfig {
                let Self { size, channels, fit, limit, .. } = *self;
                ImageConfig { size, channels, fit, limit }
            }
        }
    };
}

image_source!(
    /// Keys of the source `idx`.
    IdxConfig,
    /// The image file, plain or gzipped.
    images,
    /// The file of their labels, plain or gzipped, if they have some.
    labels: Option<PathBuf>
);
image_source!(
    /// Keys of the source `cifar`.
    CifarConfig,
    /// The folder that holds `data_batch_1.bin` to `data_batch_5.bin`.
    directory
);
image_source!(
    /// Keys of the source `folder`.
    FolderConfig,
    /// The folder, searched with all folders below.
    path,
    /// What becomes of images that cannot be used.
    broken: OnBroken
);

fn default_size() -> usize {
    ImageConfig::default().size
}

impl DataConfig {
    /// The name of the source as in the key `source`.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self {
            Self::EmbeddedDigits(_) => "embedded-digits",
            Self::Mnist(_) => "mnist",
            Self::FashionMnist(_) => "fashion-mnist",
            Self::Cifar10(_) => "cifar10",
            Self::Flowers102(_) => "flowers102",
            Self::Idx(_) => "idx",
            Self::Cifar(_) => "cifar",
            Self::Folder(_) => "folder",
            Self::Gmm(_) => "gmm",
            Self::Rings(_) => "rings",
        }
    }

    /// Whether the data come from the data folder.
    #[must_use]
    pub fn is_fetched(&self) -> bool {
        matches!(
            self,
            Self::Mnist(_) | Self::FashionMnist(_) | Self::Cifar10(_) | Self::Flowers102(_)
        )
    }

    /// Channels, height and width of one state, known before loading.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        let (image, source_channels) = match self {
            Self::EmbeddedDigits(image) | Self::Mnist(image) | Self::FashionMnist(image) => {
                (*image, 1)
            }
            Self::Idx(idx) => (idx.image(), 1),
            Self::Cifar10(image) | Self::Flowers102(image) => (*image, 3),
            Self::Cifar(cifar) => (cifar.image(), 3),
            Self::Folder(folder) => (folder.image(), 3),
            Self::Gmm(_) | Self::Rings(_) => return [2, 1, 1],
        };
        [
            image.channels.unwrap_or(source_channels),
            image.size,
            image.size,
        ]
    }

    /// Checks every value without touching the disk.
    ///
    /// # Errors
    /// [`DataError::Config`] names the key, what is wrong and what to set.
    pub fn validate(&self) -> Result<(), DataError> {
        match self {
            Self::EmbeddedDigits(image)
            | Self::Mnist(image)
            | Self::FashionMnist(image)
            | Self::Cifar10(image)
            | Self::Flowers102(image) => image.validate(),
            Self::Idx(idx) => idx.image().validate(),
            Self::Cifar(cifar) => cifar.image().validate(),
            Self::Folder(folder) => folder.image().validate(),
            Self::Gmm(gmm) => gmm.validate(),
            Self::Rings(rings) => rings.validate(),
        }
    }

    /// Loads the data. Published data sets are looked up in `data_dir`/NAME, as fetched; other paths are taken as they
    /// are.
    ///
    /// # Errors
    /// [`DataError::NotFetched`] if a published data set is not there, and every error of the loaders.
    pub fn load(&self, data_dir: &Path) -> Result<LoadedData, DataError> {
        self.validate()?;
        let name = self.source();
        let folder = data_dir.join(name);
        let images = match self {
            Self::EmbeddedDigits(image) => embedded_digits(image)?,
            Self::Mnist(image) | Self::FashionMnist(image) => {
                load_mnist_like(name, &folder, image)?
            }
            Self::Cifar10(image) => {
                let batches = find_cifar(name, &folder)?;
                load_cifar(&batches, &CIFAR_TRAINING_BATCHES, image)?
            }
            Self::Flowers102(image) => load_flowers(name, &folder, image)?,
            Self::Idx(idx) => load_idx(&idx.images, idx.labels.as_deref(), &idx.image())?,
            Self::Cifar(cifar) => {
                load_cifar(&cifar.directory, &CIFAR_TRAINING_BATCHES, &cifar.image())?
            }
            Self::Folder(folder) => load_folder(&folder.path, &folder.image(), folder.broken)?,
            Self::Gmm(gmm) => return Ok(LoadedData::Toy(Toy::Gmm(*gmm))),
            Self::Rings(rings) => return Ok(LoadedData::Toy(Toy::Rings(*rings))),
        };
        Ok(LoadedData::Images { name, images })
    }
}

fn not_fetched(name: &'static str, folder: &Path, missing: &'static str) -> DataError {
    DataError::NotFetched {
        name,
        directory: folder.to_path_buf(),
        missing,
    }
}

/// The training images, with the labels if the folder has them.
fn load_mnist_like(
    name: &'static str,
    folder: &Path,
    image: &ImageConfig,
) -> Result<ImageSet, DataError> {
    const IMAGES: &str = "train-images-idx3-ubyte.gz";
    let find = |file: &str| {
        let zipped = folder.join(file);
        let plain = zipped.with_extension("");
        [zipped, plain].into_iter().find(|path| path.is_file())
    };
    let images = find(IMAGES).ok_or_else(|| not_fetched(name, folder, IMAGES))?;
    load_idx(
        &images,
        find("train-labels-idx1-ubyte.gz").as_deref(),
        image,
    )
}

/// The folder of the batches, in the unpacked archive or where someone has put them by hand.
fn find_cifar(name: &'static str, folder: &Path) -> Result<PathBuf, DataError> {
    ["unpacked/cifar-10-batches-bin", "cifar-10-batches-bin", ""]
        .map(|below| folder.join(below))
        .into_iter()
        .find(|batches| batches.join(CIFAR_TRAINING_BATCHES[0]).is_file())
        .ok_or_else(|| not_fetched(name, folder, CIFAR_TRAINING_BATCHES[0]))
}

fn load_flowers(
    name: &'static str,
    folder: &Path,
    image: &ImageConfig,
) -> Result<ImageSet, DataError> {
    let missing = || not_fetched(name, folder, "image_00001.jpg");
    if !folder.is_dir() {
        return Err(missing());
    }
    match load_folder(folder, image, OnBroken::Refuse) {
        Err(DataError::EmptyFolder { .. }) => Err(missing()),
        // The archive and the files of its authors lie beside the photographs, and the folder that they unpack to is no
        // class.
        result => result.map(|images| ImageSet {
            labels: None,
            left_out: LeftOut::default(),
            ..images
        }),
    }
}
