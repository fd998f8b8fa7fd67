//! The learning loop, its stabilisers, its recoveries and its iterations ahead of the host. One program for all,
//! because each would compile the same generic code again.
#![allow(missing_docs)]

mod ahead;
mod chains;
mod learning;
mod recovery;
mod stabilisers;
