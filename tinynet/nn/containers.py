"""Modules made of modules: one behind the other, or in a list."""

from collections.abc import Iterator
from typing import Any, Self

from tinynet.errors import ArgumentError, TypeMismatch
from tinynet.nn.module import Module


class Sequential(Module):
    """Modules one after the other: each one's output is the next one's input.

    >>> model = Sequential(Linear(784, 16), Sigmoid(), Linear(16, 10))
    """

    def __init__(self, *modules: Module) -> None:
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        i = len(self)
        if not isinstance(module, Module):
            raise TypeMismatch(
                f"{type(self).__name__} takes modules; number {i} is {type(module).__name__}: {module!r:.60}. Is it a "
                "class that still needs its parentheses, or a list that needs a star?"
            )
        setattr(self, str(i), module)
        return self

    def forward(self, x: Any) -> Any:
        """Pass x through each module in turn."""
        for module in self.children():
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(list(self.children()))

    def __getitem__(self, index: int | slice) -> Module:
        found = list(self.children())[index]
        return found if isinstance(found, Module) else Sequential(*found)

    def __iter__(self) -> Iterator[Module]:
        return self.children()


class ModuleList(Sequential):
    """Modules in a list, for a ``forward`` of your own to use."""

    def __init__(self, modules: Any = ()) -> None:
        super().__init__(*modules)

    def forward(self, x: Any) -> Any:
        """A list has no order of its own to compute in."""
        raise ArgumentError("a ModuleList does not compute; use its modules in your forward, or make it a Sequential.")
