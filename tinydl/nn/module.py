"""``Module``: a tree of layers that finds its own parameters.

A module's parameters, buffers and submodules are ordinary attributes: their values live in the instance's ``__dict__``
(so that ``self.weight`` costs one dictionary look-up, with no ``__getattr__`` in between), and three ordered tables
hold only their *names*, in order of definition. Everything else here walks these tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinydl import dtypes
from tinydl.nn.parameter import Parameter
from tinydl.tensor import Tensor

ModuleT = TypeVar("ModuleT", bound="Module")

# The errors that a wrong shape, dtype or index gives; only these are given the layer's path.
_LAYER_ERRORS = (RuntimeError, ValueError, TypeError, IndexError)


class IncompatibleKeys(NamedTuple):
    """What :meth:`Module.load_state_dict` did not find, and what it did not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class RemovableHandle:
    """Takes a hook away again: ``handle.remove()``, or use it as a context manager."""

    def __init__(self, hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._id = max(hooks, default=-1) + 1
        hooks[self._id] = hook

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        self._hooks.pop(self._id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Module:
    """Base of all layers and models: override :meth:`forward`, assign parameters and submodules as attributes.

    >>> class Twice(Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Twice()(3)
    6

    An error raised inside ``forward`` (``RuntimeError``, ``ValueError``, ``TypeError``, ``IndexError``) gains the
    dotted path of the innermost layer that raised it: ``... (in layer 'encoder.0', a Linear)``.
    """

    training: bool
    _parameter_names: dict[str, None]
    _buffer_names: dict[str, bool]  # name -> persistent, that is: part of the state_dict
    _module_names: dict[str, None]
    _forward_hooks: dict[int, Callable[..., Any]]
    _forward_pre_hooks: dict[int, Callable[..., Any]]

    def __init__(self) -> None:
        fields = self.__dict__  # past __setattr__, which needs these tables
        fields["training"] = True
        fields["_parameter_names"] = {}
        fields["_buffer_names"] = {}
        fields["_module_names"] = {}
        fields["_forward_hooks"] = {}
        fields["_forward_pre_hooks"] = {}

    # ------------------------------------------------------------------------------------------------ the call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._forward_hooks or self._forward_pre_hooks:
                return self._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except _LAYER_ERRORS as error:
            self._name_layer(error)
            raise

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for hook in list(self._forward_pre_hooks.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook in list(self._forward_hooks.values()):
            changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    def _name_layer(self, error: Exception) -> None:
        """Append to the error's sentence where in the tree it was raised.

        Every module between the failing layer and the outermost call passes here once, innermost first, and none knows
        whether it is the outermost: so each writes the whole sentence anew, from the root it is.
        """
        if type(error) not in _LAYER_ERRORS or len(error.args) != 1 or not isinstance(error.args[0], str):
            return  # an error with fields of its own: leave it be
        layer, sentence = getattr(error, "_raised_in", (self, error.args[0]))
        error._raised_in = (layer, sentence)  # type: ignore[attr-defined]
        path = next((name for name, module in self.named_modules() if module is layer), "")
        where = f"in layer '{path}', a {type(layer).__name__}" if path else f"in {type(layer).__name__}"
        error.args = (f"{sentence} ({where})",)

    def register_forward_hook(self, hook: Callable[[Module, tuple[Any, ...], Any], Any]) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after every forward; a result other than None replaces the output."""
        return RemovableHandle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[[Module, tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call ``hook(module, args)`` before every forward; a result other than None replaces the arguments."""
        return RemovableHandle(self._forward_pre_hooks, hook)

    # ------------------------------------------------------------------------------------- attributes and tables

    def __setattr__(self, name: str, value: Any) -> None:
        fields = self.__dict__
        if isinstance(value, (Parameter, Module)):
            is_parameter = isinstance(value, Parameter)
            if "_parameter_names" not in fields:
                kind = "parameters" if is_parameter else "modules"
                raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
            self._parameter_names.pop(name, None) if not is_parameter else self._module_names.pop(name, None)
            self._buffer_names.pop(name, None)
            # A name assigned again keeps its place in the order.
            (self._parameter_names if is_parameter else self._module_names).setdefault(name, None)
        elif "_parameter_names" in fields and value is not None:
            # A registered name keeps its kind; None empties it and keeps its place.
            given = type(value).__name__
            if name in self._parameter_names:
                raise TypeError(f"cannot assign '{given}' as parameter '{name}' (tinydl.nn.Parameter or None expected)")
            if name in self._module_names:
                raise TypeError(f"cannot assign '{given}' as child module '{name}' (tinydl.nn.Module or None expected)")
            if name in self._buffer_names and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{given}' object to buffer '{name}' (tinydl.Tensor or None expected)")
        # The class may define the name (a property with a setter, say): let Python decide, as for any object.
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._parameter_names.pop(name, None)
        self._buffer_names.pop(name, None)
        self._module_names.pop(name, None)

    def _check_new_name(self, kind: str, name: str, table: Mapping[str, Any]) -> None:
        if "_parameter_names" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string, got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Give the module a parameter, or with None the place of one that it does without (``bias=False``)."""
        self._check_new_name("parameter", name, self._parameter_names)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' (tinydl.nn.Parameter or None "
                "required)"
            )
        self._parameter_names.setdefault(name, None)
        object.__setattr__(self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Give the module a tensor that is state but no parameter; ``persistent=False`` keeps it out of state_dict."""
        self._check_new_name("buffer", name, self._buffer_names)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (tinydl.Tensor or None required)"
            )
        self._buffer_names[name] = persistent
        object.__setattr__(self, name, tensor)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as :meth:`add_module`."""
        self.add_module(name, module)

    def add_module(self, name: str, module: Module | None) -> None:
        """Give the module a child under a name that need not be a Python identifier (``"0"``)."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_new_name("module", name, self._module_names)
        self._module_names.setdefault(name, None)
        object.__setattr__(self, name, module)

    # ------------------------------------------------------------------------------------------------- walking

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names, each module once."""
        seen: set[int] = set()
        for name in self._module_names:
            module = self.__dict__[name]
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """This module (named ``prefix``) and all below it with dotted paths, parents first, in order of definition."""
        seen: set[int] = set()
        waiting: list[tuple[str, Module]] = [(prefix, self)]  # a stack: a deep tree needs no recursion
        while waiting:
            path, module = waiting.pop()
            if remove_duplicate:
                if id(module) in seen:
                    continue
                seen.add(id(module))
            yield path, module
            below = [(f"{path}.{name}" if path else name, module.__dict__[name]) for name in module._module_names]
            waiting.extend((name, child) for name, child in reversed(below) if child is not None)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        owners: Iterable[tuple[str, Module]] = [(prefix, self)]
        if recurse:
            owners = self.named_modules(prefix, remove_duplicate)
        for path, module in owners:
            for name in module.__dict__[table]:
                member = module.__dict__[name]
                if member is None or (remove_duplicate and id(member) in seen):
                    continue
                seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted paths, in order of definition; one shared by two layers comes once."""
        return self._named_members("_parameter_names", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, in order of definition: what an optimizer is given."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted paths."""
        return self._named_members("_buffer_names", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The submodule at a dotted path; ``""`` is the module itself. Raises AttributeError when there is none."""
        module = self
        for name in target.split(".") if target else []:
            if name not in module._module_names or module.__dict__[name] is None:
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}` that is a module")
            module = module.__dict__[name]
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. Raises AttributeError when there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._parameter_names or module.__dict__[name] is None:
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}` that is a parameter")
        parameter: Parameter = module.__dict__[name]
        return parameter

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. Raises AttributeError when there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._buffer_names or module.__dict__[name] is None:
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}` that is a buffer")
        buffer: Tensor = module.__dict__[name]
        return buffer

    # ------------------------------------------------------------------------------------------ changing it all

    def apply(self: ModuleT, fn: Callable[[Module], None]) -> ModuleT:
        """Call ``fn`` on every submodule, children first, then on the module itself: ``net.apply(init_weights)``."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self: ModuleT, mode: bool = True) -> ModuleT:
        """Training mode on (dropout drops) or off, here and below."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: ModuleT) -> ModuleT:
        """Training mode off: the same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: ModuleT, requires_grad: bool = True) -> ModuleT:
        """Freeze (False) or thaw every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every gradient; ``set_to_none=False`` fills them with zeros instead."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach()
                parameter.grad.zero_()

    def to(self: ModuleT, *args: Any, **kwargs: Any) -> ModuleT:
        """Convert every floating-point parameter and buffer, in place: ``to(dtype)``, ``to(tensor)``, ``to("cpu")``.

        The parameters stay the same objects, so an optimizer that holds them still does; integer buffers are left
        alone.
        """
        dtype, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
        kwargs.pop("non_blocking", None)
        if kwargs:
            raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
        for argument in args:
            if isinstance(argument, Tensor):
                dtype = argument.dtype
            elif isinstance(argument, str) and (argument.split(":")[0] in ("cpu", "cuda")):
                device = argument
            elif not isinstance(argument, bool):
                dtype = argument
        if device is not None and str(device).split(":")[0] != "cpu":
            raise RuntimeError(f"to() cannot move {type(self).__name__} to device '{device}': only 'cpu' is available")
        if dtype is None:
            return self
        wanted = dtypes.as_dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={wanted}")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.data.dtype.kind == "f" and tensor.data.dtype != wanted:
                tensor.data = tensor.data.astype(wanted)
                if tensor.grad is not None:
                    tensor.grad = Tensor(tensor.grad.data.astype(wanted))
        return self

    def float(self: ModuleT) -> ModuleT:
        """Convert to float32."""
        return self.to(np.float32)

    def double(self: ModuleT) -> ModuleT:
        """Convert to float64, the precision of gradient checks."""
        return self.to(np.float64)

    def cpu(self: ModuleT) -> ModuleT:
        """Move to the CPU, where it is."""
        return self.to(device="cpu")

    # ---------------------------------------------------------------------------------------------- state_dict

    def _named_state(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules(prefix, remove_duplicate=False):
            dot = path + "." if path and not path.endswith(".") else path
            persistent = [name for name, kept in module._buffer_names.items() if kept]
            for name in (*module._parameter_names, *persistent):
                if module.__dict__[name] is not None:
                    yield dot + name, module.__dict__[name]

    def state_dict(
        self, *, destination: dict[str, Tensor] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Tensor]:
        """Every parameter and persistent buffer by dotted path, in order of definition.

        The tensors are detached and share the module's memory (``keep_vars=True``: the parameters themselves); a
        parameter shared by two layers appears under both paths. The keys are PyTorch's.
        """
        state = {} if destination is None else destination
        for path, tensor in self._named_state(prefix.removesuffix(".")):
            state[path] = tensor if keep_vars else tensor.detach()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values (Tensors or arrays) into the parameters and buffers of the same names, in their own dtypes.

        Nothing is changed unless everything fits. Raises RuntimeError naming every missing and every unexpected key
        (``strict=False`` returns them instead) and every value of another shape, with both shapes.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        own = dict(self._named_state())
        missing = [key for key in own if key not in state_dict]
        unexpected = [key for key in state_dict if key not in own]
        problems: list[str] = []
        if strict:
            for kind, keys in (("Missing", missing), ("Unexpected", unexpected)):
                if keys:
                    problems.append(f"{kind} key(s) in state_dict: " + ", ".join(f'"{key}"' for key in keys) + ". ")
        copies: list[tuple[Tensor, np.ndarray]] = []
        for key, tensor in own.items():
            if key not in state_dict:
                continue
            value = state_dict[key]
            value = value.data if isinstance(value, Tensor) else value
            if not isinstance(value, np.ndarray):
                problems.append(
                    f'While copying the parameter named "{key}", expected tinydl.Tensor or Tensor-like object from '
                    f"checkpoint but received {type(value)}. "
                )
            elif value.shape != tensor.shape:
                problems.append(
                    f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                    f"the shape in current model is {tensor.shape}. "
                )
            else:
                # A copy, because the state may be this module's own under other names.
                copies.append((tensor, np.array(value, dtype=tensor.data.dtype)))
        if problems:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(problems).rstrip()
            )
        for tensor, array in copies:
            tensor.data[...] = array
            tensor.bump()
        return IncompatibleKeys(missing, unexpected)

    # ------------------------------------------------------------------------------------------------ the picture

    def extra_repr(self) -> str:
        """What stands between the parentheses in the printed form, before the children."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extras = extra.split("\n") if extra else []
        children = [f"({name}): {_indent(repr(self.__dict__[name]))}" for name in self._module_names]
        return _tree(type(self).__name__, extras, children)

    def __dir__(self) -> list[str]:
        return sorted(name for name in super().__dir__() if name.isidentifier())


def new_parameter(shape: tuple[int, ...], device: str | None = None, dtype: Any = None) -> Parameter:
    """A parameter of undefined content, for a layer's ``reset_parameters`` to fill.

    Raises RuntimeError for another device than the CPU and TypeError for a dtype that is not floating.
    """
    if device is not None and str(device) != "cpu":
        raise RuntimeError(f"a parameter cannot be made on device '{device}': only 'cpu' is available")
    wanted = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if wanted.kind != "f":
        raise TypeError(f"a parameter needs a floating dtype, but got {wanted}")
    return Parameter(np.empty(shape, wanted))


def _indent(text: str) -> str:
    """Indent every line but the first: a child's picture inside its parent's."""
    return text.replace("\n", "\n  ")


def _tree(name: str, extras: list[str], children: list[str]) -> str:
    """``Name(extra)`` on one line when there are no children, else one line each."""
    if not children and len(extras) <= 1:
        return f"{name}({''.join(extras)})"
    return "\n  ".join([f"{name}(", *extras, *children]) + "\n)"
