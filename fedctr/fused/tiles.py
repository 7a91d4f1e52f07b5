"""Products of small matrices, as LLVM is told to compute them.

A tile of the product stays in vector registers while a loop goes over the inner dimension. Each element is a chain of
fused multiply-adds in the order of the inner index, whatever the tile, so it has the same bits in a product of any
number of rows and columns.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import llvmlite.binding
import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils

Floats = npt.NDArray[np.float32]

PADDED = 16  # floats in 64 bytes, the widest vector
WIDEST = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
LANES = 16 if WIDEST else 8
# Rows of a tile: with two vectors to a row, as many sums as there are registers for; and for what is left over.
HEIGHTS = (12, 8, 4, 1) if WIDEST else (4, 2, 1)
FEW = HEIGHTS[-2]  # a tile of fewer rows takes as long
CHAINED = 3  # rows of it whose addresses may be made one from the other

_utilities: Any = cgutils  # is without types
FLOAT, INDEX = ir.FloatType(), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
ZERO, ZEROS = INDEX(0), VECTOR([0.0] * LANES)


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """What generates LLVM's code for a call; the call has the arguments behind the first one."""
    return cast(Callable[..., Any], numba.extending.intrinsic(function))


def padded(size: int) -> int:
    """The next multiple of ``PADDED``."""
    return -(-size // PADDED) * PADDED


def start_of(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """The address of an element of an array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


def scopes(builder: Any) -> Any:
    """What marks loads from named tuples in memory, and stores to arrays, by which LLVM knows that they lie apart.

    It goes by the names, so that it holds for all that is compiled: nothing marked so may ever be stored to a tuple.
    """
    module = builder.module
    domain = module.add_metadata([ir.MetaDataString(module, "fedctr: memory")])
    scope = module.add_metadata([ir.MetaDataString(module, "fedctr: named tuples"), domain])
    return module.add_metadata([scope])


def write(builder: Any, vector: Any, address: Any) -> None:
    """Write a vector to an array, to begin at any element."""
    builder.store(vector, address, align=4).set_metadata("noalias", scopes(builder))


def spread_over(builder: Any, value: Any, kind: Any) -> Any:
    """A vector with the same number in every place."""
    one = builder.insert_element(kind(ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, kind(ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)(None))


def called(builder: Any, name: str, kind: Any, *arguments: Any) -> Any:
    """What a function of LLVM's gives."""
    function = ir.FunctionType(kind, [argument.type for argument in arguments])
    return builder.call(_utilities.get_or_insert_function(builder.module, function, name), arguments)


def multiplied_and_added(builder: Any, first: Any, second: Any, third: Any) -> Any:
    """``first * second + third`` of vectors, rounded once where the processor can."""
    return called(builder, f"llvm.fmuladd.v{first.type.count}f32", first.type, first, second, third)


@contextmanager
def repeated(builder: Any, count: Any) -> Iterator[Any]:
    """A loop that goes so many times over what is generated inside the block; gives its index.

    LLVM may not unroll it: for the addresses of several rounds at once there are too few registers.
    """
    with _utilities.for_range(builder, count) as loop:
        yield loop.index
        last = builder.block
    module = builder.module
    no_unrolling = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    # LLVM tells loops apart by metadata that name themselves first.
    mark = module.add_metadata([ir.MetaDataString(module, f"loop {len(module.metadata)}"), no_unrolling])
    mark.operands = mark, no_unrolling
    last.terminator.set_metadata("llvm.loop", mark)


class Matrix:
    """A matrix in memory, to be read and written by elements and by vectors of neighbouring columns.

    Args:
        builder: LLVM's.
        start: address of the first element.
        row: how far it is from row to row.
        column: how far it is from column to column; 1 where there are vectors.
    """

    def __init__(self, builder: Any, start: Any, row: Any, column: Any = None) -> None:
        self.builder, self.start, self.row, self.column = builder, start, row, column

    def at(self, row: Any, column: Any) -> Any:
        """The address of an element."""
        builder = self.builder
        column = column if self.column is None else builder.mul(column, self.column)
        return builder.gep(self.start, [builder.add(builder.mul(row, self.row), column)])

    def element(self, row: Any, column: Any) -> Any:
        """An element in every place of a vector."""
        return spread_over(self.builder, self.builder.load(self.at(row, column)), VECTOR)

    def vector(self, row: Any, column: Any) -> Any:
        """The vector that begins at an element."""
        return self.builder.load(self.builder.bitcast(self.at(row, column), VECTOR.as_pointer()), align=4)

    def write(self, row: Any, column: Any, vector: Any) -> None:
        """Write a vector, to begin at an element."""
        address = self.builder.bitcast(self.at(row, column), VECTOR.as_pointer())
        write(self.builder, vector, address)


class Matrices:
    """Makes matrices of the arguments of an intrinsic.

    Args:
        context: Numba's.
        builder: LLVM's.
        signature: of the intrinsic.
        arguments: values of its arguments.
    """

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.builder, self.signature, self.arguments = context, builder, signature, arguments

    def __call__(self, array: int, at: Any, row: Any = ZERO, column: Any = None) -> Matrix:
        """The matrix that begins at an element of an array, which is the argument of this number."""
        kind, argument = self.signature.args[array], self.arguments[array]
        return Matrix(self.builder, start_of(self.context, self.builder, kind, argument, at), row, column)


class Sums(NamedTuple):
    """A tile of a product.

    Attributes:
        rows: numbers of its rows.
        columns: the first columns of its vectors.
        vectors: those of each row.
    """

    rows: list[Any]
    columns: list[Any]
    vectors: list[list[Any]]


class Product(NamedTuple):
    """What a product is made of, and what is made of it.

    Attributes:
        left: the matrix (rows, inner).
        right: gives a vector of the matrix (inner, columns), of its row and first column.
        begin: gives the vector that sums begin with, of their row and first column.
        finish: is given each tile.
    """

    left: Matrix
    right: Callable[[Any, Any], Any]
    begin: Callable[[Any, Any], Any]
    finish: Callable[[Sums], None]


def compute(builder: Any, product: Product, rows: Any, columns: Any, inner: Any) -> None:
    """Compute a product tile by tile.

    Args:
        builder: LLVM's.
        product: of what.
        rows: how many.
        columns: how many; the last vector may reach beyond.
        inner: columns of the left matrix.
    """
    done = _utilities.alloca_once_value(builder, INDEX(0))
    for height in HEIGHTS:
        first = builder.load(done)
        rest = builder.sub(rows, first)
        count = builder.sdiv(rest, INDEX(height))
        if height == HEIGHTS[0] and height + FEW == 2 * HEIGHTS[1]:  # then two of the next height take less time
            few_left = builder.icmp_signed("==", builder.sub(rest, builder.mul(count, INDEX(height))), INDEX(FEW))
            some = builder.icmp_signed(">", count, INDEX(0))
            count = builder.sub(count, builder.zext(builder.and_(few_left, some), INDEX))
        with _utilities.for_range(builder, count) as loop:
            row = builder.add(first, builder.mul(loop.index, INDEX(height)))
            _compute_strip(builder, product, row, height, columns, inner)
        builder.store(builder.add(first, builder.mul(count, INDEX(height))), done)


def _compute_strip(builder: Any, product: Product, first: Any, height: int, columns: Any, inner: Any) -> None:
    pair = INDEX(2 * LANES)
    pairs = builder.sdiv(builder.add(columns, INDEX(LANES - 1)), pair)
    with _utilities.for_range(builder, pairs) as loop:
        _compute_tile(builder, product, first, height, builder.mul(loop.index, pair), 2, inner)
    rest = builder.mul(pairs, pair)
    with builder.if_then(builder.icmp_signed("<", rest, columns)):
        _compute_tile(builder, product, first, height, rest, 1, inner)


def _compute_tile(
    builder: Any, product: Product, first: Any, height: int, column: Any, vectors: int, inner: Any
) -> None:
    left = product.left
    rows = [builder.add(first, INDEX(row)) for row in range(height)]
    columns = [builder.add(column, INDEX(vector * LANES)) for vector in range(vectors)]
    # LLVM would have every row's address wait for that of the row before, if it knew where they come from.
    chains = [
        Matrix(
            builder, _unrelated(builder, builder.gep(left.start, [builder.mul(row, left.row)])), left.row, left.column
        )
        for row in rows[::CHAINED]
    ]
    sums = [[_utilities.alloca_once(builder, VECTOR) for _ in columns] for _ in rows]
    for row, places in zip(rows, sums, strict=True):
        for column, place in zip(columns, places, strict=True):
            builder.store(product.begin(row, column), place)
    with _utilities.for_range(builder, inner) as loop:
        across = [product.right(loop.index, column) for column in columns]
        # Of each chain a single address; the processor adds one and two rows to it as it reads.
        here = [Matrix(builder, _unrelated(builder, chain.at(ZERO, loop.index)), chain.row) for chain in chains]
        for row, places in enumerate(sums):
            factor = here[row // CHAINED].element(INDEX(row % CHAINED), ZERO)
            for vector, place in zip(across, places, strict=True):
                builder.store(multiplied_and_added(builder, factor, vector, builder.load(place)), place)
    product.finish(Sums(rows, columns, [[builder.load(place) for place in places] for places in sums]))


def _unrelated(builder: Any, address: Any) -> Any:
    """The same address, of which LLVM does not know where it comes from."""
    return builder.asm(ir.FunctionType(address.type, [address.type]), "", "=r,0", [address], False)
