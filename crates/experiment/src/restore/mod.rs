//! Images completed or cleaned by the chains of a learned energy.
//!
//! Inpainting holds the pixels that are known and lets Langevin chains move the others, from noise. Denoising moves all
//! pixels under F/T + ‖x − y‖²/2s², where y is the image with noise of standard deviation s. Several chains give several
//! answers; their mean and spread say how sure they are. The chains run as long as those of learning unless more is
//! asked for: an energy whose chains do not converge is good for no more than that.

mod chains;
mod mask;
mod options;
mod page;
mod run;

pub use mask::Mask;
pub use options::{Corruption, RestoreOptions, RestoreSubject};
pub use run::{Errors, Restored, page_in, restore};
