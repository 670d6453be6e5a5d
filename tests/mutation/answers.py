"""Mutants that survive and may: each with the reason. They count apart from the score, and the report says how many.

An answer names a file, a definition and the change as the report prints it (``before -> after``); ``*`` stands for any
text. ``EQUIVALENT``: the change cannot be seen. ``WORTHLESS``: it can, but a test of it would say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.mutation.mutants import Mutant


@dataclass(frozen=True)
class Answer:
    """Why a mutant may live."""

    file: str
    where: str
    change: str
    reason: str
    equivalent: bool

    def meets(self, mutant: Mutant) -> bool:
        """Whether this is the answer to a mutant."""
        change = self.change.replace("[", "[[]")  # brackets are meant as they are
        return (
            fnmatchcase(mutant.file, self.file)
            and fnmatchcase(mutant.where, self.where)
            and fnmatchcase(f"{mutant.before} -> {mutant.after}", change)
        )


ANSWERS: list[Answer] = []


def equivalent(file: str, where: str, *changes: str, because: str) -> None:
    """Answer changes that nothing could show."""
    ANSWERS.extend(Answer(file, where, change, because, True) for change in changes)


def worthless(file: str, where: str, *changes: str, because: str) -> None:
    """Answer changes whose test would be worth nothing."""
    ANSWERS.extend(Answer(file, where, change, because, False) for change in changes)


equivalent(
    "tinydl/ops/scattering.py", "_matched", "(*reach[:axis], 1, *reach[axis + 1:]) -> (*reach[:axis], 2, *",
    because="the size along the axis is replaced below, and 2 broadcasts with the 1 of the other",
)  # fmt: skip


worthless(
    "tinydl/ops/products.py", "product", "a.size * b.size <= _LARGE -> a.size * b.size < _LARGE",
    because="which of two kernels makes a product of just that size",
)  # fmt: skip
worthless(
    "tinydl/ops/extrema.py", "_extreme", "input.size < _FEW -> *",
    because="which of two ways finds the same number sooner",
)  # fmt: skip


worthless(
    "tinydl/ops/products.py", "product", "a.size * b.shape[1] -> a.size / b.shape[1]",
    "a.size * b.shape[1] > _LARGE -> a.size * b.shape[1] >= _LARGE",
    because="which of two kernels makes a product of that size",
)  # fmt: skip
worthless(
    "tinydl/ops/products.py", "_fitting", "-1 -> -0",
    because="whether one operation does it or two; those refuse what does not fit, too",
)  # fmt: skip
equivalent(
    "tinydl/autograd/engine.py", "_leading_to", "t.id if isinstance(t, Node) else -1 -> t.id if isinstance(*",
    because="a node that leads to a leaf has a greater number than 1, but for the first of a process",
)  # fmt: skip
equivalent(
    "tinydl/ops/attention.py", "_gradients", ":4 -> :5",
    because="the compiled kernel alone, which is not mutated, wants four; the one in NumPy leaves the fifth out",
)  # fmt: skip
worthless(
    "tinydl/ops/axes.py", "axis_of", "-ndim <= dim < ndim -> -ndim < dim < ndim",
    "-ndim <= dim < ndim -> ndim <= dim < ndim",
    because="the usual case, sooner than by the general way",
)  # fmt: skip
equivalent(
    "tinydl/ops/ctc.py", "ctc_definition", "plain(loss) > -_FAR / 2 -> plain(loss) >= -_FAR / 2",
    because="no loss is that very number",
)  # fmt: skip
worthless(
    "tinydl/ops/elementwise.py", "_power_slope",
    "type(e) is int or type(e) is float -> type(e) is int and type(e) is float",
    because="numbers sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/ops/indexing.py", "_reached", "axis + 1 -> axis + 0",
    because="whole slices, sooner than by the general way",
)  # fmt: skip
equivalent(
    "tinydl/autograd/engine.py", "_leading_to", "e.id >= oldest -> e.id > oldest",
    because="the oldest target is among those needed from the start",
)  # fmt: skip
equivalent(
    "tinydl/ops/extrema.py", "_extreme", "-input.ndim <= dim < input.ndim -> input.ndim <= dim < input.ndim",
    because="the usual case, sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/ops/indexing.py", "_reached", "axis + 1 -> axis - 1",
    because="whole slices, sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/ops/products.py", "_few", "type(g) is np.ndarray -> type(g) is not np.ndarray",
    because="all gradients at once, sooner than one after another",
)  # fmt: skip
equivalent(
    "tinydl/ops/scanning.py", "trapezoid", "-1 -> -2",
    because="NumPy reads any negative size of a new shape as the one to be found",
)  # fmt: skip
equivalent(
    "tinydl/ops/sorting.py", "whole_median", "max(int(np.count_nonzero(flat == flat)) - 1, 0) -> max(*, 1)",
    because="half of 1 is 0 too",
)  # fmt: skip
equivalent(
    "tinydl/ops/pool.py", "adaptive_windows", "initial=1 -> initial=?",
    because="it is for no windows at all, which have no width",
)  # fmt: skip


#: What few numbers go by and what many do give the same (``tests/differential/test_rows_of_many_torch.py``).
worthless(
    "tinydl/ops/*.py", "*", "*FEW -> * < _FEW", "*FEW -> * < FEW", "* <= _FEW -> * > _FEW", "* <= FEW -> * > FEW",
    "* > _FEW -> * >= _FEW", "* > _FEW -> * <= _FEW",
    because="which of two ways gives the same numbers sooner",
)  # fmt: skip
worthless(
    "tinydl/ops/spectral.py", "*", "* <= _SMALL -> * < _SMALL", "* <= _SMALL -> * > _SMALL",
    because="which of two ways gives the same numbers sooner",
)  # fmt: skip
worthless(
    "tinydl/ops/*.py", "the module", "4096 -> 4097", "4 * 65536 -> *", "64 -> 65", "(32, 4096) -> *",
    because="from how many numbers on another way, which gives the same, is taken",
)  # fmt: skip
worthless(
    "tinydl/ops/indexing.py", "_sources", "4 * FEW -> *", because="how large the indices are that are remembered",
)  # fmt: skip
worthless(
    "tinydl/ops/*.py", "*", "copy=False -> copy=True", because="whether an array that could stay as it is is copied",
)  # fmt: skip
worthless(
    "tinydl/ops/*.py", "*", "maxsize=* -> maxsize=*", because="how many results are remembered",
)  # fmt: skip
worthless(
    "tinydl/ops/products.py", "product", "a.ndim == 2 -> a.ndim != 2", "b.ndim == 2 -> b.ndim != 2",
    because="which of NumPy's names is asked for a small product",
)  # fmt: skip
worthless(
    "tinydl/ops/spectral.py", "_frequencies", "type(n) is int and type(d) is float and (n <= _FEW) -> *",
    because="which frequencies are remembered",
)  # fmt: skip
worthless(
    "tinydl/ops/losses.py", "*", "input.ndim == 2 -> input.ndim == 3", because="rows without the general way's views",
)  # fmt: skip
equivalent(
    "tinydl/ops/losses.py", "*", "*divergence', 0.0, reduction) -> *", "*soft_margin', 0.0, reduction) -> *",
    because="a bound that these losses do not have",
)  # fmt: skip
equivalent(
    "tinydl/ops/activations.py", "bend", "np.minimum(input, 0) -> np.minimum(input, 1)",
    because="what stands above 0 is not taken",
)  # fmt: skip
equivalent(
    "tinydl/ops/indexing.py", "parts_of", "i.step > 0 -> i.step >= 0",
    because="NumPy refuses a step of 0, and then the general way says so",
)  # fmt: skip
equivalent(
    "tinydl/ops/resample.py", "smoothed", "math.ceil(support) * 2 + 1 -> math.ceil(support) * 2 + 2",
    because="one place more, of weight 0",
)  # fmt: skip
equivalent(
    "tinydl/ops/linalg.py", "svd", "m > n -> m >= n", because="the two differ where they are compared",
)  # fmt: skip
worthless(
    "tinydl/autograd/primitives.py", "_mixed", "True -> False",
    because="whether an array beside a tensor is made one, too",
)  # fmt: skip
equivalent(
    "tinydl/writing.py", "Writing._rebind", "1 -> 2", because="any other number says that the memory is another",
)  # fmt: skip
equivalent(
    "tinydl/writing.py", "Writing._write_through", "self.ver[1] -> self.ver[0]",
    because="the cell of what was just rebound is new: two zeros",
)  # fmt: skip
equivalent(
    "tinydl/optim/lbfgs.py", "_between", "x1 <= x2 -> x1 < x2", because="of one point twice there is no cubic",
)  # fmt: skip
equivalent(
    "tinydl/optim/lbfgs.py", "_strong_wolfe", "new.slope >= 0 -> new.slope > 0",
    "new.slope * (bracket[high].t - bracket[low].t) >= 0 -> new.slope * (bracket[high].t - bracket[low].t) > 0",
    "new.slope * (bracket[high].t - bracket[low].t) -> new.slope / (bracket[high].t - bracket[low].t)",
    "abs(t - ends[1]) < abs(t - ends[0]) -> abs(t - ends[1]) <= abs(t - ends[0])",
    because="a slope of 0 is flat enough, as was asked before; a quotient has a product's sign; the middle is no end",
)  # fmt: skip


worthless(
    "tinydl/ops/shaping.py", "cat", "type(tensors) is not list -> type(tensors) is list",
    "* is not kind -> * is kind", because="the usual case sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/writing.py", "Writing.__setitem__", "parts is not None -> parts is None",
    because="the usual case sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/ops/padding.py", "*", "d? > 1 -> d? >= 1", "d? > 1 -> d? > 0",
    because="a view of every single element is the array itself",
)  # fmt: skip
worthless(
    "tinydl/ops/products.py", "_plus", "beta == 1 -> beta == 0", because="whether 1 is multiplied with",
)  # fmt: skip


worthless(
    "tinydl/ops/products.py", "*", "_direct(input, mat, vec, 2, 1) -> _direct(input, mat, vec, ?, ?)",
    "0 < b.ndim <= 2 -> *", "len(a) == 2 -> len(a) != 2", because="the usual case sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/ops/reducing.py", "total", "input.size > _BLOCK -> *", "len(axes) < input.ndim -> len(axes) <= input.ndim",
    because="in which order numbers are added: the last digit",
)  # fmt: skip
equivalent(
    "tinydl/ops/resample.py", "linear", "np.clip(source - first, 0.0, 1.0) -> np.clip(source - first, 0.0, 2.0)",
    because="beyond the last position both neighbours are one",
)  # fmt: skip
worthless(
    "tinydl/ops/scanning.py", "_scan", "-input.ndim <= dim < input.ndim -> input.ndim <= dim < input.ndim",
    "-input.ndim <= dim < input.ndim -> -input.ndim < dim < input.ndim",
    because="the usual case sooner than by the general way",
)  # fmt: skip
equivalent(
    "tinydl/ops/vector_norms.py", "_from_norm", "size + nothing -> size - nothing", "ord == 1 -> ord == *",
    because="where the norm is 0 a factor of 0 stands before it; the general way gives the sign, too",
)  # fmt: skip
equivalent(
    "tinydl/optim/fused.py", "_Plan.__init__", "(0, 0) -> *",
    because="arrays of nothing until the first step makes those that are used",
)  # fmt: skip
worthless(
    "tinydl/ops/indexing.py", "getitem", "at.dtype.kind == 'b' -> at.dtype.kind != 'b'",
    because="the usual case sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/autograd/primitives.py", "_Built._wrap_many", "len(op.public) > 1 -> len(op.public) > 0",
    because="a pick of the only result leads where the node itself does",
)  # fmt: skip


equivalent(
    "tinydl/ops/arranging.py", "roll", "-1 -> -2",
    because="NumPy reads any negative size of a new shape as the one to be found",
)  # fmt: skip
worthless(
    "tinydl/ops/arranging.py", "rolled", "0 < input.size <= _FEW -> 0 >= input.size <= _FEW",
    because="which of two ways gives the same numbers sooner",
)  # fmt: skip
worthless(
    "tinydl/ops/axes.py", "one_line", "len(axis) == 1 -> len(axis) == 0",
    because="one dimension without the general way's view of the same shape",
)  # fmt: skip
equivalent(
    "tinydl/ops/conv.py", "_options", "_three(dilation, 1) -> _three(dilation, 2)",
    because="along dimensions that were added the kernel is one wide: it has no gaps to widen",
)  # fmt: skip
worthless(
    "tinydl/ops/extrema.py", "_along.function", "0 <= dim < input.ndim -> 1 <= dim < input.ndim",
    because="the usual case, sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/ops/indexing.py", "parts_of", "ellipses > 1 -> ellipses >= 1",
    "0 < before < arrays -> 0 < before <= arrays", because="what is left to the general way comes out of it the same",
)  # fmt: skip
worthless(
    "tinydl/ops/products.py", "_few", "0 < g.size * inputs <= _FEW and type(g) is np.ndarray -> *",
    "0 < g.size * inputs <= _FEW -> 0 <= *",
    because="from how many numbers on the gradients are computed one by one",
)  # fmt: skip
worthless(
    "tinydl/ops/products.py", "linear", "-1 -> -2",
    because="the sizes that are compared then never are equal but for a vector's: the general way gives the same",
)  # fmt: skip
worthless(
    "tinydl/ops/products.py", "inner", "x.ndim == y.ndim == 1 -> *", because="vectors sooner than by the general way",
)  # fmt: skip
worthless(
    "tinydl/ops/spectral.py", "_frequencies", "if type(n) is int and type(d) is float and (n <= _FEW) -> *",
    "type(d) is float -> *", because="which frequencies are remembered",
)  # fmt: skip
equivalent(
    "tinydl/ops/factors.py", "cut_of", "-1 -> -0",
    because="of no singular values none is counted, whichever way their cut is found",
)  # fmt: skip
equivalent(
    "tinydl/ops/resample.py", "linear", "n - 1 -> n - 2",
    because="the last place is the second neighbour of the one before, with all of the weight",
)  # fmt: skip
worthless(
    "tinydl/ops/shaping.py", "cat", "dim >= 0 -> dim >= 1", because="the usual case sooner than by the general way",
)  # fmt: skip
equivalent(
    "tinydl/ops/slicing.py", "_cuts", "default=0 -> default=1", because="of no pieces none is negative",
)  # fmt: skip
worthless(
    "tinydl/ops/vector_norms.py", "vector_norm", "-x.ndim <= axis < x.ndim -> -x.ndim < axis < x.ndim",
    because="the usual case sooner than by the general way",
)  # fmt: skip
equivalent(
    "tinydl/ops/shaping.py", "_inverse", "[0] -> [1]", because="every place is written",
)  # fmt: skip


def answer_to(mutant: Mutant) -> Answer | None:
    """The first answer that meets a mutant."""
    return next((answer for answer in ANSWERS if answer.meets(mutant)), None)
