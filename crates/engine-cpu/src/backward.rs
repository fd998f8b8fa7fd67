//! The plan of the backward pass: the steps from the seeds at the energies to the gradient, in order.
//!
//! A block holds `gradient`, that of the values where the pass has arrived, and `next_gradient` to write into. Values
//! and gradients are `[channels][height][width][lanes]`. `values[i]` went into operation `i` and `values[i + 1]` came
//! out.
//!
//! A leaky ReLU that was fused to an operation needs no step of its own where a neighbour can apply its slope in
//! passing, which saves a walk through memory. Who does is decided here, once, when the net is bound:
//! - a dense operation or a max-pool *after* it, which writes the gradient of its own input anyway, masks what it
//!   writes;
//! - otherwise a Winograd convolution masks its own gradient as its first transform reads it, unless sums for its
//!   parameters are made of that gradient, which have to see it masked;
//! - otherwise it is a step of its own, before anything else of the operation.

use std::sync::Arc;

use ebm_core::Activation;

use crate::buffer::Buffer;
use crate::elementwise::Mask;
use crate::operation::{Convolution, Dense, MaxPool, Method, NonLocal, Operation};

/// The backward passes of a net.
#[derive(Debug)]
pub(crate) struct Backward {
    /// To ∇F, the gradient with respect to the states.
    pub(crate) to_states: Vec<BackwardStep>,
    /// To what the gradients with respect to the parameters are made of; no further than the first operation that has
    /// some.
    pub(crate) to_parameters: Vec<ParameterStep>,
}

/// A step of the backward pass. The first two change `gradient` where it is. The others write `next_gradient`, and then
/// it and `gradient` change places.
#[derive(Debug)]
pub(crate) enum BackwardStep {
    /// `gradient` ← `gradient` · ReLU′.
    Mask(FusedRelu),
    /// `gradient` ← `gradient` · activation′(`values[input]`).
    Activation { kind: Activation, input: usize },
    /// `next_gradient` ← Wᵀ `gradient`, times ReLU′ of the operation before as it is written.
    Dense {
        dense: Arc<Dense>,
        before: Option<FusedRelu>,
    },
    /// `next_gradient` ← the transposed convolution of `gradient`, times its own ReLU′ as it is read.
    Convolution {
        convolution: Arc<Convolution>,
        own: Option<FusedRelu>,
    },
    /// `next_gradient` ← `gradient` where `values[input]` has its maxima, times ReLU′ of the operation before as it is
    /// written; 0 elsewhere.
    MaxPool {
        pool: MaxPool,
        input: usize,
        before: Option<FusedRelu>,
    },
    /// `next_gradient` ← `gradient` and what comes through attention, from what the operation has kept.
    NonLocal {
        block: Arc<NonLocal>,
        operation: usize,
    },
}

/// A step of the backward pass to the parameters.
#[derive(Debug)]
pub(crate) enum ParameterStep {
    Backward(BackwardStep),
    /// Records what the gradient of parameters of the operation is made of; changes nothing.
    Record {
        parameters: Parameters,
        operation: usize,
    },
}

/// Parameters whose gradient is one sum.
#[derive(Debug, Clone)]
pub(crate) enum Parameters {
    /// Of `gradient` and `values[operation]`.
    Dense(Arc<Dense>),
    /// Of `gradient` and `values[operation]`.
    Convolution(Arc<Convolution>),
    /// The output map: of `gradient` and the mixed values that the operation has kept.
    Output(Arc<NonLocal>),
    /// Query, key and value, one below the other: of what the step through the block has left in the scratch, and
    /// `values[operation]`.
    Embed(Arc<NonLocal>),
}

/// A leaky ReLU that was fused to an operation. ReLU′ is 1 where `values[output]` is positive and `slope` elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FusedRelu {
    output: usize,
    slope: f32,
}

impl FusedRelu {
    /// Its factors for a block with these values.
    pub(crate) fn mask(self, values: &[Buffer]) -> Mask<'_> {
        Mask {
            output: &values[self.output],
            slope: self.slope,
        }
    }

    pub(crate) fn slope(self) -> f32 {
        self.slope
    }
}

impl Backward {
    pub(crate) fn new(operations: &[Operation]) -> Self {
        let (mut to_states, mut to_parameters) = (Vec::new(), Vec::new());
        for (index, operation) in operations.iter().enumerate().rev() {
            let own = still_to_do(operations, index);
            let (alone, in_passing) = if masks_as_it_reads(operation) {
                (None, own)
            } else {
                (own, None)
            };
            to_states.extend(alone.map(BackwardStep::Mask));
            to_states.push(through(operations, index, in_passing));

            let record = |parameters| ParameterStep::Record {
                parameters,
                operation: index,
            };
            let (before, after) = recorded(operation);
            to_parameters.extend(own.map(BackwardStep::Mask).map(ParameterStep::Backward));
            to_parameters.extend(before.map(record));
            to_parameters.push(ParameterStep::Backward(through(operations, index, None)));
            to_parameters.extend(after.map(record));
        }
        // Nobody asks for the gradient beyond the first operation that has parameters.
        let is_record = |step: &ParameterStep| matches!(step, ParameterStep::Record { .. });
        to_parameters.truncate(
            to_parameters
                .iter()
                .rposition(is_record)
                .map_or(0, |last| last + 1),
        );
        Self {
            to_states,
            to_parameters,
        }
    }

    /// The parameters whose gradients are sums, in the order in which their operands are recorded.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Parameters> {
        self.to_parameters.iter().filter_map(|step| match step {
            ParameterStep::Record { parameters, .. } => Some(parameters),
            ParameterStep::Backward(_) => None,
        })
    }
}

/// The step from the gradient of an operation's output to that of its input. `own` is the ReLU that a convolution
/// applies as it reads.
fn through(operations: &[Operation], index: usize, own: Option<FusedRelu>) -> BackwardStep {
    let before = index
        .checked_sub(1)
        .and_then(|before| fused_relu(operations, before));
    match &operations[index] {
        Operation::Dense(dense) => BackwardStep::Dense {
            dense: Arc::clone(dense),
            before,
        },
        Operation::Convolution(convolution) => BackwardStep::Convolution {
            convolution: Arc::clone(convolution),
            own,
        },
        Operation::Activation(kind) => BackwardStep::Activation {
            kind: *kind,
            input: index,
        },
        Operation::MaxPool(pool) => BackwardStep::MaxPool {
            pool: *pool,
            input: index,
            before,
        },
        Operation::NonLocal(block) => BackwardStep::NonLocal {
            block: Arc::clone(block),
            operation: index,
        },
    }
}

/// What is recorded before the step through an operation, and after it.
fn recorded(operation: &Operation) -> (Option<Parameters>, Option<Parameters>) {
    match operation {
        Operation::Dense(dense) => (Some(Parameters::Dense(Arc::clone(dense))), None),
        Operation::Convolution(convolution) => {
            let convolution = Arc::clone(convolution);
            (Some(Parameters::Convolution(convolution)), None)
        }
        Operation::NonLocal(block) => (
            Some(Parameters::Output(Arc::clone(block))),
            Some(Parameters::Embed(Arc::clone(block))),
        ),
        Operation::Activation(_) | Operation::MaxPool(_) => (None, None),
    }
}

/// The leaky ReLU that was fused to an operation.
fn fused_relu(operations: &[Operation], index: usize) -> Option<FusedRelu> {
    let slope = match &operations[index] {
        Operation::Dense(dense) => dense.slope,
        Operation::Convolution(convolution) => convolution.slope,
        Operation::Activation(_) | Operation::MaxPool(_) | Operation::NonLocal(_) => 1.0,
    };
    (slope != 1.0).then_some(FusedRelu {
        output: index + 1,
        slope,
    })
}

/// The same, unless the step through the operation after it has applied it: see [`through`], `before`.
fn still_to_do(operations: &[Operation], index: usize) -> Option<FusedRelu> {
    match operations.get(index + 1) {
        Some(Operation::Dense(_) | Operation::MaxPool(_)) => None,
        _ => fused_relu(operations, index),
    }
}

/// Whether the step through the operation can apply the operation's own ReLU.
fn masks_as_it_reads(operation: &Operation) -> bool {
    match operation {
        Operation::Convolution(convolution) => {
            matches!(convolution.method, Method::Winograd { .. })
        }
        _ => false,
    }
}
