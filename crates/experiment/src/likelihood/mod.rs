//! The likelihood that a learned density gives to data, in nats: log Z by annealed importance sampling from both sides.
//!
//! The density p(x) = exp(−U(x))/Z gives an image x log p(x) = −U(x) − log Z nats. [`ebm_langevin::Annealing`] estimates
//! log Z from below, with chains from a Gaussian that is fitted to the data, and from above, with chains that begin at
//! samples of the density. For an energy whose chains do not converge there are no such samples, and the two sides
//! contradict each other.

mod options;
mod outcome;
mod page;
mod run;

pub use options::LikelihoodOptions;
pub(crate) use outcome::read_likelihood;
pub use outcome::{Agreement, Likelihood, SetLikelihood, Side};
pub use run::{likelihood, page_in};
