//! The disconnectivity graph of basins.

use serde::{Deserialize, Serialize};

use crate::{Barrier, LandscapeError};

/// Two clusters of basins that become one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Merge {
    /// A cluster: a basin's number, or the number of basins plus that of an earlier merge.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// The lowest barrier between a basin of one and a basin of the other, U in nats.
    pub energy: f64,
}

/// Which basins are connected below which energy (Becker and Karplus, "The topology of multidimensional potential
/// energy surfaces", J. Chem. Phys. 106, 1997). It is a forest if some basins have no barrier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisconnectivityTree {
    /// U of each basin's lowest minimum, in nats.
    pub leaves: Vec<f64>,
    /// The merges, from the lowest barrier up.
    pub merges: Vec<Merge>,
}

impl DisconnectivityTree {
    /// Merges basins from the lowest barrier up. Barriers between connected basins are ignored.
    ///
    /// # Errors
    /// [`LandscapeError::Barrier`] when one names a basin that is not there, or is not finite.
    pub fn new(leaves: Vec<f64>, barriers: &[Barrier]) -> Result<Self, LandscapeError> {
        let is_wrong = |barrier: &&Barrier| {
            barrier.a.max(barrier.b) >= leaves.len() || !barrier.energy.is_finite()
        };
        if let Some(&Barrier { a, b, energy, .. }) = barriers.iter().find(is_wrong) {
            return Err(LandscapeError::Barrier {
                a,
                b,
                energy,
                basins: leaves.len(),
            });
        }
        let mut sorted: Vec<&Barrier> = barriers.iter().collect();
        sorted.sort_by(|a, b| a.energy.total_cmp(&b.energy));
        // The cluster of each basin.
        let mut clusters: Vec<usize> = (0..leaves.len()).collect();
        let mut merges = Vec::new();
        for barrier in sorted {
            let (a, b) = (clusters[barrier.a], clusters[barrier.b]);
            if a == b {
                continue;
            }
            let joined = leaves.len() + merges.len();
            merges.push(Merge {
                a: a.min(b),
                b: a.max(b),
                energy: barrier.energy,
            });
            for cluster in &mut clusters {
                if *cluster == a || *cluster == b {
                    *cluster = joined;
                }
            }
        }
        Ok(Self { leaves, merges })
    }
}
