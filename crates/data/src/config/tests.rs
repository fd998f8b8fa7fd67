//! Configurations as users write them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn parse(json: &str) -> DataConfig {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn refusal(json: &str) -> String {
    serde_json::from_str::<DataConfig>(json)
        .unwrap_err()
        .to_string()
}

const SOURCES: [(&str, [usize; 3]); 10] = [
    (r#"{"source": "embedded-digits"}"#, [1, 32, 32]),
    (r#"{"source": "mnist"}"#, [1, 32, 32]),
    (r#"{"source": "fashion-mnist", "channels": 3}"#, [3, 32, 32]),
    (r#"{"source": "cifar10"}"#, [3, 32, 32]),
    (r#"{"source": "flowers102", "size": 64}"#, [3, 64, 64]),
    (
        r#"{"source": "idx", "images": "a.gz", "labels": "b.gz"}"#,
        [1, 32, 32],
    ),
    (r#"{"source": "cifar", "directory": "d"}"#, [3, 32, 32]),
    (
        r#"{"source": "folder", "path": "p", "fit": "pad", "broken": "skip"}"#,
        [3, 32, 32],
    ),
    (r#"{"source": "gmm"}"#, [2, 1, 1]),
    (r#"{"source": "rings", "sd": 0.1}"#, [2, 1, 1]),
];

#[test]
fn every_source_has_defaults_survives_a_round_trip_and_refuses_unknown_keys() {
    for (json, shape) in SOURCES {
        let config = parse(json);
        config.validate().unwrap();
        assert_eq!(config.shape(), shape, "{json}");
        let written = serde_json::to_string(&config).unwrap();
        assert!(
            written.contains(&format!("\"source\":\"{}\"", config.source())),
            "{written}"
        );
        assert_eq!(parse(&written), config);
        let error = refusal(&json.replace('}', r#", "sizes": 3}"#));
        assert!(error.contains("sizes"), "{error}");
    }
}

#[test]
fn defaults_are_the_published_settings() {
    assert_eq!(
        parse(r#"{"source": "gmm"}"#),
        DataConfig::Gmm(Gmm {
            groups: 8,
            sd: 0.15,
            radius: 1.0
        })
    );
    assert_eq!(
        parse(r#"{"source": "rings"}"#),
        DataConfig::Rings(Rings {
            groups: 4,
            sd: 0.15,
            radius: 1.0
        })
    );
    assert_eq!(
        parse(r#"{"source": "mnist"}"#),
        DataConfig::Mnist(ImageConfig::default())
    );
    let folder = parse(r#"{"source": "folder", "path": "p"}"#);
    assert!(matches!(&folder, DataConfig::Folder(folder)
            if folder.image() == ImageConfig::default() && folder.broken == OnBroken::Refuse));
}

#[test]
fn refusals_name_the_key() {
    assert!(refusal(r#"{"source": "imagenet"}"#).contains("imagenet"));
    assert!(refusal(r#"{"source": "idx"}"#).contains("images"));
    assert!(refusal(r#"{"size": 3}"#).contains("source"));
    let error = parse(r#"{"source": "folder", "path": "p", "size": 0}"#)
        .validate()
        .unwrap_err();
    assert!(error.to_string().contains("\"size\""));
}

#[test]
fn missing_data_sets_are_named_with_the_folder() {
    let empty = tempfile::tempdir().unwrap();
    for name in ["mnist", "fashion-mnist", "cifar10", "flowers102"] {
        let config = parse(&format!(r#"{{"source": "{name}"}}"#));
        let message = config.load(empty.path()).unwrap_err().to_string();
        assert!(
            message.contains(&format!("data set \"{name}\" is not in")),
            "{message}"
        );
        assert!(
            message.contains(&empty.path().join(name).display().to_string()),
            "{message}"
        );
        std::fs::create_dir(empty.path().join(name)).unwrap();
        assert_eq!(config.load(empty.path()).unwrap_err().to_string(), message);
    }
}

#[test]
fn fetched_data_sets_are_found() {
    let data = tempfile::tempdir().unwrap();
    let place = |path: &str, bytes: &[u8]| {
        let path = data.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let load = |json: &str| parse(json).load(data.path()).unwrap();

    place(
        "mnist/train-images-idx3-ubyte",
        b"\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\xff",
    );
    place(
        "mnist/train-labels-idx1-ubyte",
        b"\0\0\x08\x01\0\0\0\x01\x07",
    );
    let LoadedData::Images {
        name: "mnist",
        images,
    } = load(r#"{"source": "mnist", "size": 2}"#)
    else {
        panic!("not mnist")
    };
    assert_eq!(
        (images.states.into_values(), images.labels.unwrap().names),
        (vec![1.0; 4], vec!["7".to_owned()])
    );

    for batch in CIFAR_TRAINING_BATCHES {
        place(
            &format!("cifar10/unpacked/cifar-10-batches-bin/{batch}"),
            &[5; 3073],
        );
    }
    assert_eq!(load(r#"{"source": "cifar10"}"#).count(), Some(5));

    let picture = image::RgbImage::new(40, 30);
    std::fs::create_dir_all(data.path().join("flowers102/unpacked/jpg")).unwrap();
    picture
        .save(data.path().join("flowers102/unpacked/jpg/image_00001.jpg"))
        .unwrap();
    let LoadedData::Images { images, .. } = load(r#"{"source": "flowers102"}"#) else {
        panic!("not flowers102")
    };
    assert_eq!(images.states.shape().dims(), [3, 32, 32]);
    assert_eq!(images.labels, None);

    assert_eq!(
        load(r#"{"source": "embedded-digits", "limit": 10}"#).count(),
        Some(10)
    );
    assert_eq!(load(r#"{"source": "gmm"}"#).name(), "gmm");
}
