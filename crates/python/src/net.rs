//! A net that chains run on.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ebm_core::{StateShape, States};
use ebm_engine_cpu::{FusedChains, FusedEngine};
use ebm_langevin::{ChainPlace, Chains, LangevinError, Sampler, SinceRecord, WalkEnd, Watch};
use numpy::{PyArray1, PyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::arrays::Array;
use crate::error::{RanAway, engine_error, value_error, whole};
use crate::gate::Gate;
use crate::kernel::Settings;
use crate::record::{HostRecord, Record};
use crate::stack::Stack;
use crate::{modules, noise, pool, published};

/// An energy net F, which the engine for CPUs computes: chains, energies, gradients.
///
/// layers: the layers in order, from ebm_anatomy.layers; or modules of torch.nn of the same names, such as an
///     nn.Sequential. The last one gives one number for each state, F.
/// shape: (channels, height, width) of a state; (dimensions,) for points.
/// threads: worker threads; None for one a core. Their number changes no result, to the last bit.
///
/// Parameters are named as those of an nn.Sequential: "0.weight", "0.bias", "2.weight" and so on.
/// All arrays that come in may be NumPy arrays, tensors of PyTorch, or lists of floats; they are computed with in
/// float32. All that come out are NumPy arrays in float32. One call at a time works on a net; others wait. Nets with the
/// same number of threads share these, so that a call may wait for one of another net in another thread of Python, and
/// a Ctrl-C with it.
#[pyclass(frozen, module = "ebm_anatomy")]
pub(crate) struct Net {
    stack: Stack,
    shape: StateShape,
    chains: Gate<FusedChains>,
}

/// Steps beyond this one are not run: kernels with momenta draw their starts there.
const LAST_STEP: u64 = 1 << 62;

#[pymethods]
impl Net {
    #[new]
    #[pyo3(signature = (layers, shape, *, threads = None))]
    fn new(
        py: Python<'_>,
        layers: &Bound<'_, PyAny>,
        shape: Vec<usize>,
        threads: Option<i128>,
    ) -> PyResult<Self> {
        let shape = state_shape(&shape)?;
        let (stack, numbers) = modules::stack(layers, shape)?;
        Self::bind(py, stack, shape, numbers, threads)
    }

    /// One of the nets of arXiv 1903.12370, from the parameters that the authors' PyTorch code gives it.
    ///
    /// state_dict: maps names to arrays or tensors, as net.state_dict() does. Width and shape of the states follow
    ///     from the shapes. A prefix "module." of all names is dropped.
    /// architecture: "toy", "vanilla" or "nonlocal"; None for the one that has these parameters.
    /// slope: of the leaky ReLUs, which no parameter shows.
    /// threads: as for Net.
    #[classmethod]
    #[pyo3(signature = (state_dict, architecture = None, *, slope = 0.05, threads = None))]
    fn from_torch(
        cls: &Bound<'_, PyType>,
        state_dict: &Bound<'_, PyAny>,
        architecture: Option<&str>,
        slope: f64,
        threads: Option<i128>,
    ) -> PyResult<Self> {
        let (stack, shape, numbers) = published::net(state_dict, architecture, slope)?;
        Self::bind(cls.py(), stack, shape, numbers, threads)
    }

    /// (channels, height, width) of a state.
    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        self.shape.dims().into()
    }

    /// Names and shapes of the parameters.
    #[getter]
    fn parameter_shapes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let shapes = PyDict::new(py);
        for parameter in self.stack.parameters() {
            let shape = pyo3::types::PyTuple::new(py, &parameter.shape)?;
            shapes.set_item(&parameter.name, shape)?;
        }
        Ok(shapes)
    }

    /// Takes over other values of the parameters. Cheap enough to be called after every step of an optimiser.
    ///
    /// state_dict: maps exactly the names in parameter_shapes to arrays or tensors of those shapes.
    ///
    /// Raises ValueError if anything does not fit; the earlier values then stay.
    fn update(&self, py: Python<'_>, state_dict: &Bound<'_, PyAny>) -> PyResult<()> {
        let numbers = self.stack.read(state_dict)?;
        let net = self.stack.describe(numbers)?;
        self.chains
            .run(py, |chains| chains.rebind(&net))?
            .map_err(engine_error)
    }

    /// F of each state, shape (chains,).
    ///
    /// states: shape (chains, channels, height, width), or (chains, dimensions) for points.
    fn energy<'py>(
        &self,
        py: Python<'py>,
        states: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let (states, _) = self.states(states)?;
        let energies = self.run(py, |chains| chains.energies(&states))?;
        Ok(PyArray1::from_vec(py, energies))
    }

    /// The gradient of F with respect to each state, of the shape of states.
    ///
    /// states: as for energy.
    fn gradient<'py>(
        &self,
        py: Python<'py>,
        states: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let (states, shape) = self.states(states)?;
        let found = self.run(py, |chains| chains.energy_gradient(&states))?;
        let values = found.gradient.into_values();
        Array { shape, values }.into_numpy(py)
    }

    /// The gradient of sum_i weights[i] * F(states[i]) with respect to the parameters: a dict from names to arrays of
    /// the shapes in parameter_shapes.
    ///
    /// states: as for energy.
    /// weights: shape (chains,). For maximum likelihood, 1 / count for data and -1 / count for samples.
    /// return_energies: return (gradients, energies), with F of each state, which costs nothing more.
    #[pyo3(signature = (states, weights, *, return_energies = false))]
    fn parameter_gradient<'py>(
        &self,
        py: Python<'py>,
        states: &Bound<'py, PyAny>,
        weights: &Bound<'py, PyAny>,
        return_energies: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (states, _) = self.states(states)?;
        let weights = Array::finite(weights, "weights")?;
        if weights.shape != [states.len()] {
            return Err(value_error(format!(
                "weights has the shape {:?}: must be [{}], one for each state",
                weights.shape,
                states.len()
            )));
        }
        let mut found = self.run(py, |chains| {
            chains.host_parameter_gradient(&states, &weights.values)
        })?;
        let gradients = PyDict::new(py);
        for parameter in self.stack.parameters() {
            if let Some(values) = found.gradients.remove(&parameter.id()) {
                let array = parameter.for_caller(values).into_numpy(py)?;
                gradients.set_item(&parameter.name, array)?;
            }
        }
        if !return_energies {
            return Ok(gradients.into_any());
        }
        let energies = PyArray1::from_vec(py, found.energies);
        Ok((gradients, energies).into_pyobject(py)?.into_any())
    }

    /// Runs chains of exp(-F / T) from states. Returns (states, records): the states after the last step, of the
    /// shape that was given, and a list of Record.
    ///
    /// states: as for energy; one chain starts at each. They stay as they are.
    /// steps: how many.
    /// epsilon: the step size, which is the standard deviation of the noise of a step. A step of "ula" is
    ///     X - epsilon**2 / (2 T) * grad F(X) + epsilon * Z. With 0 it is X - grad F(X), whatever T is.
    /// seed: of the noise. The same seed gives the same chains, so give every call its own, such as the number of the
    ///     iteration.
    /// kernel: "ula" takes every step; "mala" accepts or rejects them and so samples exp(-F / T) without a bias;
    ///     "underdamped" and "hmc" have momenta.
    /// temperature: T. None for that of learning, epsilon**2 / 2, with which a step of "ula" is
    ///     X - grad F(X) + epsilon * Z. A loop x -= a * grad; x += s * noise is epsilon = s, temperature = s**2 / (2 a).
    /// record_every: makes a record at the start, at every multiple of this number of steps, and at the end. With None
    ///     there is one at the end.
    /// first_step: the step of the noise to begin with, so that chains can be run in pieces.
    /// friction: of "underdamped", per unit of time; None for 1. It draws new momenta at the start of a call and after each
    ///     record, and keeps them between.
    /// leapfrogs: of a trajectory of "hmc", which is one step; None for 5.
    /// gradient_clip: "ula" sets elements of grad F beyond +-gradient_clip to it, before the factor.
    /// state_clamp: "ula" sets elements of X beyond +-state_clamp to it after a step.
    ///
    /// Raises RanAway when states or energies became NaN or infinite. KeyboardInterrupt ends the chains at their next
    /// step.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        states, steps, epsilon, *, seed, kernel = "ula", temperature = None, record_every = None, first_step = 0,
        friction = None, leapfrogs = None, gradient_clip = None, state_clamp = None
    ))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        states: &Bound<'py, PyAny>,
        steps: i128,
        epsilon: f64,
        seed: i128,
        kernel: &str,
        temperature: Option<f64>,
        record_every: Option<i128>,
        first_step: i128,
        friction: Option<f64>,
        leapfrogs: Option<i128>,
        gradient_clip: Option<f64>,
        state_clamp: Option<f64>,
    ) -> PyResult<(Bound<'py, PyArrayDyn<f32>>, Vec<Record>)> {
        let steps = whole("steps", steps)?;
        let first_step = whole("first_step", first_step)?;
        let record_every = record_every.map(|steps| whole("record_every", steps));
        let record_every = record_every.transpose()?;
        let noise = noise::key(whole("seed", seed)?);
        let kernel = Settings {
            kernel,
            epsilon,
            temperature,
            friction,
            leapfrogs,
            gradient_clip,
            state_clamp,
        }
        .kernel()?;
        if record_every == Some(0) {
            return Err(value_error(
                "record_every = 0: must be a number of steps >= 1, or None for a record at the end alone",
            ));
        }
        let end = first_step.checked_add(steps);
        let end = end.filter(|end| *end <= LAST_STEP).ok_or_else(|| {
            value_error(format!(
                "first_step + steps = {first_step} + {steps}: must be at most {LAST_STEP}"
            ))
        })?;
        let (states, shape) = self.states(states)?;
        let sampler = Sampler::new(kernel)
            .with_steps(end)
            .with_noise(noise)
            // The flag of the engine ends a piece, so that none need be short; those with momenta must not be.
            .with_piece(u64::MAX);
        let sampler = match record_every {
            Some(steps) => sampler.with_record_every(steps),
            None => sampler.without_regular_records(),
        };
        let place = ChainPlace {
            step: first_step,
            states,
            since: SinceRecord::default(),
            is_new: record_every.is_some() || steps == 0,
        };
        let (sampled, records) = self.run(py, |chains| {
            let mut records = Records(Vec::new());
            let sampled = sampler.walk(chains, place, &mut records)?;
            Ok((sampled, records.0))
        })?;
        match sampled.ended {
            WalkEnd::Finished => {}
            WalkEnd::Stopped | WalkEnd::Cancelled => {
                return Err(engine_error(LangevinError::Cancelled));
            }
            WalkEnd::RanAway {
                step,
                chains: ran_away,
            } => {
                let count = shape[0];
                return Err(RanAway::new_err(format!(
                    "{ran_away} of {count} chains had NaN or infinite states or energies at the record of step {step}: \
                     take a smaller epsilon or learning rate, or record_every to see when it happens"
                )));
            }
        }
        let values = sampled.place.states.into_values();
        let states = Array { shape, values }.into_numpy(py)?;
        let records = records.into_iter().map(|record| record.into_python(py));
        Ok((states, records.collect()))
    }

    fn __repr__(&self) -> String {
        let count: usize = self
            .stack
            .parameters()
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum();
        let [channels, height, width] = self.shape.dims();
        format!("<Net of states ({channels}, {height}, {width}) with {count} parameters>")
    }
}

impl Net {
    fn bind(
        py: Python<'_>,
        stack: Stack,
        shape: StateShape,
        numbers: Vec<Array<f32>>,
        threads: Option<i128>,
    ) -> PyResult<Self> {
        let net = stack.describe(numbers)?;
        let cancel = Arc::new(AtomicBool::new(false));
        let engine = FusedEngine::default().cancelled_by(Arc::clone(&cancel));
        let pool = pool::of(threads)?;
        let chains = py.detach(|| pool.install(|| engine.bind(&net, shape)));
        let chains = chains.map_err(engine_error)?;
        Ok(Self {
            stack,
            shape,
            chains: Gate::new(chains, cancel, threads),
        })
    }

    /// States of this net, and the shape in which they were given.
    fn states(&self, given: &Bound<'_, PyAny>) -> PyResult<(States, Vec<usize>)> {
        let array = Array::finite(given, "states")?;
        let dims = self.shape.dims();
        let fits = match &array.shape[..] {
            [_, rest @ ..] => rest == dims || (self.shape.is_point() && rest == &dims[..1]),
            [] => false,
        };
        let [channels, height, width] = dims;
        if !fits || array.values.is_empty() {
            let expected = if self.shape.is_point() {
                format!("(chains, {channels})")
            } else {
                format!("(chains, {channels}, {height}, {width})")
            };
            return Err(value_error(format!(
                "states has the shape {:?}: must be {expected} with at least one chain",
                array.shape
            )));
        }
        let states = States::new(self.shape, array.values).map_err(value_error)?;
        Ok((states, array.shape))
    }

    fn run<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&FusedChains) -> Result<R, LangevinError> + Send,
    ) -> PyResult<R> {
        let result = self.chains.run(py, |chains| work(chains))?;
        result.map_err(engine_error)
    }
}

fn state_shape(shape: &[usize]) -> PyResult<StateShape> {
    match *shape {
        [dimensions] if dimensions > 0 => Ok(StateShape::point(dimensions)),
        [channels, height, width] if !shape.contains(&0) => {
            Ok(StateShape::image([channels, height, width]))
        }
        _ => Err(value_error(format!(
            "shape = {shape:?}: must be (channels, height, width), or (dimensions,) for points, of numbers >= 1"
        ))),
    }
}

/// Keeps all records.
struct Records(Vec<HostRecord>);

impl Watch for Records {
    type Error = LangevinError;

    fn record(
        &mut self,
        record: &ebm_langevin::Record<'_>,
    ) -> Result<ControlFlow<()>, LangevinError> {
        self.0.push(record.into());
        Ok(ControlFlow::Continue(()))
    }
}
