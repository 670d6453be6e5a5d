"""``Module``: a tree of layers that finds its own parameters.

A module's parameters, buffers and submodules are ordinary attributes: their values live in the instance's ``__dict__``
(so that ``self.weight`` costs one dictionary look-up, with no ``__getattr__`` in between), and three ordered tables
hold only their *names*, in order of definition. Everything else here walks these tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinydl import dtypes
from tinydl.creation import there
from tinydl.devices import beside, gpu, on_host
from tinydl.nn import hooks
from tinydl.nn.hooks import Hook, RemovableHandle
from tinydl.nn.members import Members
from tinydl.nn.parameter import Parameter
from tinydl.size import sizes_of
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
    _parameter_names: dict[str, Any]
    _buffer_names: dict[str, bool]  # name -> persistent, that is: part of the state_dict
    _module_names: dict[str, Any]
    _call_hooks: dict[int, Hook]  # of calls: forward and backward
    _state_hooks: dict[int, Hook]

    def __init__(self) -> None:
        fields = self.__dict__  # past __setattr__, which needs these tables
        fields["training"] = True
        fields["_parameter_names"] = {}
        fields["_buffer_names"] = {}
        fields["_module_names"] = {}
        fields["_call_hooks"] = {}
        fields["_state_hooks"] = {}

    # ------------------------------------------------------------------------------------------------ the call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._call_hooks:
                return hooks.call(self, self._call_hooks, args, kwargs)
            return self.forward(*args, **kwargs)
        except _LAYER_ERRORS as error:
            self._name_layer(error)
            raise
        except AttributeError as error:  # a list has not what a tensor has
            self._refuse_list(error, args)
            raise

    def _refuse_list(self, error: AttributeError, args: tuple[Any, ...]) -> None:
        """Say which argument is no Tensor, if that is what a function of ours stumbled upon."""
        place = next((i for i, given in enumerate(args) if given is error.obj), None)
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        raised_in = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
        if place is None or not raised_in.startswith("tinydl.") or not hasattr(Tensor, error.name or ""):
            return
        names = list(inspect.signature(self.forward).parameters)
        instead = "give its parts one by one" if isinstance(error.obj, tuple) else "convert it with tinydl.tensor()"
        better = TypeError(
            f"argument '{names[min(place, len(names) - 1)]}' (position {place + 1}) must be Tensor, not "
            f"{type(error.obj).__name__}; {instead}"
        )
        self._name_layer(better)
        raise better from None

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

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after every forward; a result other than None replaces the output.

        ``with_kwargs``: ``hook(module, args, kwargs, output)``. ``prepend``: before the hooks there are.
        ``always_call``: even when the call fails.
        """
        return RemovableHandle(self._call_hooks, Hook("forward", hook, with_kwargs, always_call), prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before every forward; a result other than None replaces the arguments.

        ``with_kwargs``: ``hook(module, args, kwargs)``, which returns None or a pair of both.
        """
        return RemovableHandle(self._call_hooks, Hook("forward_pre", hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are known.

        Both are tuples, with None for what is no tensor and zeros for what has no gradient; a result other than None
        replaces ``grad_input``. Tensors count that are positional arguments, or the output or elements of a tuple.
        """
        return RemovableHandle(self._call_hooks, Hook("backward", hook), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the gradients of the inputs are computed; a result other than None
        replaces ``grad_output``."""
        return RemovableHandle(self._call_hooks, Hook("backward_pre", hook), prepend)

    # ------------------------------------------------------------------------------------- attributes and tables

    def __setattr__(self, name: str, value: Any) -> None:
        fields = self.__dict__
        if hasattr(getattr(type(self), name, None), "__set__"):  # a property of the class is no place for either
            if isinstance(value, Parameter):
                raise KeyError(f"attribute '{name}' already exists: it is a property of {type(self).__name__}")
        elif isinstance(value, (Parameter, Module)):
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
                raise TypeError(f"cannot assign '{given}' as buffer '{name}' (tinydl.Tensor or None expected)")
        # The class may define the name (a property with a setter, say): let Python decide, as for any object.
        object.__setattr__(self, name, value)

    @property
    def _parameters(self) -> Members:
        """The parameters of this module alone by name; what is written there is its own."""
        return Members(self.__dict__, self._parameter_names)

    @property
    def _buffers(self) -> Members:
        """The buffers of this module alone."""
        return Members(self.__dict__, self._buffer_names)

    @property
    def _modules(self) -> Members:
        """The children."""
        return Members(self.__dict__, self._module_names)

    def _get_name(self) -> str:
        return type(self).__name__

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

    def set_submodule(self, target: str, module: Module) -> None:
        """Put ``module`` in the place of the submodule at a dotted path. Raises ValueError for an empty path."""
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        setattr(self.get_submodule(path), name, module)

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
        """Convert every floating-point parameter and buffer, in place: ``to(dtype)``, ``to(tensor)``; or move every one
        to another device: ``to("cuda")``.

        The parameters stay the same objects, so an optimizer that holds them still does; integer buffers keep their
        dtype. Raises RuntimeError for a device that is not there.
        """
        dtype, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
        for option in ("non_blocking", "memory_format"):
            kwargs.pop(option, None)
        if kwargs:
            raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
        for argument in args:
            if isinstance(argument, Tensor):
                dtype, device = argument.dtype, argument.device
            elif _is_device(argument):
                device = argument
            elif not isinstance(argument, bool):
                dtype = argument
        if device is not None:
            there(device)  # which raises for what is not there, before anything is moved
            for tensor in [*self.parameters(), *self.buffers()]:
                if tensor.device != device:
                    _move(tensor, device)
        if dtype is None:
            return self
        wanted = dtypes.as_dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={wanted}")
        return self._convert(wanted, only_floating=True)

    def _convert(self: ModuleT, wanted: np.dtype[Any], only_floating: bool) -> ModuleT:
        tensors = [*self.parameters(), *self.buffers()]
        if wanted.kind != "f" and any(tensor.requires_grad for tensor in tensors):
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients: {type(self).__name__} has parameters "
                f"that do, and cannot become {wanted}"
            )
        for tensor in tensors:
            if tensor.array.dtype != wanted and (tensor.array.dtype.kind == "f" or not only_floating):
                tensor.array = tensor.array.astype(wanted)
                tensor.ver = tensor.taken = None  # other memory than its views and sharers have from now on
                if tensor.grad is not None:
                    tensor.grad = Tensor._wrap(tensor.grad.array.astype(wanted))
        return self

    def type(self: ModuleT, dst_type: Any) -> ModuleT:
        """Convert every parameter and buffer, those of integers too."""
        return self._convert(dtypes.as_dtype(dst_type), only_floating=False)

    def half(self: ModuleT) -> ModuleT:
        """Convert to float16."""
        return self.to(np.float16)

    def float(self: ModuleT) -> ModuleT:
        """Convert to float32."""
        return self.to(np.float32)

    def double(self: ModuleT) -> ModuleT:
        """Convert to float64, the precision of gradient checks."""
        return self.to(np.float64)

    def cpu(self: ModuleT) -> ModuleT:
        """Move to the CPU."""
        return self.to(device="cpu")

    def cuda(self: ModuleT, device: Any = None) -> ModuleT:
        """Move to the GPU. Raises RuntimeError where there is none."""
        return self.to(device=gpu(device))

    # ---------------------------------------------------------------------------------------------- state_dict

    def _prefixed(self, prefix: str = "") -> list[tuple[str, Module]]:
        """Every module below with what its keys begin with ("", "0.", "0.inner."), parents first."""
        walked = self.named_modules(prefix.removesuffix("."), remove_duplicate=False)
        return [(path + "." if path else "", module) for path, module in walked]

    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters, then persistent buffers, of this module alone."""
        fields = self.__dict__
        persistent = [name for name, kept in self._buffer_names.items() if kept]
        return ((name, fields[name]) for name in (*self._parameter_names, *persistent) if fields[name] is not None)

    def state_dict(
        self, *, destination: dict[str, Tensor] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Tensor]:
        """Every parameter and persistent buffer by dotted path, in order of definition.

        The tensors are detached and share the module's memory (``keep_vars=True``: the parameters themselves); a
        parameter shared by two layers appears under both paths. The keys are PyTorch's.
        """
        state = {} if destination is None else destination
        modules = self._prefixed(prefix)
        for path, module in modules:
            for hook in hooks.of_kind(module._state_hooks, "save"):
                hook.function(module, path, keep_vars)
            for name, tensor in module._own_state():
                state[path + name] = tensor if keep_vars else tensor.detach()
        for path, module in reversed(modules):
            for hook in hooks.of_kind(module._state_hooks, "saved"):
                hook.function(module, state, path, {})
        return state

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before :meth:`state_dict` reads this module."""
        return RemovableHandle(self._state_hooks, Hook("save", hook))

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, {})`` when :meth:`state_dict` has read this module and all below."""
        return RemovableHandle(self._state_hooks, Hook("saved", hook))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, {}, strict, missing_keys, unexpected_keys, errors)`` before
        :meth:`load_state_dict` checks anything; it may change the dictionary (a copy of the caller's) and the lists."""
        return RemovableHandle(self._state_hooks, Hook("load", hook))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after :meth:`load_state_dict` has copied everything."""
        return RemovableHandle(self._state_hooks, Hook("loaded", hook))

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values (Tensors or arrays) into the parameters and buffers of the same names, in their own dtypes.

        ``assign=True`` puts the tensors themselves in their places, with their dtypes. Nothing is changed unless
        everything fits. Raises RuntimeError naming every missing and every unexpected key (``strict=False`` returns
        them instead) and every value of another shape, with both shapes.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        given = dict(state_dict)
        modules = self._prefixed()
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        for path, module in modules:
            for hook in hooks.of_kind(module._state_hooks, "load"):
                hook.function(module, given, path, {}, strict, missing, unexpected, errors)
        own = {path + name: (module, name) for path, module in modules for name, _ in module._own_state()}
        missing += [key for key in own if key not in given]
        unexpected += [key for key in given if key not in own]
        problems: list[str] = []
        if strict:
            for kind, keys in (("Missing", missing), ("Unexpected", unexpected)):
                if keys:
                    problems.append(f"{kind} key(s) in state_dict: " + ", ".join(f'"{key}"' for key in keys) + ". ")
        problems += errors
        copies: list[tuple[Module, str, Any]] = []
        for key, (module, name) in own.items():
            if key in given:
                problem = _misfit(key, given[key], module.__dict__[name])
                if problem:
                    problems.append(problem)
                else:
                    copies.append((module, name, given[key]))
        if problems:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(problems).rstrip()
            )
        if assign:
            for module, name, value in copies:
                setattr(module, name, _in_place_of(module.__dict__[name], value))
        else:
            # Copies first, because the state may be this module's own under other names.
            pairs = [(module.__dict__[name], value) for module, name, value in copies]
            arrays = [_copied(_array(value), tensor) for tensor, value in pairs]
            for (tensor, _), array in zip(pairs, arrays):
                tensor.array[...] = array
                tensor.bump()
        result = IncompatibleKeys(missing, unexpected)
        for _, module in reversed(modules):
            for hook in hooks.of_kind(module._state_hooks, "loaded"):
                hook.function(module, result)
        return result

    # ------------------------------------------------------------------------------------------------ the picture

    def extra_repr(self) -> str:
        """What stands between the parentheses in the printed form, before the children."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extras = extra.split("\n") if extra else []
        children = [f"({name}): {_indent(repr(self.__dict__[name]))}" for name in self._module_names]
        return _tree(self._get_name(), extras, children)

    def __dir__(self) -> list[str]:
        return sorted(name for name in super().__dir__() if name.isidentifier())


def new_parameter(shape: tuple[int, ...], device: str | None = None, dtype: Any = None) -> Parameter:
    """A parameter of undefined content, for a layer's ``reset_parameters`` to fill.

    Raises RuntimeError for a device that is not there and TypeError for a dtype that is not floating.
    """
    wanted = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if wanted.kind != "f":
        raise TypeError(f"a parameter needs a floating dtype, but got {wanted}")
    return Parameter(there(device).empty(sizes_of(shape), wanted))


def _copied(array: Any, tensor: Tensor) -> Any:
    """A copy of an array in the dtype and on the device of a tensor."""
    if isinstance(tensor.array, np.ndarray):
        return np.array(on_host(array), dtype=tensor.dtype)
    return beside(array, tensor.array).astype(tensor.dtype)


def _move(tensor: Tensor, device: Any) -> None:
    """Have the same numbers, and gradient, on another device."""
    grad, moved = tensor.grad, tensor.detach().to(device)
    tensor.array = moved.array
    tensor.ver = tensor.taken = None  # other memory than its views and sharers have from now on
    if grad is not None:
        tensor.grad = grad.to(device)


def _misfit(key: str, value: Any, tensor: Tensor) -> str:
    """What keeps ``value`` from being loaded into ``tensor``, if anything."""
    array = _array(value)
    if not isinstance(array, np.ndarray) and not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{key}", expected tinydl.Tensor or Tensor-like object from checkpoint '
            f"but received {type(value)}. "
        )
    if array.shape != tensor.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {array.shape} from checkpoint, the shape in current "
            f"model is {tuple(tensor.shape)}. "
        )
    return ""


def _array(value: Any) -> Any:
    """The array of a Tensor, and anything else as it is."""
    return value.array if isinstance(value, Tensor) else value


def _in_place_of(tensor: Tensor, value: Any) -> Tensor:
    """``value`` as what ``tensor`` is: a parameter that requires a gradient if it does, or a buffer."""
    if not isinstance(tensor, Parameter):
        return value if isinstance(value, Tensor) else Tensor._wrap(value)
    if isinstance(value, Parameter):
        return value.requires_grad_(tensor.requires_grad)
    return Parameter(value, requires_grad=tensor.requires_grad)


def _is_device(argument: Any) -> bool:
    return isinstance(argument, str) and not dtypes.is_name(argument)


def _indent(text: str) -> str:
    """Indent every line but the first: a child's picture inside its parent's."""
    return text.replace("\n", "\n  ")


def _tree(name: str, extras: list[str], children: list[str]) -> str:
    """``Name(extra)`` on one line when there are no children, else one line each."""
    if not children and len(extras) <= 1:
        return f"{name}({''.join(extras)})"
    return "\n  ".join([f"{name}(", *extras, *children]) + "\n)"
