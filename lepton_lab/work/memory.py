"""Whether an error says that memory ran out."""

from __future__ import annotations

import errno
import sys

# torch's CPU allocator, oneDNN and the C++ runtime say it in a plain RuntimeError.
_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc", "could not allocate")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the machine or of the device, ran out."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)
