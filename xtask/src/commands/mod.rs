//! One module for each command.

pub(crate) mod bench;
pub(crate) mod classifier;
pub(crate) mod compare;
pub(crate) mod data;
pub(crate) mod diagnose;
pub(crate) mod evaluate;
pub(crate) mod experiment;
pub(crate) mod likelihood;
pub(crate) mod map;
pub(crate) mod quality;
pub(crate) mod restore;
pub(crate) mod sample;
pub(crate) mod score;
pub(crate) mod study;
