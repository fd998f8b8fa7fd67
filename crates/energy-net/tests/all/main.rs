//! Nets and the files they come from. One program for all, because each would compile the same generic code again.
#![allow(missing_docs)]

mod nets;
mod pytorch_files;
