//! Defaults of the keys that a file leaves out.

use serde_json::{Map, Value, json};

/// Fills in absent keys with the published settings for the kind of data: those of `cifar10_nonconvergent` for images
/// and of `gmm_convergent` for toy densities. Only `data` must be given.
///
/// `langevin`, `net` and, for toys, `landscape` are filled key by key; `"landscape": null` leaves the plots out.
/// `optimizer` is taken as a whole, because a learning rate means something only for its method: 1e-4 is Adam's, and
/// far too small for SGD.
pub(super) fn fill(file: &mut Map<String, Value>) {
    let source = file.get("data").and_then(|data| data.get("source"));
    let toy = matches!(source.and_then(Value::as_str), Some("gmm" | "rings"));
    // The density plot cannot use more samples than the bank has states.
    let bank = file
        .get("langevin")
        .and_then(|chains| chains.get("bank_size"));
    let bank = bank.and_then(Value::as_u64).unwrap_or(u64::MAX);
    let specific = if toy {
        json!({
            "data_noise": 0.0,
            "net": {"architecture": "toy"},
            "langevin": {"steps": 500, "epsilon": 0.125, "start": "persistent"},
            "optimizer": {"method": "sgd", "learning_rate": 0.1},
            "landscape": {"samples": bank.min(10_000)},
        })
    } else {
        json!({
            "data_noise": 0.03,
            "net": {"architecture": "vanilla"},
            "langevin": {"steps": 150, "epsilon": 0.01, "start": "uniform"},
            "optimizer": {"method": "adam", "learning_rate": 1e-4},
        })
    };
    let common = json!({
        "description": "",
        "seed": 123,
        "iterations": 100_000,
        "batch_size": 100,
        "divergence_limit": 1000.0,
        "output": {},
    });
    for defaults in [specific, common] {
        merge(file, defaults);
    }
}

fn merge(file: &mut Map<String, Value>, defaults: Value) {
    let Value::Object(defaults) = defaults else {
        return;
    };
    for (key, default) in defaults {
        match file.get_mut(&key) {
            // A toy has this section unless the file sets it to null.
            Some(Value::Null) if key == "landscape" => {}
            None | Some(Value::Null) => {
                file.insert(key, default);
            }
            Some(Value::Object(section)) if key != "optimizer" => merge(section, default),
            Some(_) => {}
        }
    }
}
