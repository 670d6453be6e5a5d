"""Scripts import from PyTorch's deep paths, whatever the files are called here."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import tinydl
from tests.differential import names
from tinydl import nn

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

LAYERS = {
    "activation": "ReLU GELU MultiheadAttention",
    "batchnorm": "_BatchNorm BatchNorm2d",
    "channelshuffle": "ChannelShuffle",
    "container": "Sequential ModuleList ParameterDict",
    "conv": "_ConvNd Conv2d ConvTranspose1d",
    "distance": "PairwiseDistance CosineSimilarity",
    "dropout": "Dropout AlphaDropout",
    "flatten": "Flatten Unflatten",
    "fold": "Fold Unfold",
    "instancenorm": "_InstanceNorm InstanceNorm1d",
    "linear": "Linear Identity Bilinear",
    "loss": "_Loss _WeightedLoss MSELoss CrossEntropyLoss CTCLoss",
    "module": "Module",
    "normalization": "LayerNorm GroupNorm RMSNorm",
    "padding": "ZeroPad2d ReflectionPad1d",
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "pooling": "MaxPool2d AdaptiveAvgPool1d",
    "rnn": "RNNBase LSTM LSTMCell",
    "sparse": "Embedding EmbeddingBag",
    "transformer": "Transformer TransformerEncoderLayer",
    "upsampling": "Upsample",
    "utils": "_single _pair _triple _quadruple",
}
OTHERS = {
    "nn.modules": "Conv2d Module",
    "nn.parameter": "Parameter",
    "nn.parallel": "DataParallel DistributedDataParallel",
    "nn.utils.rnn": "pad_sequence",
    "nn.utils.clip_grad": "clip_grad_norm_",
    "optim.optimizer": "Optimizer",
    **{f"optim.{name.lower()}": name for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "ASGD", "LBFGS")},
    **{f"optim.{name.lower()}": name for name in ("NAdam", "RAdam", "RMSprop", "Rprop", "SGD")},
    "optim.lr_scheduler": "_LRScheduler LRScheduler StepLR",
    "utils.data.dataloader": "DataLoader default_collate",
    "utils.data.dataset": "Dataset TensorDataset random_split",
    "utils.data.sampler": "Sampler RandomSampler BatchSampler",
    "distributions.bernoulli": "Bernoulli",
    "distributions.beta": "Beta",
    "distributions.dirichlet": "Dirichlet",
    "distributions.gamma": "Gamma",
    "distributions.multivariate_normal": "MultivariateNormal",
    "distributions.poisson": "Poisson",
    "distributions.studentT": "StudentT",
    "distributions.categorical": "Categorical",
    "distributions.constraints": "positive",
    "distributions.distribution": "Distribution",
    "distributions.exponential": "Exponential",
    "distributions.gumbel": "Gumbel",
    "distributions.independent": "Independent",
    "distributions.kl": "kl_divergence",
    "distributions.laplace": "Laplace",
    "distributions.log_normal": "LogNormal",
    "distributions.mixture_same_family": "MixtureSameFamily",
    "distributions.normal": "Normal",
    "distributions.one_hot_categorical": "OneHotCategorical",
    "distributions.transformed_distribution": "TransformedDistribution",
    "distributions.transforms": "Transform TanhTransform AffineTransform",
    "distributions.uniform": "Uniform",
}
PATHS = {**{f"nn.modules.{name}": names for name, names in LAYERS.items()}, **OTHERS}


@pytest.mark.parametrize("path", PATHS)
def test_the_path_leads_to_the_names(path: str) -> None:
    room = tinydl
    for part in path.split(".")[:-1]:
        room = getattr(room, part)
    for name in PATHS[path].split():
        assert hasattr(importlib.import_module(f"torch.{path}"), name)
        found = getattr(importlib.import_module(f"tinydl.{path}"), name)
        if not name.startswith("_"):  # the very same class, or isinstance() would not know it
            home = next(at for at in (nn, tinydl.optim, tinydl.optim.lr_scheduler, nn.utils, nn.utils.rnn, nn.parallel,
                                      tinydl.utils.data, tinydl.distributions, tinydl.distributions.constraints)
                        if hasattr(at, name))  # fmt: skip
            assert found is getattr(home, name)


def test_in_a_fresh_program() -> None:
    code = (
        "from tinydl.nn.modules.module import Module\n"
        "from tinydl.nn.modules.utils import _pair\n"
        "from tinydl.distributions.normal import Normal\n"
        "from tinydl.utils.data.dataloader import DataLoader\n"
        "import tinydl.nn.modules.loss as loss, tinydl.optim.adamw\n"
        "import tinydl as torch\n"
        "assert issubclass(torch.nn.Linear, Module) and torch.nn.modules.loss._Loss is loss._Loss\n"
        "assert torch.distributions.Normal is Normal and torch.utils.data.DataLoader is DataLoader\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_bases_are_those_of_the_layers() -> None:
    assert isinstance(nn.Conv2d(1, 1, 1), nn.modules.conv._ConvNd)
    assert isinstance(nn.ConvTranspose1d(1, 1, 1), nn.modules.conv._ConvNd)
    assert isinstance(nn.BatchNorm2d(1), nn.modules.batchnorm._BatchNorm)
    assert isinstance(nn.NLLLoss(), nn.modules.loss._WeightedLoss)


@pytest.mark.parametrize("given", [3, (4, 5), [1], "ab", 2.5])
def test_tuples_of_one_value(given: object) -> None:
    for name in ("_single", "_pair", "_triple", "_quadruple"):
        assert getattr(nn.modules.utils, name)(given) == getattr(torch.nn.modules.utils, name)(given)


def test_a_module_on_all_devices_there_are() -> None:
    made = []
    for t in (tinydl, torch):
        layer = t.nn.Linear(2, 1)
        net = t.nn.DataParallel(layer, device_ids=[0])
        x = t.ones(3, 2)
        assert (net(x) == layer(x)).all() and net.module is layer
        made.append((list(net.state_dict()), repr(net), net.device_ids))
    assert made[0] == made[1]


# Every module that has a promised name, and PyTorch's places of ours.
ROOMS = {name.rpartition(".")[0] for name in names.NAMES if "Tensor" not in name and "Module." not in name}
ROOMS -= {"", "backends.cuda.matmul", "version"}
ROOMS |= {"nn.parallel", "nn.modules", "nn.modules.batchnorm", "distributions.normal", "distributions.constraints"}


@pytest.mark.parametrize("path", sorted(ROOMS | {"utils", "autograd.functional", "backends.mps"}))
def test_what_is_not_there_says_where_to_look(path: str) -> None:
    room = importlib.import_module(f"tinydl.{path}")
    words = rf"module 'tinydl.{path}' has no attribute 'Foo'.*docs/unsupported.md"
    with pytest.raises(AttributeError, match=words):
        room.Foo  # noqa: B018
    assert not hasattr(room, "Foo") and getattr(room, "Foo", None) is None
    with pytest.raises(ImportError, match=words):
        exec(f"from tinydl.{path} import Foo")  # the path is the case's
    with pytest.raises(ImportError, match="module 'tinydl' has no attribute 'Foo'.*docs/unsupported.md"):
        from tinydl import Foo  # noqa: F401


def test_a_name_that_is_imported_in_case_is_refused_when_it_is_used() -> None:
    from tinydl.nn.parallel import DistributedDataParallel

    assert not isinstance(nn.Linear(1, 1), DistributedDataParallel)
    with pytest.raises(NotImplementedError, match="one; what to do instead is listed in docs/unsupported.md"):
        DistributedDataParallel(nn.Linear(1, 1))
