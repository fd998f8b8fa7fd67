//! How a matrix product is cut into cubes.

use super::gather::Gather;

/// The part of a product that a cube computes, and that a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Units along columns and along rows.
    pub(super) units: [usize; 2],
    /// Columns of a unit, as far apart as there are units along columns, so that neighbours read and write neighbours.
    pub(super) unit_columns: usize,
    /// Rows of a unit, in vectors of four.
    pub(super) unit_rows: usize,
    /// Rows of the right factor that are in shared memory at a time.
    pub(super) depth: usize,
}

/// From the most arithmetic for a value read to the most cubes.
const TILES: [Tile; 6] = [
    tile([16, 8], 8, 2),
    tile([16, 8], 4, 2),
    tile([32, 4], 4, 2),
    tile([16, 8], 4, 1),
    tile([16, 4], 2, 1),
    // For images of one to three channels.
    tile([64, 1], 4, 1),
];

const fn tile(units: [usize; 2], unit_columns: usize, unit_rows: usize) -> Tile {
    Tile {
        units,
        unit_columns,
        unit_rows,
        depth: 8,
    }
}

impl Tile {
    /// Units of a cube.
    pub(super) fn units(&self) -> usize {
        self.units[0] * self.units[1]
    }

    /// Columns of a cube.
    pub(super) fn columns(&self) -> usize {
        self.units[0] * self.unit_columns
    }

    /// Rows of a cube, in vectors of four.
    pub(super) fn row_vectors(&self) -> usize {
        self.units[1] * self.unit_rows
    }

    /// Cubes along columns and along rows.
    pub(super) fn cubes(&self, gather: &Gather, chains: usize) -> [usize; 2] {
        [
            (gather.columns() * chains).div_ceil(self.columns()),
            gather.target[0].div_ceil(4 * self.row_vectors()),
        ]
    }

    /// The tile with the least reading that leaves no multiprocessor without work. Every entry of a product is summed in the
    /// same order whatever the tile, so this changes no number.
    pub(super) fn for_product(gather: &Gather, chains: usize, multiprocessors: usize) -> Self {
        let row_vectors = gather.target[0].div_ceil(4);
        let mut fitting = TILES
            .into_iter()
            // Rows that do not exist are computed all the same.
            .filter(|tile| match tile.row_vectors() {
                1 => row_vectors < 4,
                rows => rows <= row_vectors.next_power_of_two(),
            });
        let is_busy = |tile: &Tile| {
            let [columns, rows] = tile.cubes(gather, chains);
            columns * rows * gather.products() >= multiprocessors
        };
        let first = fitting.clone().find(is_busy);
        first.or_else(|| fitting.next_back()).unwrap_or(TILES[5])
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather::Convolution;
    use super::*;

    fn chosen(input: [usize; 3], outputs: usize, chains: usize) -> Tile {
        let convolution = Convolution {
            input,
            outputs,
            kernel: 3,
            stride: 1,
            padding: 1,
        };
        let gather = convolution.forward([outputs, input[1], input[2]]);
        Tile::for_product(&gather, chains, 132)
    }

    #[test]
    fn large_products_have_large_tiles_and_small_ones_many() {
        assert_eq!(chosen([64, 16, 16], 128, 1000), TILES[0]);
        assert_eq!(chosen([32, 32, 32], 32, 100), TILES[2]);
        assert_eq!(chosen([32, 32, 32], 3, 100), TILES[5]);
        assert_eq!(chosen([256, 2, 2], 256, 8), TILES[4]);
        // None has enough cubes here.
        assert_eq!(chosen([4, 1, 1], 3, 1), TILES[5]);
    }

    /// The loader of the kernel gives a unit whole columns.
    #[test]
    fn units_share_columns_evenly() {
        for tile in TILES {
            let (columns, units) = (tile.columns(), tile.units());
            assert!(columns % units == 0 || units % columns == 0, "{tile:?}");
            assert!(tile.depth % (units / columns).max(1) == 0, "{tile:?}");
        }
    }
}
