"""Data loading: data sets, samplers, collation and the loader, with PyTorch's names.

What differs from PyTorch: the order of a shuffled epoch is a pure function of (seed, epoch), so a run can be resumed in
the middle of one; worker processes are always started by spawn.
"""

from tinydl.errors import say_absent
from tinydl.places import places
from tinydl.utils.data.collate import default_collate
from tinydl.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tinydl.utils.data.distributed import DistributedSampler
from tinydl.utils.data.loader import DataLoader
from tinydl.utils.data.sampler import (
    BatchSampler,
    BucketBatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinydl.utils.data.worker import get_worker_info

say_absent(__name__)

places(__name__, {"dataloader": "utils.data.loader utils.data.collate"})

__all__ = [
    "BatchSampler",
    "BucketBatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "get_worker_info",
    "random_split",
]
