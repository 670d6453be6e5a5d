"""The public names that are promised: what a script written for PyTorch may use with ``import tinydl as torch``.

Each has a row in the differential table, or stands in ``ELSEWHERE`` with the test that compares it with PyTorch.
What PyTorch has and this list has not is in ``docs/unsupported.md``.
"""

from __future__ import annotations

CREATION = """
tensor as_tensor from_numpy zeros ones empty full arange linspace logspace eye zeros_like ones_like empty_like
full_like tril_indices triu_indices meshgrid cartesian_prod from_dlpack
""".split()

RANDOM = """
rand randn randint randperm bernoulli multinomial normal rand_like randn_like randint_like manual_seed Generator
default_generator get_rng_state set_rng_state Tensor.uniform_ Tensor.normal_ Tensor.bernoulli_ Tensor.random_
Tensor.exponential_ Tensor.log_normal_ Tensor.cauchy_ Tensor.geometric_ Tensor.multinomial
""".split()

ELEMENTWISE = """
add sub subtract mul multiply div divide true_divide floor_divide remainder fmod neg negative positive pow float_power
square sqrt rsqrt reciprocal abs absolute sign sgn signbit copysign floor ceil round trunc fix frac exp exp2 expm1 log
log2 log10 log1p logaddexp logaddexp2 xlogy sin cos tan asin arcsin acos arccos atan arctan atan2 arctan2 sinh cosh
tanh asinh arcsinh acosh arccosh atanh arctanh sinc hypot deg2rad rad2deg erf erfc erfinv lgamma digamma polygamma
sigmoid logit relu clamp clip clamp_min clamp_max maximum minimum fmax fmin where lerp addcmul addcdiv nan_to_num
heaviside eq ne lt le gt ge greater greater_equal less less_equal not_equal isclose allclose equal logical_and
logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift
bitwise_right_shift isnan isfinite isinf isposinf isneginf isreal is_floating_point is_nonzero is_tensor numel
special.expit special.xlogy special.erf special.erfc special.gammaln special.digamma special.log_softmax
special.softmax special.logsumexp special.i0
""".split()

REDUCING = """
sum nansum mean nanmean median nanmedian mode var std var_mean std_mean prod amax amin aminmax max min argmax argmin
any all logsumexp softmax log_softmax cumsum cumprod cummax cummin logcumsumexp norm dist count_nonzero quantile topk
kthvalue sort argsort msort unique unique_consecutive bincount histc searchsorted bucketize diff trapezoid
""".split()

SHAPING = """
reshape Tensor.view flatten unflatten ravel permute transpose swapaxes swapdims t Tensor.T Tensor.mT movedim moveaxis
Tensor.expand Tensor.expand_as broadcast_to broadcast_tensors broadcast_shapes Tensor.repeat repeat_interleave tile
cat concat concatenate stack hstack vstack dstack column_stack row_stack split tensor_split hsplit vsplit chunk unbind
flip fliplr flipud roll rot90 squeeze unsqueeze Tensor.unfold tril triu diagonal diag diag_embed diagflat trace narrow
select atleast_1d atleast_2d atleast_3d block_diag Tensor.view_as Tensor.reshape_as combinations nn.functional.pad
nn.functional.unfold nn.functional.fold nn.functional.pixel_shuffle nn.functional.pixel_unshuffle
nn.functional.one_hot
""".split()

INDEXING = """
Tensor.__getitem__ Tensor.__setitem__ gather scatter scatter_add scatter_reduce index_select index_add index_copy
index_fill index_put put take take_along_dim masked_fill masked_select masked_scatter nonzero argwhere
""".split()

LINEAR_ALGEBRA = """
matmul mm bmm mv dot inner outer ger vdot addmm addmv addbmm baddbmm addr einsum tensordot kron cross chain_matmul
matrix_power det slogdet logdet inverse cholesky cholesky_solve cdist linalg.norm linalg.vector_norm
linalg.matrix_norm linalg.det
linalg.slogdet linalg.inv linalg.solve linalg.solve_triangular linalg.cholesky linalg.matrix_power linalg.multi_dot
linalg.vecdot linalg.diagonal linalg.eigh linalg.svdvals linalg.qr linalg.pinv linalg.lstsq linalg.matrix_rank
linalg.cross cov corrcoef nn.functional.linear nn.functional.bilinear nn.functional.cosine_similarity
nn.functional.pairwise_distance nn.functional.normalize
""".split()

SPECTRAL = """
fft.rfft fft.irfft fft.rfftfreq fft.fftfreq fft.fftshift fft.ifftshift stft istft hann_window hamming_window
blackman_window bartlett_window kaiser_window
""".split()

TENSOR = """
Tensor.detach Tensor.clone Tensor.to Tensor.item Tensor.numpy Tensor.tolist Tensor.size Tensor.dim Tensor.ndimension
Tensor.numel Tensor.nelement Tensor.stride Tensor.contiguous Tensor.is_contiguous Tensor.type Tensor.type_as
Tensor.float Tensor.double Tensor.half Tensor.long Tensor.int Tensor.short Tensor.char Tensor.byte Tensor.bool
Tensor.cpu Tensor.requires_grad_ Tensor.backward Tensor.register_hook Tensor.retain_grad Tensor.retains_grad
Tensor.is_leaf Tensor.grad_fn Tensor.grad Tensor.data Tensor.device Tensor.shape Tensor.ndim Tensor.dtype
Tensor.itemsize Tensor.nbytes Tensor.element_size Tensor.data_ptr Tensor.storage_offset Tensor.new_tensor
Tensor.new_zeros Tensor.new_ones Tensor.new_empty Tensor.new_full Tensor.fill_ Tensor.zero_ Tensor.copy_
Tensor.detach_ Tensor.apply_ Tensor.masked_fill_ Tensor.index_put_ Tensor.index_add_ Tensor.index_copy_
Tensor.index_fill_ Tensor.scatter_ Tensor.scatter_add_ Tensor.squeeze_ Tensor.unsqueeze_ Tensor.t_ Tensor.transpose_
Tensor.fill_diagonal_ Tensor.sum_to_size Tensor.put_ Tensor.resize_ Tensor.resize_as_
float32 float64 float16 int8 int16 int32 int64 uint8 bool double float half
long int short device Size dtype is_grad_enabled set_grad_enabled no_grad enable_grad inference_mode get_default_dtype
set_default_dtype promote_types result_type can_cast finfo iinfo save load set_printoptions pi inf nan e
""".split()

AUTOGRAD = """
autograd.backward autograd.grad autograd.Function autograd.gradcheck autograd.gradgradcheck autograd.detect_anomaly
autograd.set_detect_anomaly autograd.no_grad autograd.enable_grad autograd.set_grad_enabled autograd.functional.jvp
autograd.functional.vjp autograd.functional.hvp autograd.functional.vhp autograd.functional.jacobian
autograd.functional.hessian utils.checkpoint.checkpoint utils.checkpoint.checkpoint_sequential
""".split()

CONTAINERS = """
nn.Module nn.Parameter nn.Sequential nn.ModuleList nn.ModuleDict nn.ParameterList nn.ParameterDict nn.Identity
nn.Flatten nn.Unflatten nn.DataParallel func.functional_call nn.utils.stateless.functional_call
""".split()

BASIC_LAYERS = """
nn.Linear nn.Bilinear nn.Embedding nn.EmbeddingBag nn.CosineSimilarity nn.PairwiseDistance nn.Dropout nn.Dropout1d
nn.Dropout2d nn.Dropout3d nn.AlphaDropout nn.FeatureAlphaDropout nn.functional.embedding nn.functional.embedding_bag
""".split()

RECURRENT = """
nn.RNN nn.LSTM nn.GRU nn.RNNCell nn.LSTMCell nn.GRUCell
""".split()

SEQUENCES = """
nn.utils.rnn.pack_padded_sequence nn.utils.rnn.pad_packed_sequence nn.utils.rnn.pad_sequence
nn.utils.rnn.pack_sequence nn.utils.rnn.unpad_sequence nn.utils.rnn.unpack_sequence nn.utils.rnn.PackedSequence
""".split()

ATTENTION = """
nn.functional.scaled_dot_product_attention nn.functional.multi_head_attention_forward nn.MultiheadAttention
nn.TransformerEncoderLayer nn.TransformerDecoderLayer nn.TransformerEncoder nn.TransformerDecoder nn.Transformer
""".split()

CONVOLUTION = """
nn.Conv1d nn.Conv2d nn.Conv3d nn.ConvTranspose1d nn.ConvTranspose2d nn.ConvTranspose3d nn.functional.conv1d
nn.functional.conv2d nn.functional.conv3d nn.functional.conv_transpose1d nn.functional.conv_transpose2d
nn.functional.conv_transpose3d
""".split()

POOLING = """
nn.MaxPool1d nn.MaxPool2d nn.MaxPool3d nn.AvgPool1d nn.AvgPool2d nn.AvgPool3d nn.AdaptiveAvgPool1d
nn.AdaptiveAvgPool2d nn.AdaptiveAvgPool3d nn.AdaptiveMaxPool1d nn.AdaptiveMaxPool2d nn.LPPool1d nn.LPPool2d
nn.MaxUnpool2d nn.functional.max_pool1d nn.functional.max_pool2d nn.functional.max_pool3d nn.functional.avg_pool1d
nn.functional.avg_pool2d nn.functional.avg_pool3d nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d
nn.functional.adaptive_avg_pool3d nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool2d
nn.functional.lp_pool1d nn.functional.lp_pool2d nn.functional.max_unpool2d
""".split()

RESAMPLING = """
nn.Upsample nn.UpsamplingNearest2d nn.UpsamplingBilinear2d nn.functional.interpolate nn.functional.grid_sample
nn.functional.affine_grid
""".split()

PADDING = """
nn.PixelShuffle nn.PixelUnshuffle nn.Unfold nn.Fold nn.ConstantPad1d nn.ConstantPad2d nn.ConstantPad3d nn.ZeroPad1d
nn.ZeroPad2d nn.ReflectionPad1d nn.ReflectionPad2d nn.ReplicationPad1d nn.ReplicationPad2d nn.CircularPad1d
nn.CircularPad2d
""".split()

NORMALIZATION = """
nn.BatchNorm1d nn.BatchNorm2d nn.BatchNorm3d nn.LayerNorm nn.GroupNorm nn.InstanceNorm1d nn.InstanceNorm2d
nn.InstanceNorm3d nn.RMSNorm nn.LocalResponseNorm nn.SyncBatchNorm nn.functional.batch_norm nn.functional.layer_norm
nn.functional.group_norm nn.functional.instance_norm nn.functional.rms_norm nn.functional.local_response_norm
""".split()

ACTIVATIONS = """
nn.ReLU nn.ReLU6 nn.LeakyReLU nn.PReLU nn.RReLU nn.ELU nn.SELU nn.CELU nn.GELU nn.SiLU nn.Mish nn.Softplus nn.Softsign
nn.Sigmoid nn.LogSigmoid nn.Tanh nn.Tanhshrink nn.Hardtanh nn.Hardsigmoid nn.Hardswish nn.Hardshrink nn.Softshrink
nn.functional.relu_ nn.functional.elu_ nn.functional.leaky_relu_ nn.functional.hardtanh_ nn.functional.selu_
nn.functional.celu_ nn.functional.rrelu_ nn.functional.threshold_ nn.Threshold nn.GLU nn.Softmin nn.Softmax
nn.Softmax2d nn.LogSoftmax nn.functional.relu nn.functional.relu6 nn.functional.leaky_relu nn.functional.prelu
nn.functional.elu nn.functional.selu nn.functional.celu nn.functional.gelu nn.functional.silu nn.functional.mish
nn.functional.softplus nn.functional.softsign nn.functional.sigmoid nn.functional.logsigmoid nn.functional.tanh
nn.functional.tanhshrink nn.functional.hardtanh nn.functional.hardsigmoid nn.functional.hardswish
nn.functional.hardshrink nn.functional.softshrink nn.functional.threshold nn.functional.glu nn.functional.softmin
nn.functional.softmax nn.functional.log_softmax nn.functional.gumbel_softmax nn.functional.rrelu nn.functional.dropout
nn.functional.dropout1d nn.functional.dropout2d nn.functional.dropout3d nn.functional.alpha_dropout
nn.functional.feature_alpha_dropout
""".split()

LOSSES = """
nn.MSELoss nn.L1Loss nn.SmoothL1Loss nn.HuberLoss nn.CrossEntropyLoss nn.NLLLoss nn.BCELoss nn.BCEWithLogitsLoss
nn.KLDivLoss nn.HingeEmbeddingLoss nn.MarginRankingLoss nn.MultiMarginLoss nn.SoftMarginLoss nn.CosineEmbeddingLoss
nn.TripletMarginLoss nn.PoissonNLLLoss nn.GaussianNLLLoss nn.CTCLoss nn.functional.mse_loss nn.functional.l1_loss
nn.functional.smooth_l1_loss nn.functional.huber_loss nn.functional.cross_entropy nn.functional.nll_loss
nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits nn.functional.kl_div
nn.functional.hinge_embedding_loss nn.functional.margin_ranking_loss nn.functional.multi_margin_loss
nn.functional.soft_margin_loss nn.functional.cosine_embedding_loss nn.functional.triplet_margin_loss
nn.functional.poisson_nll_loss nn.functional.gaussian_nll_loss nn.functional.ctc_loss
""".split()

PARAMETERS = """
nn.utils.clip_grad_norm_ nn.utils.clip_grad_value_ nn.utils.get_total_norm nn.utils.clip_grads_with_norm_
nn.utils.parameters_to_vector nn.utils.vector_to_parameters
""".split()

REPARAMETRIZATION = """
nn.utils.weight_norm nn.utils.remove_weight_norm nn.utils.spectral_norm nn.utils.remove_spectral_norm
nn.utils.parametrizations.weight_norm nn.utils.parametrizations.spectral_norm
""".split()

INIT = """
nn.init.calculate_gain nn.init.uniform_ nn.init.normal_ nn.init.trunc_normal_ nn.init.constant_ nn.init.ones_
nn.init.zeros_ nn.init.eye_ nn.init.dirac_ nn.init.xavier_uniform_ nn.init.xavier_normal_ nn.init.kaiming_uniform_
nn.init.kaiming_normal_ nn.init.orthogonal_ nn.init.sparse_
""".split()

OPTIM = """
optim.Optimizer optim.SGD optim.ASGD optim.Adagrad optim.Adadelta optim.RMSprop optim.Rprop optim.Adam optim.AdamW
optim.NAdam optim.Adamax optim.RAdam optim.LBFGS optim.lr_scheduler.LambdaLR optim.lr_scheduler.MultiplicativeLR
optim.lr_scheduler.StepLR optim.lr_scheduler.MultiStepLR optim.lr_scheduler.ConstantLR optim.lr_scheduler.LinearLR
optim.lr_scheduler.ExponentialLR optim.lr_scheduler.PolynomialLR optim.lr_scheduler.CosineAnnealingLR
optim.lr_scheduler.CosineAnnealingWarmRestarts optim.lr_scheduler.CyclicLR optim.lr_scheduler.OneCycleLR
optim.lr_scheduler.ReduceLROnPlateau optim.lr_scheduler.SequentialLR optim.lr_scheduler.ChainedScheduler
optim.swa_utils.AveragedModel optim.swa_utils.SWALR optim.swa_utils.update_bn
""".split()

BOILERPLATE = """
backends.cudnn.benchmark backends.cudnn.deterministic backends.cudnn.enabled backends.cudnn.is_available
backends.mps.is_available backends.cuda.is_built backends.cuda.matmul accelerator.is_available
accelerator.current_accelerator accelerator.device_count set_default_device use_deterministic_algorithms
set_num_threads get_num_threads set_float32_matmul_precision initial_seed seed random.fork_rng Tensor.is_cuda
Tensor.get_device Tensor.cuda nn.Module.cuda version.cuda __version__ autocast amp.autocast amp.GradScaler
cuda.amp.autocast cuda.amp.GradScaler cuda.memory_allocated cuda.max_memory_allocated cuda.is_bf16_supported
set_default_tensor_type bfloat16 channels_last channels_last_3d compile distributed.is_initialized
""".split()

SCRIPTS = """
conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d dropout embedding layer_norm cosine_similarity
clone nn.functional.channel_shuffle nn.ChannelShuffle nn.functional.upsample pdist nn.functional.pdist renorm trapz
isin asarray as_strided poisson linalg.svd svd linalg.eigvalsh linalg.cond pinverse linalg.LinAlgError Tensor.is_sparse
Tensor.layout strided Tensor._version
""".split()

OLDER_INIT = """
nn.init.uniform nn.init.normal nn.init.constant nn.init.eye nn.init.dirac nn.init.xavier_uniform nn.init.xavier_normal
nn.init.kaiming_uniform nn.init.kaiming_normal nn.init.orthogonal nn.init.sparse nn.init._calculate_fan_in_and_fan_out
""".split()

DISTRIBUTIONS = """
distributions.Distribution distributions.Normal distributions.LogNormal distributions.Bernoulli
distributions.Categorical distributions.OneHotCategorical distributions.Uniform distributions.Laplace
distributions.Exponential distributions.Gumbel distributions.Logistic distributions.Independent
distributions.MixtureSameFamily distributions.Gamma distributions.Beta distributions.Dirichlet distributions.StudentT
distributions.Poisson distributions.MultivariateNormal distributions.kl_divergence distributions.register_kl
distributions.TransformedDistribution distributions.Transform distributions.ComposeTransform
distributions.IndependentTransform distributions.AffineTransform distributions.ExpTransform distributions.PowerTransform
distributions.SigmoidTransform distributions.SoftplusTransform distributions.TanhTransform distributions.AbsTransform
distributions.SoftmaxTransform distributions.ReshapeTransform distributions.identity_transform
""".split()

DATA = """
utils.data.Dataset utils.data.IterableDataset utils.data.TensorDataset utils.data.ConcatDataset utils.data.Subset
utils.data.random_split utils.data.DataLoader utils.data.Sampler utils.data.SequentialSampler utils.data.RandomSampler
utils.data.WeightedRandomSampler utils.data.SubsetRandomSampler utils.data.BatchSampler utils.data.default_collate
utils.data.get_worker_info utils.data.ChainDataset utils.data.StackDataset
""".split()

# Groups join this list when all their names are there and compared.
NAMES: list[str] = [
    *ELEMENTWISE,
    *REDUCING,
    *SHAPING,
    *INDEXING,
    *LINEAR_ALGEBRA,
    *SPECTRAL,
    *RECURRENT,
    *SEQUENCES,
    *ATTENTION,
    *CREATION,
    *RANDOM,
    *AUTOGRAD,
    *DATA,
    *PARAMETERS,
    *INIT,
    *OPTIM,
    *DISTRIBUTIONS,
    *CONTAINERS,
    *BASIC_LAYERS,
    *ACTIVATIONS,
    *LOSSES,
    *CONVOLUTION,
    *POOLING,
    *RESAMPLING,
    *PADDING,
    *NORMALIZATION,
    *REPARAMETRIZATION,
    *TENSOR,
    *BOILERPLATE,
    *SCRIPTS,
    *OLDER_INIT,
]

# Names that are no row of the table, and the file under tests/ that compares them with PyTorch (or with the definition,
# where PyTorch's random numbers cannot be ours).
ELSEWHERE: dict[str, str] = {
    "Tensor.data": "core/test_tensor.py",
    **dict.fromkeys(BOILERPLATE, "core/test_boilerplate_torch.py"),
    "channels_last": "core/test_tensor.py",
    "channels_last_3d": "core/test_tensor.py",
    "save": "core/test_serialization.py",
    "load": "core/test_serialization.py",
    "set_printoptions": "core/test_printing_torch.py",
    **{name: "optim/test_trajectories_torch.py" for name in OPTIM if name.count(".") == 1},
    **{name: "optim/test_schedules_torch.py" for name in OPTIM if name.count(".") == 2},
    "optim.Optimizer": "optim/test_optimizer_torch.py",
    "distributions.Distribution": "distributions/test_distributions_torch.py",
    "distributions.register_kl": "distributions/test_distributions_torch.py",
    **dict.fromkeys(
        [
            "nn.init.uniform_",
            "nn.init.normal_",
            "nn.init.trunc_normal_",
            "nn.init.xavier_uniform_",
            "nn.init.xavier_normal_",
            "nn.init.kaiming_uniform_",
            "nn.init.kaiming_normal_",
            "nn.init.orthogonal_",
            "nn.init.sparse_",
        ],
        "nn/test_init.py",
    ),
    **dict.fromkeys(OLDER_INIT, "nn/test_older_init_torch.py"),
    "nn.Module": "nn/test_module_torch.py",
    "nn.DataParallel": "core/test_places_torch.py",
    "func.functional_call": "nn/test_module_torch.py",
    "nn.utils.stateless.functional_call": "nn/test_module_torch.py",
    "nn.Parameter": "nn/test_module_torch.py",
    "nn.Sequential": "nn/test_module_torch.py",
    "nn.ModuleList": "nn/test_module_torch.py",
    "nn.ModuleDict": "nn/test_module_torch.py",
    "nn.ParameterList": "nn/test_module_torch.py",
    "nn.ParameterDict": "nn/test_module_torch.py",
    "nn.functional.dropout": "nn/test_random_torch.py",
    "nn.functional.dropout1d": "nn/test_random_torch.py",
    "nn.functional.dropout2d": "nn/test_random_torch.py",
    "nn.functional.dropout3d": "nn/test_random_torch.py",
    "nn.functional.alpha_dropout": "nn/test_random_torch.py",
    "nn.functional.feature_alpha_dropout": "nn/test_random_torch.py",
    "nn.functional.gumbel_softmax": "nn/test_random_torch.py",
    "nn.utils.weight_norm": "nn/test_reparametrization_torch.py",
    "nn.utils.remove_weight_norm": "nn/test_reparametrization_torch.py",
    "nn.utils.spectral_norm": "nn/test_reparametrization_torch.py",
    "nn.utils.remove_spectral_norm": "nn/test_reparametrization_torch.py",
    "nn.utils.parametrizations.weight_norm": "nn/test_reparametrization_torch.py",
    "nn.utils.parametrizations.spectral_norm": "nn/test_reparametrization_torch.py",
}
