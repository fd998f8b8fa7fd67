//! Kernels, engines and the sampler. One program for all, because each would compile the same generic code again.
#![allow(missing_docs)]

mod annealing;
mod attraction;
mod chains;
mod mala;
mod momenta;
mod preconditioned;
mod sampler;
mod tempering;
