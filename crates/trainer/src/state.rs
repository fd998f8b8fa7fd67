//! The state that an iteration changes, except the bank, and its update.

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use ebm_langevin::Batch;

use crate::stabilisers::{adjusted, project};
use crate::{Attempt, Gradients, LearningConfig, Optimizer, averaging};

/// Net, optimiser and iteration number. A copy shares the tensors and costs next to nothing.
#[derive(Clone)]
pub(crate) struct State<B: AutodiffBackend, N> {
    pub(crate) net: N,
    /// The average of θ, where the config asks for it.
    pub(crate) average: Option<N>,
    pub(crate) optimizer: Optimizer<B::InnerBackend>,
    /// The rate of the next iteration, but for the warm-up.
    pub(crate) learning_rate: f64,
    /// Iterations done.
    pub(crate) iteration: u64,
    pub(crate) attempt: Attempt,
    /// x⁻ of the last iteration.
    pub(crate) samples: Option<Batch<B::InnerBackend>>,
}

impl<B, N> State<B, N>
where
    B: AutodiffBackend,
    N: AutodiffModule<B>,
{
    /// The state before the first iteration.
    pub(crate) fn new(config: &LearningConfig, net: N) -> Self {
        let net = project(&config.stabilisers, net);
        let settings = &config.optimizer;
        Self {
            average: settings.averaging.map(|_| net.clone().no_grad()),
            optimizer: Optimizer::new(settings),
            learning_rate: settings.learning_rate,
            iteration: 0,
            attempt: Attempt::default(),
            samples: None,
            net,
        }
    }

    /// The update of the next iteration, whose chains ended in `samples`. It cannot fail.
    pub(crate) fn update(
        &mut self,
        config: &LearningConfig,
        gradients: Gradients<B>,
        samples: Batch<B::InnerBackend>,
    ) {
        let iteration = self.iteration + 1;
        let temperature = config.langevin.epsilon.learned_temperature().get();
        let stabilisers = &config.stabilisers;
        let gradients = adjusted(stabilisers, &self.net, gradients, temperature);
        let net = self.optimizer.step::<B, N>(
            self.net.clone(),
            &gradients,
            self.warmed_up_rate(config),
            temperature,
        );
        self.net = project(stabilisers, net);
        let settings = &config.optimizer;
        if let (Some(average), Some(limit)) = (self.average.take(), settings.averaging) {
            let decay = averaging::decay(limit, iteration);
            self.average = Some(averaging::update::<B, N>(average, &self.net, decay));
        }
        let floor = settings.minimum_learning_rate * self.attempt.learning_rate_factor;
        self.learning_rate = (self.learning_rate * settings.decay).max(floor);
        self.samples = Some(samples);
        self.iteration = iteration;
    }

    /// The rate of the next iteration.
    pub(crate) fn warmed_up_rate(&self, config: &LearningConfig) -> f64 {
        let warm_up = config.optimizer.warm_up;
        let next = self.iteration + 1;
        if next < warm_up {
            self.learning_rate * next as f64 / warm_up as f64
        } else {
            self.learning_rate
        }
    }
}
