//! What blocks of chains record on their way back, for the gradients with respect to the parameters.
//!
//! Every gradient is a sum of outer products over states and pixels; for Winograd convolutions one for each place of
//! the transform. Blocks only record the operands, `[places][rows][columns]` with columns (pixel or tile, lane).

use std::sync::Arc;

use pulp::Arch;

use crate::backward::Parameters;
use crate::buffer::{Buffer, Spare};
use crate::convolution::{TilePiece, gather_columns};
use crate::non_local::Kept;
use crate::operation::{Dense, Geometry, Method, NonLocal};
use crate::outer::Operand;
use crate::plan::Plan;
use crate::scratch::Scratch;
use crate::vector::HALF;
use crate::winograd::{Direction, Tiling};

/// What a block of chains adds to one sum: D[i][j] += Σₙ A[i][n] B[j][n] at every place.
pub(crate) struct Operands {
    pub(crate) columns: usize,
    pub(crate) a: Planes,
    pub(crate) b: Planes,
    /// Σₙ of the gradient of each output.
    pub(crate) bias: Vec<f32>,
}

/// A matrix for each place, `[places][rows][columns]`.
pub(crate) struct Planes {
    values: Buffer,
    pub(crate) rows: usize,
    /// From one place to the next.
    stride: usize,
}

impl Planes {
    /// How many places.
    pub(crate) fn count(&self) -> usize {
        self.values.len() / self.stride.max(1)
    }

    /// Some rows of the matrix of a place.
    pub(crate) fn place(
        &self,
        place: usize,
        rows: std::ops::Range<usize>,
        columns: usize,
    ) -> Operand<'_> {
        Operand {
            values: &self.values[place * self.stride + rows.start * columns..],
            stride: columns,
            rows: rows.len(),
        }
    }
}

/// What a block holds when it records for an operation. Pixels that are transformed are not changed.
pub(crate) struct Sources<'a> {
    pub(crate) arch: Arch,
    pub(crate) lanes: usize,
    /// That of the operation's output, its leaky ReLU done.
    pub(crate) gradient: &'a mut [f32],
    /// What went into the operation.
    pub(crate) input: &'a mut [f32],
    /// What the operation has kept, and what the step back through it has left.
    pub(crate) kept: &'a Kept,
    pub(crate) scratch: &'a Scratch,
}

/// The operands that a block records, in the order of its way back.
pub(crate) struct Records {
    pub(crate) operands: Vec<Operands>,
    pub(crate) spare: Arc<Spare>,
}

impl Records {
    /// None yet; memory for them comes from `spare`.
    pub(crate) fn new(spare: &Arc<Spare>) -> Self {
        Self {
            operands: Vec::new(),
            spare: Arc::clone(spare),
        }
    }

    /// Records what the gradient of these parameters is made of.
    pub(crate) fn record(&mut self, parameters: &Parameters, sources: Sources<'_>) {
        let operands = match parameters {
            Parameters::Dense(dense) => self.dense(dense, sources),
            Parameters::Convolution(convolution) => match &convolution.method {
                Method::Direct { .. } => self.direct(convolution.geometry, sources),
                Method::Winograd { tiling, .. } => {
                    self.winograd(convolution.geometry, tiling, sources)
                }
            },
            Parameters::Output(block) => self.output(block, sources),
            Parameters::Embed(block) => self.embed(block, sources),
        };
        self.operands.push(operands);
    }

    fn dense(&self, dense: &Dense, sources: Sources<'_>) -> Operands {
        let columns = dense.pixels * sources.lanes;
        let (outputs, inputs) = (dense.forward.rows, dense.forward.depth);
        let gradient = self.copy(sources.gradient, outputs, columns);
        let bias = row_sums(&gradient.values, columns);
        let input = self.copy(sources.input, inputs, columns);
        // burn keeps a linear layer's weight as [inputs, outputs] and a convolution's the other way round.
        let (a, b) = if dense.is_transposed {
            (input, gradient)
        } else {
            (gradient, input)
        };
        Operands {
            columns,
            a,
            b,
            bias,
        }
    }

    /// The gradient, and the window of every output pixel.
    fn direct(&self, geometry: Geometry, sources: Sources<'_>) -> Operands {
        let columns = geometry.after.iter().product::<usize>() * sources.lanes;
        let gradient = self.copy(sources.gradient, geometry.outputs, columns);
        let depth = geometry.inputs * geometry.kernel * geometry.kernel;
        let mut windows = self.planes(1, depth, depth * columns);
        gather_columns(geometry, sources.lanes, sources.input, &mut windows.values);
        Operands {
            columns,
            bias: row_sums(&gradient.values, columns),
            a: gradient,
            b: windows,
        }
    }

    /// The same transforms as forward and backward; the products run over columns instead of channels.
    fn winograd(&self, geometry: Geometry, tiling: &Tiling, sources: Sources<'_>) -> Operands {
        let Geometry {
            inputs, outputs, ..
        } = geometry;
        let all = geometry.after.iter().product::<usize>() * sources.lanes;
        let bias = row_sums(&sources.gradient[..outputs * all], all);
        let piece = TilePiece::whole(tiling, sources.lanes);
        let places = tiling.tile.inputs() * tiling.tile.inputs();
        let transform = |direction, channels, pixels: &mut [f32]| {
            let (rows, stride) = piece.extent(direction, channels);
            let mut planes = self.planes(places, rows, stride);
            piece
                .transfer(direction, channels, pixels, &mut planes.values)
                .run(sources.arch);
            planes
        };
        Operands {
            columns: piece.columns(),
            a: transform(Direction::Spread, outputs, sources.gradient),
            b: transform(Direction::Gather, inputs, sources.input),
            bias,
        }
    }

    fn output(&self, block: &NonLocal, sources: Sources<'_>) -> Operands {
        let columns = block.pixels() * sources.lanes;
        let gradient = self.copy(sources.gradient, block.channels, columns);
        Operands {
            columns,
            bias: row_sums(&gradient.values, columns),
            a: gradient,
            b: self.copy(&sources.kept.mixed, block.inner, columns),
        }
    }

    fn embed(&self, block: &NonLocal, sources: Sources<'_>) -> Operands {
        let columns = block.pixels() * sources.lanes;
        let gradient = self.copy(&sources.scratch.products, 3 * block.inner, columns);
        Operands {
            columns,
            bias: row_sums(&gradient.values, columns),
            a: gradient,
            b: self.copy(sources.input, block.channels, columns),
        }
    }

    fn planes(&self, places: usize, rows: usize, stride: usize) -> Planes {
        Planes {
            values: self.spare.lend(places * stride),
            rows,
            stride,
        }
    }

    fn copy(&self, values: &[f32], rows: usize, columns: usize) -> Planes {
        let mut copy = self.planes(1, rows, rows * columns);
        copy.values.copy_from_slice(&values[..rows * columns]);
        copy
    }
}

/// Σ of each row, whose length is a multiple of the lanes of a block.
fn row_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let sum = |row: &[f32]| {
        let mut lanes = [0.0; HALF];
        for values in row.chunks_exact(HALF) {
            lanes.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
        }
        lanes.iter().sum()
    };
    values.chunks_exact(columns).map(sum).collect()
}

/// Values that a block of so many lanes records.
pub(crate) fn recorded_values(plan: &Plan, lanes: usize) -> usize {
    let of = |parameters: &Parameters| match parameters {
        Parameters::Dense(dense) => {
            (dense.forward.rows + dense.forward.depth) * dense.pixels * lanes
        }
        Parameters::Convolution(convolution) => {
            let Geometry {
                inputs,
                outputs,
                kernel,
                after,
                ..
            } = convolution.geometry;
            match &convolution.method {
                Method::Direct { .. } => {
                    let rows = outputs + inputs * kernel * kernel;
                    rows * after.iter().product::<usize>() * lanes
                }
                Method::Winograd { tiling, .. } => {
                    let piece = TilePiece::whole(tiling, lanes);
                    let (_, gathered) = piece.extent(Direction::Gather, inputs);
                    let (_, spread) = piece.extent(Direction::Spread, outputs);
                    tiling.tile.inputs().pow(2) * (gathered + spread)
                }
            }
        }
        Parameters::Output(block) => (block.channels + block.inner) * block.pixels() * lanes,
        Parameters::Embed(block) => (3 * block.inner + block.channels) * block.pixels() * lanes,
    };
    plan.backward.parameters().map(of).sum()
}
