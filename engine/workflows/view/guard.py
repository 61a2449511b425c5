"""Which rights a question needs: asked before anything is read, for whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from engine.domain.access import Right, Viewer

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


def needs(*rights: Right) -> Callable[[Callable[Asked, Answer]], Callable[Concatenate[Viewer, Asked], Answer]]:
    """Put a viewer before the arguments of a question; raises NotAllowed unless the viewer holds all these rights."""
    return _guarded(lambda viewer: viewer.require(*rights))


def needs_one_of(*rights: Right) -> Callable[[Callable[Asked, Answer]], Callable[Concatenate[Viewer, Asked], Answer]]:
    """Put a viewer before the arguments of a question; raises NotAllowed unless the viewer holds one of the rights."""
    return _guarded(lambda viewer: viewer.require_one_of(*rights))


def _guarded(
    check: Callable[[Viewer], None],
) -> Callable[[Callable[Asked, Answer]], Callable[Concatenate[Viewer, Asked], Answer]]:
    def guarded(question: Callable[Asked, Answer]) -> Callable[Concatenate[Viewer, Asked], Answer]:
        @wraps(question)
        def asked(viewer: Viewer, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
            check(viewer)
            return question(*args, **kwargs)

        return asked

    return guarded
