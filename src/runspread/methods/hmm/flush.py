"""Tells the processor to take numbers below 1e-308 for 0 inside compiled code.

Such numbers come up all the time in the recursions (a hopeless state's weight decays through them) and cost a hundred
times what others do on x86; elsewhere they cost little, and this does nothing.
"""

from __future__ import annotations

import platform
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

_X86 = platform.machine().lower() in ("x86_64", "amd64")

FLUSH_TO_ZERO = 0x1F80 | 0x8040
"""The control register's usual contents, and: results below the normal range are 0, and so are such operands."""


@intrinsic  # pyright: ignore[reportUntypedFunctionDecorator]
def exchange_control(_context: Any, bits: Any) -> Any:
    """Set the thread's floating-point control register to `bits` (uint32) and return what it was."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        if not _X86:
            return arguments[0]
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        pointer = builder.bitcast(slot, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        store, load = (
            cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}")
            for name in ("stmxcsr", "ldmxcsr")
        )
        builder.call(store, [pointer])
        before = builder.load(slot)
        builder.store(arguments[0], slot)
        builder.call(load, [pointer])
        return before

    return numba.types.uint32(numba.types.uint32), generate
