//! The files of a checkpoint, as a learner reads them that goes on.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use burn::backend::{Autodiff, Flex};
use ebm_data::{Gmm, LoadedData, Toy};
use ebm_energy_net::{Architecture, Net, NetConfig};
use ebm_langevin::TensorEngine;
use ebm_trainer::{Learner, LearningConfig, OptimizerConfig, latest_checkpoint};

use super::{Reader, as_stored, reader, said};
use crate::seeds;

/// The learner of the checkpoint, new.
pub(crate) fn learner() -> Learner<Autodiff<Flex>, Net<Autodiff<Flex>>> {
    let toys = LearningConfig::for_toys();
    let config = toys
        .clone()
        .with_iterations(2)
        .with_batch_size(4)
        .with_langevin(toys.langevin.with_steps(1).with_bank(8))
        .with_optimizer(OptimizerConfig::adam(1e-3).with_averaging(0.9));
    let net = NetConfig {
        width: 2,
        ..NetConfig::published(Architecture::Toy)
    };
    let net = net.init([2, 1, 1], 1, &Default::default()).unwrap();
    let data = LoadedData::Toy(Toy::Gmm(Gmm::default()));
    Learner::new(
        config,
        net,
        TensorEngine::default(),
        data,
        Default::default(),
    )
    .unwrap()
}

pub(super) fn checkpoint(name: &'static str, file: &'static str) -> Reader {
    let sound = seeds::checkpoint();
    let seed = sound[Path::new(file).file_name().unwrap().to_str().unwrap()].clone();
    let count = Cell::new(0);
    let restore = move |path: &Path| {
        // burn keeps an entry for every tensor of every net that was ever made, until a gradient is computed.
        count.set(count.get() + 1);
        if count.get() % 32 == 0 {
            learner().iterate().unwrap();
        }
        let checkpoints = path.parent().unwrap().parent().unwrap();
        let newest = latest_checkpoint(checkpoints).map_err(|error| error.to_string())?;
        said(learner().restore(&newest))
    };
    Reader {
        named: "checkpoints/00000002",
        prepare: Box::new(move |folder| {
            let folder = folder.join(file);
            for (name, bytes) in &sound {
                fs::write(folder.with_file_name(name), bytes).unwrap();
            }
        }),
        ..reader(name, file, vec![seed], as_stored, restore)
    }
}
