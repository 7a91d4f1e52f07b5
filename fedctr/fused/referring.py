"""Named tuples that compiled functions hand on by their address.

Numba hands a tuple on as all the numbers that its arrays are made of, a hundred for what an operation works on. To put
them onto the stack takes as long as many an operation does.
"""

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed
from numba.core.typing.templates import AttributeTemplate

from fedctr.fused.tiles import intrinsic, scopes

_utilities: Any = cgutils  # is without types
_extending: Any = numba.extending

_ADDRESS = ir.IntType(8).as_pointer()


class _Referred(types.Type):
    def __init__(self, named: Any) -> None:
        super().__init__(name=f"Referred({named.name})")
        self.named = named

    @property
    def key(self) -> Any:
        """The tuple's type: two may have the same name."""
        return self.named


@_extending.register_model(_Referred)
class _Model(models.StructModel):
    """Where a tuple is, and what it holds; a function that is given the former reads the latter when it begins."""

    def __init__(self, manager: Any, kind: Any) -> None:
        members = [("address", types.voidptr), ("held", kind.named)]
        super().__init__(manager, kind, members)  # type: ignore[no-untyped-call]
        self._held = manager.lookup(kind.named).get_value_type()

    def get_argument_type(self) -> Any:
        return _ADDRESS

    def get_return_type(self) -> Any:
        raise TypingError("a referred tuple ends with the function that refers to it, and cannot be returned")

    def as_argument(self, builder: Any, value: Any) -> Any:
        return builder.extract_value(value, 0)

    def from_argument(self, builder: Any, value: Any) -> Any:
        whole: Any = self.get_value_type()  # type: ignore[no-untyped-call]
        found = builder.insert_value(whole(ir.Undefined), value, 0)
        held = builder.bitcast(value, self._held.as_pointer())
        return builder.insert_value(found, _loaded(builder, held, self._held), 1)


def _loaded(builder: Any, address: Any, kind: Any) -> Any:
    """What is at an address, loaded number by number, of which LLVM leaves out those that nobody reads."""
    if not isinstance(kind, ir.Aggregate):
        found = builder.load(address)
        found.set_metadata("alias.scope", scopes(builder))
        return found
    found = kind(ir.Undefined)
    for index in range(len(kind)):
        part = _utilities.gep_inbounds(builder, address, 0, index)
        found = builder.insert_value(found, _loaded(builder, part, kind.gep(ir.IntType(32)(index))), index)
    return found


@intrinsic
def referred(typing: Any, given: Any) -> Any:
    """The same tuple, to be handed on by its address, until the function ends or comes by this place again."""
    if not isinstance(given, types.BaseNamedTuple):
        raise TypingError(f"{given} is no named tuple")
    kind = _Referred(given)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        address = _utilities.alloca_once(builder, value.type)
        builder.store(value, address)
        address = builder.bitcast(address, _ADDRESS)
        found = builder.insert_value(context.get_value_type(kind)(ir.Undefined), address, 0)
        return builder.insert_value(found, value, 1)

    return kind(given), generate


@_extending.infer_getattr
class _Attributes(AttributeTemplate):
    key = _Referred

    def generic_resolve(self, value: Any, attr: str) -> Any:  # type: ignore[override]
        return dict(zip(value.named.fields, value.named.types, strict=True)).get(attr)


def _attribute(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    index = kind.named.fields.index(name)
    found: Any = impl_ret_borrowed  # nothing here counts references
    return found(context, builder, kind.named.types[index], builder.extract_value(value, [1, index]))


_extending.lower_getattr_generic(_Referred)(_attribute)
