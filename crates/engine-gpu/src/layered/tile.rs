//! How a matrix product is cut into cubes.

use super::gather::Gather;
use super::tensor_cores::{APART, PLANE, SIDE};
use crate::CubePrecision;

/// The part of a product that a cube computes, and that a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Units along columns and along rows.
    pub(super) units: [usize; 2],
    /// Columns of a unit, as far apart as there are units along columns, so that neighbours read and write neighbours.
    pub(super) unit_columns: usize,
    /// Rows of a unit, in vectors of four.
    pub(super) unit_rows: usize,
}

/// From the most arithmetic for a value read to the most cubes.
const TILES: [Tile; 7] = [
    tile([16, 8], 8, 2),
    tile([16, 8], 4, 2),
    tile([32, 4], 4, 2),
    tile([16, 8], 4, 1),
    tile([16, 4], 2, 1),
    // For images of one to three channels.
    tile([64, 1], 4, 1),
    tile([64, 1], 1, 1),
];

const fn tile(units: [usize; 2], unit_columns: usize, unit_rows: usize) -> Tile {
    Tile {
        units,
        unit_columns,
        unit_rows,
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
}

/// A product cut by a tile. Lines, the rows of the right factor, are taken in pieces of whole source channels, so
/// that a unit always brings the same taps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cut {
    pub(super) gather: Gather,
    pub(super) tile: Tile,
    /// Others than f32 are for tensor cores, whose fragments have sixteen rows.
    pub(super) precision: CubePrecision,
}

impl Cut {
    /// The cut with the least reading that leaves no multiprocessor without work, among those whose pieces fit into
    /// so many bytes of shared memory; `None` where none does. Every entry of a product is summed in the same order
    /// whatever the tile, so this changes no number.
    pub(super) fn best(
        gather: Gather,
        chains: usize,
        multiprocessors: usize,
        shared_bytes: usize,
        precision: CubePrecision,
    ) -> Option<Self> {
        // Too few rows for a fragment.
        let precision = if gather.target[0] < SIDE {
            CubePrecision::F32
        } else {
            precision
        };
        let row_vectors = gather.target[0].div_ceil(4);
        let fits = |cut: &Self| {
            // Rows that do not exist are computed all the same.
            let rows = match cut.tile.row_vectors() {
                1 => row_vectors < 4,
                rows => rows <= row_vectors.next_power_of_two(),
            };
            rows && cut.shared_bytes() <= shared_bytes
        };
        let cuts = TILES.into_iter().map(|tile| Self {
            gather,
            tile,
            precision,
        });
        let mut fitting = cuts.filter(fits);
        let is_busy = |cut: &Self| {
            let [columns, rows] = cut.cubes(chains);
            columns * rows * gather.products() >= multiprocessors
        };
        let first = fitting.clone().find(is_busy);
        first.or_else(|| fitting.next_back())
    }

    /// Cubes along columns and along rows.
    pub(super) fn cubes(&self, chains: usize) -> [usize; 2] {
        [
            (self.gather.columns() * chains).div_ceil(self.tile.columns()),
            self.gather.target[0].div_ceil(4 * self.tile.row_vectors()),
        ]
    }

    /// Lines of a piece.
    pub(super) fn lines(&self) -> usize {
        // Steps of tensor cores that are not filled up with zeros, or fewer than half.
        let about = match (self.precision, self.gather.taps) {
            (CubePrecision::F32, _) => 8,
            (CubePrecision::Tf32, 3) => 18,
            (CubePrecision::Bf16, 3) => 27,
            (CubePrecision::Tf32 | CubePrecision::Bf16, _) => 16,
        };
        let (taps, square) = (self.gather.taps, self.square());
        let whole = square * (about / square).max(1);
        // Units that share a column bring whole channels each, or whole rows of one channel's taps.
        let own = whole / self.sharing();
        let is_even = own * self.sharing() == whole;
        let is_whole = own.is_multiple_of(square);
        let is_rows = square.is_multiple_of(own.max(1)) && own.is_multiple_of(taps);
        if is_even && (is_whole || is_rows) {
            whole
        } else {
            whole * self.sharing()
        }
    }

    /// Lines of a piece in shared memory.
    pub(super) fn padded_lines(&self) -> usize {
        self.lines().next_multiple_of(self.step())
    }

    /// Lines that are multiplied at a time.
    pub(super) fn step(&self) -> usize {
        self.precision.step()
    }

    /// Numbers that fill a piece up, of lines of `row` numbers.
    pub(super) fn padding(&self, row: usize) -> usize {
        (self.padded_lines() - self.lines()) * row
    }

    /// Planes of a cube along rows and along columns.
    pub(super) fn planes(&self) -> [usize; 2] {
        let planes = self.tile.units() / PLANE;
        let rows = if self.tile.row_vectors() >= 16 { 2 } else { 1 };
        [rows, planes / rows]
    }

    /// Fragments of a plane along rows and along columns.
    pub(super) fn fragments(&self) -> [usize; 2] {
        let [rows, columns] = self.planes();
        [
            4 * self.tile.row_vectors() / SIDE / rows,
            self.tile.columns() / SIDE / columns,
        ]
    }

    /// Taps of a channel.
    pub(super) fn square(&self) -> usize {
        self.gather.taps * self.gather.taps
    }

    /// Pieces.
    pub(super) fn pieces(&self) -> usize {
        self.gather.depth().div_ceil(self.lines())
    }

    /// Whether the last piece is as long as the others.
    pub(super) fn is_even(&self) -> bool {
        self.gather.depth().is_multiple_of(self.lines())
    }

    /// Units that bring a column together.
    pub(super) fn sharing(&self) -> usize {
        (self.tile.units() / self.tile.columns()).max(1)
    }

    /// Columns that a unit brings.
    pub(super) fn own_columns(&self) -> usize {
        (self.tile.columns() / self.tile.units()).max(1)
    }

    /// Lines that a unit brings.
    pub(super) fn own_lines(&self) -> usize {
        self.lines() / self.sharing()
    }

    /// Vectors of a piece of the left factor.
    pub(super) fn left_size(&self) -> usize {
        self.lines() * self.tile.row_vectors()
    }

    /// Vectors of it that a unit brings.
    pub(super) fn left_loads(&self) -> usize {
        self.left_size().div_ceil(self.tile.units())
    }

    /// Numbers of a piece of the right factor.
    pub(super) fn right_size(&self) -> usize {
        self.lines() * self.tile.columns()
    }

    /// Vectors of four rows that the product has.
    pub(super) fn row_vectors(&self) -> usize {
        self.gather.target[0].div_ceil(4)
    }

    /// Pixels of a source channel.
    pub(super) fn plane(&self) -> usize {
        self.gather.source[1] * self.gather.source[2]
    }

    /// The tap of a unit's line, down and across from the unit's first.
    pub(super) fn tap(&self, line: usize) -> [i32; 2] {
        let within = line % self.square();
        let sign = if self.gather.is_backward { -1 } else { 1 };
        [within / self.gather.taps, within % self.gather.taps].map(|tap| sign * tap as i32)
    }

    /// How far a unit's line is from its first in the source, modulo 2³².
    pub(super) fn offset(&self, line: usize) -> u32 {
        let [down, across] = self.tap(line);
        let channel = (line / self.square() * self.plane()) as i32;
        (channel + down * self.gather.source[2] as i32 + across) as u32
    }

    /// Whether every unit reads only columns that it has brought itself. These stay with it, and the whole left
    /// factor is in shared memory at once.
    pub(super) fn is_direct(&self) -> bool {
        const MOST_LINES: usize = 768;

        self.tile.row_vectors() == 1 && self.pieces() * self.lines() <= MOST_LINES
    }

    /// Vectors of shared memory for the left factor.
    pub(super) fn shared_left(&self) -> usize {
        if self.is_direct() {
            self.pieces() * self.left_size()
        } else {
            2 * self.left_size()
        }
    }

    /// Numbers of shared memory for the right factor.
    pub(super) fn shared_right(&self) -> usize {
        if self.is_direct() {
            1
        } else {
            2 * self.right_size()
        }
    }

    fn shared_bytes(&self) -> usize {
        if self.precision == CubePrecision::F32 {
            return (4 * self.shared_left() + self.shared_right()) * size_of::<f32>();
        }
        let row = 4 * self.tile.row_vectors() + self.tile.columns() + 2 * APART;
        let staging = self.tile.units() / PLANE * SIDE * SIDE;
        2 * self.padded_lines() * row * self.precision.bytes() + staging * size_of::<f32>()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::gather::Convolution;
    use super::*;

    const PRECISIONS: [CubePrecision; 3] =
        [CubePrecision::F32, CubePrecision::Tf32, CubePrecision::Bf16];

    fn gathers(input: [usize; 3], outputs: usize, kernel: usize) -> [Gather; 2] {
        let convolution = Convolution {
            input,
            outputs,
            kernel,
            stride: 1,
            padding: kernel / 2,
        };
        let output = convolution.output().unwrap();
        [convolution.forward(output), convolution.backward(output)]
    }

    fn chosen(input: [usize; 3], outputs: usize, chains: usize) -> Tile {
        let [gather, _] = gathers(input, outputs, 3);
        let cut = Cut::best(gather, chains, 132, 48 << 10, CubePrecision::F32);
        cut.unwrap().tile
    }

    #[test]
    fn large_products_have_large_tiles_and_small_ones_many() {
        assert_eq!(chosen([64, 16, 16], 128, 1000), TILES[0]);
        assert_eq!(chosen([32, 32, 32], 32, 100), TILES[2]);
        assert_eq!(chosen([32, 32, 32], 3, 100), TILES[5]);
        assert_eq!(chosen([256, 2, 2], 256, 8), TILES[4]);
        // None has enough cubes here.
        assert_eq!(chosen([4, 1, 1], 3, 1), TILES[6]);
    }

    #[test]
    fn little_shared_memory_means_small_tiles_or_none() {
        let [gather, _] = gathers([64, 16, 16], 128, 4);
        let tile = |bytes| {
            let cut = Cut::best(gather, 1000, 132, bytes, CubePrecision::F32);
            cut.map(|cut| cut.tile)
        };
        assert_eq!(tile(32 << 10), Some(TILES[0]));
        assert_eq!(tile(16 << 10), Some(TILES[1]));
        assert_eq!(tile(1 << 10), None);
    }

    /// What the kernel relies on: units share columns evenly, pieces are whole channels, and of each the units that
    /// share a column bring the same number of whole rows of taps, of which a bit each fits into 32.
    #[test]
    fn pieces_are_even() {
        for tile in TILES {
            for kernel in 1..=5 {
                let gathers = gathers([7, 9, 9], 5, kernel);
                let of_each = |precision| gathers.map(|gather| (gather, precision));
                for (gather, precision) in PRECISIONS.into_iter().flat_map(of_each) {
                    let cut = Cut {
                        gather,
                        tile,
                        precision,
                    };
                    let (columns, units) = (tile.columns(), tile.units());
                    assert!(columns % units == 0 || units % columns == 0, "{cut:?}");
                    assert_eq!(cut.lines() % cut.square(), 0, "{cut:?}");
                    assert_eq!(cut.own_lines() * cut.sharing(), cut.lines(), "{cut:?}");
                    assert_eq!(cut.own_lines() % gather.taps, 0, "{cut:?}");
                    assert!(cut.own_lines() <= 32, "{cut:?}");
                }
            }
        }
    }

    /// Planes divide a tile into whole fragments, and steps of eight or sixteen lines are not mostly zeros.
    #[test]
    fn fragments_fill_the_tile() {
        for kernel in 1..=5 {
            for gather in gathers([48, 16, 16], 64, kernel) {
                let chains = [1, 100, 1000].into_iter();
                for (chains, precision) in
                    chains.flat_map(|chains| [(chains, PRECISIONS[1]), (chains, PRECISIONS[2])])
                {
                    let cut = Cut::best(gather, chains, 132, 48 << 10, precision).unwrap();
                    let ([a, b], [c, d]) = (cut.planes(), cut.fragments());
                    assert_eq!(a * c * SIDE, 4 * cut.tile.row_vectors(), "{cut:?}");
                    assert_eq!(b * d * SIDE, cut.tile.columns(), "{cut:?}");
                    assert!(cut.padded_lines() < cut.lines() + cut.step(), "{cut:?}");
                    assert!(3 * cut.padded_lines() <= 4 * cut.lines(), "{cut:?}");
                }
            }
        }
    }
}
