//! Matrix products in f32 for training: `C (+)= A·B` with any strides, packed into panels for a register tile.
//!
//! Must not know layers. The scheme is that of Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008):
//! `B` is packed into panels of some columns and [`DEPTH`] rows that stay in the first- or second-level cache, `A` is read where it
//! lies if its rows do (else it is packed into strips), and `ROWS × VECTORS` accumulators fill the register file. Every element is summed over `k` in the same order,
//! whatever the number of threads: in blocks of [`DEPTH`], and within a block one after another.

#![expect(
    clippy::needless_range_loop,
    reason = "register tiles are indexed by constants, so that they stay in registers"
)]

use crate::cpu::lanes::Lanes;

/// Rows of `B` that are packed and summed at a time.
pub(in crate::cpu) const DEPTH: usize = 256;

/// One product, or a run of its rows.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Product {
    /// `A`, `[rows, depth]`.
    pub(in crate::cpu) a: *const f32,
    pub(in crate::cpu) a_row: usize,
    pub(in crate::cpu) a_column: usize,
    /// `B` as [`pack`] left it.
    pub(in crate::cpu) packed: *const f32,
    /// Which of its panels is the first, of how many padded columns in all: a product may have a part of a packed `B`.
    pub(in crate::cpu) first_panel: usize,
    pub(in crate::cpu) packed_columns: usize,
    pub(in crate::cpu) rows: usize,
    pub(in crate::cpu) columns: usize,
    pub(in crate::cpu) depth: usize,
    /// `C`, `[rows, columns]`; columns are adjacent.
    pub(in crate::cpu) c: *mut f32,
    pub(in crate::cpu) c_row: usize,
    /// Added to each row if not null, `[columns]`.
    pub(in crate::cpu) bias: *const f32,
    /// Whether `C` is added to.
    pub(in crate::cpu) accumulate: bool,
    /// Room for [`strip_len`] values.
    pub(in crate::cpu) strips: *mut f32,
}

/// `B`, `[depth, columns]`, to be packed.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Source {
    pub(in crate::cpu) b: *const f32,
    pub(in crate::cpu) b_row: usize,
    pub(in crate::cpu) b_column: usize,
    pub(in crate::cpu) columns: usize,
    pub(in crate::cpu) depth: usize,
}

// SAFETY: the tasks of one fork-join only read through it.
unsafe impl Sync for Source {}

/// Values that a packed `B` takes with tiles of `width` columns.
pub(in crate::cpu) const fn packed_len(depth: usize, columns: usize, width: usize) -> usize {
    depth * columns.next_multiple_of(width)
}

/// Values of working memory for a product of so many rows with tiles of `height` rows.
pub(in crate::cpu) const fn strip_len(rows: usize, height: usize) -> usize {
    rows.next_multiple_of(height) * DEPTH
}

/// Packs the panel of columns `panel × WIDTH ..` of all blocks of `B`; columns past the end become zeros.
///
/// # Safety
/// `packed` has room for [`packed_len`] values, of which no one else touches this panel's.
#[inline(always)]
pub(in crate::cpu) unsafe fn pack<L: Lanes, const VECTORS: usize>(source: &Source, panel: usize, packed: *mut f32) {
    let width = VECTORS * L::WIDTH;
    let padded = source.columns.next_multiple_of(width);
    let first = panel * width;
    let columns = width.min(source.columns - first);
    let mut start = 0;
    // SAFETY: as required; reads stay inside `B` because `columns` and `depth` do.
    unsafe {
        while start < source.depth {
            let depth = DEPTH.min(source.depth - start);
            let to = packed.add(start * padded + panel * width * depth);
            let from = source.b.add(start * source.b_row + first * source.b_column);
            if columns < width {
                std::ptr::write_bytes(to, 0, width * depth);
            }
            if source.b_column == 1 && columns == width {
                // Whole vectors: a copy of unknown length would be a call per row.
                for k in 0..depth {
                    for vector in 0..VECTORS {
                        let value = L::load(from.add(k * source.b_row + vector * L::WIDTH));
                        L::store(to.add(k * width + vector * L::WIDTH), value);
                    }
                }
            } else if source.b_column == 1 {
                for k in 0..depth {
                    std::ptr::copy_nonoverlapping(from.add(k * source.b_row), to.add(k * width), columns);
                }
            } else {
                for column in 0..columns {
                    for k in 0..depth {
                        *to.add(k * width + column) = *from.add(k * source.b_row + column * source.b_column);
                    }
                }
            }
            start += depth;
        }
    }
}

/// Computes the product.
///
/// # Safety
/// All pointers are valid for the shapes given, and no one else touches `c`'s rows or `strips`.
#[inline(always)]
pub(in crate::cpu) unsafe fn multiply<L: Lanes, const ROWS: usize, const VECTORS: usize>(product: &Product) {
    let width = VECTORS * L::WIDTH;
    let panels = product.columns.div_ceil(width);
    let tiles = product.rows.div_ceil(ROWS);
    // Whole tiles of rows that lie are read in place.
    let in_place = if product.a_column == 1 { product.rows / ROWS } else { 0 };
    let mut start = 0;
    // SAFETY: as required.
    unsafe {
        while start < product.depth {
            let depth = DEPTH.min(product.depth - start);
            for tile in in_place..tiles {
                pack_strip::<ROWS>(product, tile, start, depth);
            }
            for panel in 0..panels {
                let place = start * product.packed_columns + (product.first_panel + panel) * width * depth;
                let b = product.packed.add(place);
                for tile in 0..tiles {
                    let sums = if tile < in_place {
                        let a = product.a.add(tile * ROWS * product.a_row + start);
                        sums::<L, ROWS, VECTORS>((a, product.a_row, 1), b, depth)
                    } else {
                        sums::<L, ROWS, VECTORS>((product.strips.add(tile * ROWS * depth), 1, ROWS), b, depth)
                    };
                    store::<L, ROWS, VECTORS>(product, tile * ROWS, panel * width, start == 0, &sums);
                }
            }
            start += depth;
        }
    }
}

/// A matrix with any strides.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct View {
    pub(in crate::cpu) start: *const f32,
    pub(in crate::cpu) row: usize,
    pub(in crate::cpu) column: usize,
}

/// Working memory of [`block`]: [`packed_len`] and [`strip_len`] values.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Room {
    pub(in crate::cpu) packed: *mut f32,
    pub(in crate::cpu) strips: *mut f32,
}

/// `C[rows, columns] (+)= A[rows, depth] · B[depth, columns]`, on one thread.
///
/// # Safety
/// The views and `C` (its rows `c_row` apart) are valid for the shapes, the room is large enough, and no one else touches `C`.
#[inline(always)]
pub(in crate::cpu) unsafe fn block<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    (rows, depth, columns): (usize, usize, usize),
    a: View,
    b: View,
    (c, c_row, accumulate): (*mut f32, usize, bool),
    room: &Room,
) {
    let source = Source { b: b.start, b_row: b.row, b_column: b.column, columns, depth };
    // SAFETY: as required.
    unsafe {
        for panel in 0..columns.div_ceil(VECTORS * L::WIDTH) {
            pack::<L, VECTORS>(&source, panel, room.packed);
        }
        multiply::<L, ROWS, VECTORS>(&Product {
            a: a.start,
            a_row: a.row,
            a_column: a.column,
            packed: room.packed,
            first_panel: 0,
            packed_columns: columns.next_multiple_of(VECTORS * L::WIDTH),
            rows,
            columns,
            depth,
            c,
            c_row,
            bias: std::ptr::null(),
            accumulate,
            strips: room.strips,
        });
    }
}

/// Packs a strip of `ROWS` rows of `A`, `k` by `k`; rows past the end become zeros.
#[inline(always)]
unsafe fn pack_strip<const ROWS: usize>(product: &Product, tile: usize, start: usize, depth: usize) {
    // SAFETY: as for `multiply`.
    unsafe {
        let to = product.strips.add(tile * ROWS * depth);
        let first = tile * ROWS;
        let rows = ROWS.min(product.rows - first);
        let from = product.a.add(first * product.a_row + start * product.a_column);
        if rows < ROWS {
            std::ptr::write_bytes(to, 0, ROWS * depth);
        }
        if product.a_row == 1 && rows == ROWS {
            for k in 0..depth {
                std::ptr::copy_nonoverlapping(from.add(k * product.a_column), to.add(k * ROWS), ROWS);
            }
        } else if rows == ROWS {
            for k in 0..depth {
                for row in 0..ROWS {
                    *to.add(k * ROWS + row) = *from.add(row * product.a_row + k * product.a_column);
                }
            }
        } else {
            for k in 0..depth {
                for row in 0..rows {
                    *to.add(k * ROWS + row) = *from.add(row * product.a_row + k * product.a_column);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn sums<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    (mut a, row_stride, step): (*const f32, usize, usize),
    mut b: *const f32,
    depth: usize,
) -> [[L::V; VECTORS]; ROWS] {
    // SAFETY: strips and panels hold `depth` steps.
    unsafe {
        let mut sums = [[L::splat(0.0); VECTORS]; ROWS];
        for _ in 0..depth {
            let mut columns = [L::splat(0.0); VECTORS];
            for vector in 0..VECTORS {
                columns[vector] = L::load(b.add(vector * L::WIDTH));
            }
            for row in 0..ROWS {
                let value = L::splat(*a.add(row * row_stride));
                for vector in 0..VECTORS {
                    sums[row][vector] = L::fma(value, columns[vector], sums[row][vector]);
                }
            }
            a = a.add(step);
            b = b.add(VECTORS * L::WIDTH);
        }
        sums
    }
}

/// Adds a tile to `C`, or begins it.
#[inline(always)]
unsafe fn store<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    product: &Product,
    row: usize,
    column: usize,
    first: bool,
    sums: &[[L::V; VECTORS]; ROWS],
) {
    let add = !first || product.accumulate;
    let bias = if first { product.bias } else { std::ptr::null() };
    let width = VECTORS * L::WIDTH;
    let rows = ROWS.min(product.rows - row);
    let columns = width.min(product.columns - column);
    // SAFETY: the tile's real rows and columns are inside `C`; `edge` holds a whole row of the tile (16 lanes at most).
    unsafe {
        let c = product.c.add(row * product.c_row + column);
        let mut edge = [0.0_f32; 64];
        for (index, sums) in sums.iter().enumerate() {
            if index >= rows {
                break;
            }
            let to = c.add(index * product.c_row);
            if columns == width {
                for vector in 0..VECTORS {
                    let place = to.add(vector * L::WIDTH);
                    let mut value = sums[vector];
                    if !bias.is_null() {
                        value = L::add(value, L::load(bias.add(column + vector * L::WIDTH)));
                    }
                    if add {
                        value = L::add(value, L::load(place));
                    }
                    L::store(place, value);
                }
            } else {
                for vector in 0..VECTORS {
                    L::store(edge.as_mut_ptr().add(vector * L::WIDTH), sums[vector]);
                }
                for offset in 0..columns {
                    let mut value = edge[offset];
                    if !bias.is_null() {
                        value += *bias.add(column + offset);
                    }
                    if add {
                        value += *to.add(offset);
                    }
                    *to.add(offset) = value;
                }
            }
        }
    }
}
