"""What CuPy 14.2.0 has of NumPy's names, for the stand-in device: read from CuPy itself, which needs no GPU for that.

A line is a function with its parameters (``=`` behind those that may be left out), a ufunc with the number of its
operands, or a type or a value of NumPy's that CuPy passes on. ``tests/device/test_standin.py`` compares it with CuPy
where that is installed.
"""

NAMES = """
abs ufunc 1
absolute ufunc 1
acos ufunc 1
acosh ufunc 1
add ufunc 2
all(a, axis=, out=, keepdims=)
allclose(a, b, rtol=, atol=, equal_nan=)
amax(a, axis=, out=, keepdims=)
amin(a, axis=, out=, keepdims=)
angle(z, deg=)
any(a, axis=, out=, keepdims=)
append(arr, values, axis=)
apply_along_axis(func1d, axis, arr, *args, **kwargs)
apply_over_axes(func, a, axes)
arange(start, stop=, step=, dtype=)
arccos ufunc 1
arccosh ufunc 1
arcsin ufunc 1
arcsinh ufunc 1
arctan ufunc 1
arctan2 ufunc 2
arctanh ufunc 1
argmax(a, axis=, dtype=, out=, keepdims=)
argmin(a, axis=, dtype=, out=, keepdims=)
argpartition(a, kth, axis=)
argsort(a, axis=, kind=)
argwhere(a)
around(a, decimals=, out=)
array(obj, dtype=, copy=, order=, subok=, ndmin=, *, blocking=)
array2string(a, *args, **kwargs)
array_equal(a1, a2, equal_nan=)
array_equiv(a1, a2)
array_repr(arr, max_line_width=, precision=, suppress_small=)
array_split(ary, indices_or_sections, axis=)
array_str(arr, max_line_width=, precision=, suppress_small=)
asanyarray(a, dtype=, order=, *, copy=, blocking=)
asarray(a, dtype=, order=, *, copy=, blocking=)
asarray_chkfinite(a, dtype=, order=)
ascontiguousarray(a, dtype=)
asfortranarray(a, dtype=)
asin ufunc 1
asinh ufunc 1
asnumpy(a, stream=, order=, out=, *, blocking=)
astype(x, dtype, /, *, copy=)
atan ufunc 1
atan2 ufunc 2
atanh ufunc 1
atleast_1d(*arys)
atleast_2d(*arys)
atleast_3d(*arys)
average(a, axis=, weights=, returned=, *, keepdims=)
bartlett(M)
base_repr(number, base=, padding=)
binary_repr(num, width=)
bincount(x, weights=, minlength=)
bitwise_and ufunc 2
bitwise_count ufunc 1
bitwise_invert ufunc 1
bitwise_left_shift ufunc 2
bitwise_not ufunc 1
bitwise_or ufunc 2
bitwise_right_shift ufunc 2
bitwise_xor ufunc 2
blackman(M)
bool type
bool_ type
broadcast type
broadcast_arrays(*args)
broadcast_shapes(*args)
broadcast_to(array, shape)
byte type
c_ value
can_cast(from_, to, casting=)
cbrt ufunc 1
cdouble type
ceil ufunc 1
choose(a, choices, out=, mode=)
clip(a, a_min, a_max, out=)
column_stack(tup)
common_type(*arrays)
complex128 type
complex64 type
complexfloating type
compress(condition, a, axis=, out=)
concat(tup, axis=, out=, *, dtype=, casting=)
concatenate(tup, axis=, out=, *, dtype=, casting=)
conj ufunc 1
conjugate ufunc 1
convolve(a, v, mode=)
copy(a, order=)
copysign ufunc 2
copyto(dst, src, casting=, where=)
corrcoef(a, y=, rowvar=, bias=, ddof=, *, dtype=)
correlate(a, v, mode=)
cos ufunc 1
cosh ufunc 1
count_nonzero(a, axis=)
cov(a, y=, rowvar=, bias=, ddof=, fweights=, aweights=, *, dtype=)
cross(a, b, axisa=, axisb=, axisc=, axis=)
csingle type
cumprod(a, axis=, dtype=, out=)
cumsum(a, axis=, dtype=, out=)
cumulative_prod(x, /, *, axis=, dtype=, out=, include_initial=)
cumulative_sum(x, /, *, axis=, dtype=, out=, include_initial=)
deg2rad ufunc 1
degrees ufunc 1
delete(arr, indices, axis=)
diag(v, k=)
diag_indices(n, ndim=)
diag_indices_from(arr)
diagflat(v, k=)
diagonal(a, offset=, axis1=, axis2=)
diff(a, n=, axis=, prepend=, append=)
digitize(x, bins, right=)
divide ufunc 2
divmod ufunc 2
dot(a, b, out=)
double type
dsplit(ary, indices_or_sections)
dstack(tup)
dtype type
e value
ediff1d(arr, to_end=, to_begin=)
einsum(*operands, **kwargs)
empty(shape, dtype=, order=)
empty_like(prototype, dtype=, order=, subok=, shape=)
equal ufunc 2
euler_gamma value
exp ufunc 1
exp2 ufunc 1
expand_dims(a, axis)
expm1 ufunc 1
extract(condition, a)
eye(N, M=, k=, dtype=, order=)
fabs ufunc 1
fill_diagonal(a, val, wrap=)
finfo type
fix ufunc 1
flatiter type
flatnonzero(a)
flip(a, axis=)
fliplr(a)
flipud(a)
float16 type
float32 type
float64 type
float_power ufunc 2
floating type
floor ufunc 1
floor_divide ufunc 2
fmax ufunc 2
fmin ufunc 2
fmod ufunc 2
format_float_positional(x, *args, **kwargs)
format_float_scientific(x, *args, **kwargs)
frexp ufunc 1
from_dlpack(array, *, device=, copy=)
frombuffer(*args, **kwargs)
fromfile(*args, **kwargs)
fromfunction(*args, **kwargs)
fromiter(*args, **kwargs)
fromstring(*args, **kwargs)
full(shape, fill_value, dtype=, order=)
full_like(a, fill_value, dtype=, order=, subok=, shape=)
gcd ufunc 2
generic type
genfromtxt(*args, **kwargs)
get_printoptions()
gradient(f, *varargs, axis=, edge_order=)
greater ufunc 2
greater_equal ufunc 2
half type
hamming(M)
hanning(M)
heaviside ufunc 2
histogram(x, bins=, range=, density=, weights=)
histogram2d(x, y, bins=, range=, weights=, density=)
histogramdd(sample, bins=, range=, weights=, density=)
hsplit(ary, indices_or_sections)
hstack(tup, *, dtype=, casting=)
hypot ufunc 2
i0 ufunc 1
identity(n, dtype=)
iinfo type
imag(val)
index_exp value
indices(dimensions, dtype=)
inexact type
inf value
inner(a, b)
int16 type
int32 type
int64 type
int8 type
int_ type
intc type
integer type
interp(x, xp, fp, left=, right=, period=)
intersect1d(arr1, arr2, assume_unique=, return_indices=)
intp type
invert ufunc 1
isclose(a, b, rtol=, atol=, equal_nan=)
iscomplex(x)
iscomplexobj(x)
isdtype(dtype, kind)
isfinite ufunc 1
isfortran(a)
isin(element, test_elements, assume_unique=, invert=)
isinf ufunc 1
isnan ufunc 1
isneginf(x, out=)
isposinf(x, out=)
isreal(x)
isrealobj(x)
isscalar(element)
issubdtype(arg1, arg2)
iterable(y)
ix_(*args)
kaiser(M, beta)
kron(a, b)
lcm ufunc 2
ldexp ufunc 2
left_shift ufunc 2
less ufunc 2
less_equal ufunc 2
lexsort(keys)
linspace(start, stop, num=, endpoint=, retstep=, dtype=, axis=)
load(file, mmap_mode=, allow_pickle=)
loadtxt(*args, **kwargs)
log ufunc 1
log10 ufunc 1
log1p ufunc 1
log2 ufunc 1
logaddexp ufunc 2
logaddexp2 ufunc 2
logical_and ufunc 2
logical_not ufunc 1
logical_or ufunc 2
logical_xor ufunc 2
logspace(start, stop, num=, endpoint=, base=, dtype=, axis=)
long type
longlong type
mask_indices(n, mask_func, k=)
matmul(x1, x2, out=, **kwargs)
matrix_transpose(x, /)
max(a, axis=, out=, keepdims=)
maximum ufunc 2
may_share_memory(a, b, max_work=)
mean(a, axis=, dtype=, out=, keepdims=)
median(a, axis=, out=, overwrite_input=, keepdims=)
meshgrid(*xi, **kwargs)
mgrid value
min(a, axis=, out=, keepdims=)
min_scalar_type(a)
minimum ufunc 2
mintypecode(typechars, typeset=, default=)
mod ufunc 2
modf ufunc 1
moveaxis(a, source, destination)
multiply ufunc 2
nan value
nan_to_num(x, copy=, nan=, posinf=, neginf=)
nanargmax(a, axis=, dtype=, out=, keepdims=)
nanargmin(a, axis=, dtype=, out=, keepdims=)
nancumprod(a, axis=, dtype=, out=)
nancumsum(a, axis=, dtype=, out=)
nanmax(a, axis=, out=, keepdims=)
nanmean(a, axis=, dtype=, out=, keepdims=)
nanmedian(a, axis=, out=, overwrite_input=, keepdims=)
nanmin(a, axis=, out=, keepdims=)
nanprod(a, axis=, dtype=, out=, keepdims=)
nanstd(a, axis=, dtype=, out=, ddof=, keepdims=)
nansum(a, axis=, dtype=, out=, keepdims=)
nanvar(a, axis=, dtype=, out=, ddof=, keepdims=)
ndarray type
ndim(a)
ndindex type
negative ufunc 1
newaxis value
nextafter ufunc 2
nonzero(a)
not_equal ufunc 2
number type
ogrid value
ones(shape, dtype=, order=)
ones_like(a, dtype=, order=, subok=, shape=)
outer(a, b, out=)
packbits(a, axis=, bitorder=)
pad(array, pad_width, mode=, **kwargs)
partition(a, kth, axis=)
percentile(a, q, axis=, out=, overwrite_input=, method=, keepdims=, *, interpolation=)
permute_dims(a, axes=)
pi value
piecewise(x, condlist, funclist)
place(arr, mask, vals)
poly(seq_of_zeros)
poly1d type
polyadd(a1, a2)
polyfit(x, y, deg, rcond=, full=, w=, cov=)
polymul(a1, a2)
polysub(a1, a2)
polyval(p, x)
positive ufunc 1
pow ufunc 2
power ufunc 2
printoptions(*args, **kwargs)
prod(a, axis=, dtype=, out=, keepdims=)
promote_types(type1, type2, /)
ptp(a, axis=, out=, keepdims=)
put(a, ind, v, mode=)
put_along_axis(arr, indices, values, axis)
putmask(a, mask, values)
quantile(a, q, axis=, out=, overwrite_input=, method=, keepdims=, *, interpolation=)
r_ value
rad2deg ufunc 1
radians ufunc 1
ravel(a, order=)
ravel_multi_index(multi_index, dims, mode=, order=)
real(val)
real_if_close(a, tol=)
reciprocal ufunc 1
remainder ufunc 2
repeat(a, repeats, axis=)
require(a, dtype=, requirements=)
reshape(a, newshape, order=, *, copy=)
resize(a, new_shape)
result_type(*arrays_and_dtypes)
right_shift ufunc 2
rint ufunc 1
roll(a, shift, axis=)
rollaxis(a, axis, start=)
roots(p)
rot90(a, k=, axes=)
round(a, decimals=, out=)
row_stack(tup, *, dtype=, casting=)
s_ value
save(file, arr, allow_pickle=)
savetxt(fname, X, *args, **kwargs)
savez(file, *args, **kwds)
savez_compressed(file, *args, **kwds)
searchsorted(a, v, side=, sorter=)
select(condlist, choicelist, default=)
setdiff1d(ar1, ar2, assume_unique=)
setxor1d(ar1, ar2, assume_unique=)
shape(a)
shares_memory(a, b, max_work=)
short type
show_config(*, _full=)
sign ufunc 1
signbit ufunc 1
signedinteger type
sin ufunc 1
sinc ufunc 1
single type
sinh ufunc 1
size(a, axis=)
sort(a, axis=, kind=)
sort_complex(a)
split(ary, indices_or_sections, axis=)
sqrt ufunc 1
square ufunc 1
squeeze(a, axis=)
stack(tup, axis=, out=, *, dtype=, casting=)
std(a, axis=, dtype=, out=, ddof=, keepdims=)
subtract ufunc 2
sum(a, axis=, dtype=, out=, keepdims=)
swapaxes(a, axis1, axis2)
take(a, indices, axis=, out=)
take_along_axis(a, indices, axis)
tan ufunc 1
tanh ufunc 1
tensordot(a, b, axes=)
tile(A, reps)
trace(a, offset=, axis1=, axis2=, dtype=, out=)
transpose(a, axes=)
trapezoid(y, x=, dx=, axis=)
tri(N, M=, k=, dtype=)
tril(m, k=)
tril_indices(n, k=, m=)
tril_indices_from(arr, k=)
trim_zeros(filt, trim=)
triu(m, k=)
triu_indices(n, k=, m=)
triu_indices_from(arr, k=)
true_divide ufunc 2
trunc ufunc 1
typename(char)
ubyte type
ufunc type
uint type
uint16 type
uint32 type
uint64 type
uint8 type
uintc type
uintp type
ulong type
ulonglong type
union1d(arr1, arr2)
unique(ar, return_index=, return_inverse=, return_counts=, axis=, *, equal_nan=)
unique_all(x)
unique_counts(x)
unique_inverse(x)
unique_values(x)
unpackbits(a, axis=, bitorder=)
unravel_index(indices, dims, order=)
unsignedinteger type
unwrap(p, discont=, axis=, *, period=)
ushort type
vander(x, N=, increasing=)
var(a, axis=, dtype=, out=, ddof=, keepdims=)
vdot(a, b)
vectorize type
vsplit(ary, indices_or_sections)
vstack(tup, *, dtype=, casting=)
where(condition, x=, y=)
zeros(shape, dtype=, order=)
zeros_like(a, dtype=, order=, subok=, shape=)
linalg.LinAlgError type
linalg.cholesky(a)
linalg.cond(x, p=)
linalg.cross(x1, x2, /, *, axis=)
linalg.det(a)
linalg.eig(a)
linalg.eigh(a, UPLO=)
linalg.eigvals(a)
linalg.eigvalsh(a, UPLO=)
linalg.inv(a)
linalg.lstsq(a, b, rcond=)
linalg.matmul(x1, x2, out=, **kwargs)
linalg.matrix_power(M, n)
linalg.matrix_rank(M, tol=)
linalg.matrix_transpose(a)
linalg.norm(x, ord=, axis=, keepdims=)
linalg.pinv(a, rcond=)
linalg.qr(a, mode=)
linalg.slogdet(a)
linalg.solve(a, b)
linalg.svd(a, full_matrices=, compute_uv=)
linalg.tensorinv(a, ind=)
linalg.tensorsolve(a, b, axes=)
fft.fft(a, n=, axis=, norm=)
fft.fft2(a, s=, axes=, norm=)
fft.fftfreq(n, d=)
fft.fftn(a, s=, axes=, norm=)
fft.fftshift(x, axes=)
fft.hfft(a, n=, axis=, norm=)
fft.ifft(a, n=, axis=, norm=)
fft.ifft2(a, s=, axes=, norm=)
fft.ifftn(a, s=, axes=, norm=)
fft.ifftshift(x, axes=)
fft.ihfft(a, n=, axis=, norm=)
fft.irfft(a, n=, axis=, norm=)
fft.irfft2(a, s=, axes=, norm=)
fft.irfftn(a, s=, axes=, norm=)
fft.rfft(a, n=, axis=, norm=)
fft.rfft2(a, s=, axes=, norm=)
fft.rfftfreq(n, d=)
fft.rfftn(a, s=, axes=, norm=)
lib.stride_tricks.as_strided(x, shape=, strides=)
lib.stride_tricks.sliding_window_view(x, window_shape, axis=, *, subok=, writeable=)
ndarray.T value
ndarray.all(axis=, out=, keepdims=)
ndarray.any(axis=, out=, keepdims=)
ndarray.argmax(axis=, out=, dtype=, keepdims=)
ndarray.argmin(axis=, out=, dtype=, keepdims=)
ndarray.argpartition(kth, axis=)
ndarray.argsort(axis=, kind=)
ndarray.astype(dtype, order=, casting=, subok=, copy=)
ndarray.base value
ndarray.byteswap(inplace=)
ndarray.choose(choices, out=, mode=)
ndarray.clip(min=, max=, out=)
ndarray.compress(condition, axis=, out=)
ndarray.conj()
ndarray.conjugate()
ndarray.copy(order=)
ndarray.cstruct value
ndarray.cumprod(axis=, dtype=, out=)
ndarray.cumsum(axis=, dtype=, out=)
ndarray.data value
ndarray.device value
ndarray.diagonal(offset=, axis1=, axis2=)
ndarray.dot(b, out=)
ndarray.dtype value
ndarray.dump(file)
ndarray.dumps()
ndarray.fill(value)
ndarray.flags value
ndarray.flat value
ndarray.flatten(order=)
ndarray.get(stream=, order=, out=, blocking=)
ndarray.imag value
ndarray.item()
ndarray.itemsize value
ndarray.mT value
ndarray.max(axis=, out=, keepdims=)
ndarray.mdspan(*, index_type, allow_unsafe=)
ndarray.mean(axis=, dtype=, out=, keepdims=)
ndarray.min(axis=, out=, keepdims=)
ndarray.nbytes value
ndarray.ndim value
ndarray.nonzero()
ndarray.partition(kth, axis=)
ndarray.prod(axis=, dtype=, out=, keepdims=)
ndarray.ptp(axis=, out=, keepdims=)
ndarray.put(indices, values, mode=)
ndarray.ravel(order=)
ndarray.real value
ndarray.reduced_view(dtype=)
ndarray.repeat(repeats, axis=)
ndarray.reshape(*shape, order=, copy=)
ndarray.round(decimals=, out=)
ndarray.scatter_add(slices, value)
ndarray.scatter_max(slices, value)
ndarray.scatter_min(slices, value)
ndarray.searchsorted(v, side=, sorter=)
ndarray.set(arr, stream=)
ndarray.shape value
ndarray.size value
ndarray.sort(axis=, kind=)
ndarray.squeeze(axis=)
ndarray.std(axis=, dtype=, out=, ddof=, keepdims=)
ndarray.strides value
ndarray.sum(axis=, dtype=, out=, keepdims=)
ndarray.swapaxes(axis1, axis2)
ndarray.take(indices, axis=, out=)
ndarray.toDlpack()
ndarray.tobytes(order=)
ndarray.tofile(fid, sep=, format=)
ndarray.tolist()
ndarray.trace(offset=, axis1=, axis2=, dtype=, out=)
ndarray.transpose(*axes)
ndarray.var(axis=, dtype=, out=, ddof=, keepdims=)
ndarray.view(dtype=, type=)
special.erf ufunc 1
special.erfc ufunc 1
special.erfinv ufunc 1
special.erfcinv ufunc 1
special.gammaln ufunc 1
special.digamma ufunc 1
special.polygamma(n, x)
special.zeta ufunc 2
special.i0 ufunc 1
special.i0e ufunc 1
special.i1 ufunc 1
special.i1e ufunc 1
special.expit ufunc 1
special.logit ufunc 1
special.ndtr ufunc 1
special.ndtri ufunc 1
special.log_softmax(x, axis=)
special.softmax(x, axis=)
special.logsumexp(a, axis=, b=, keepdims=, return_sign=)
special.xlogy ufunc 2
special.psi ufunc 1
special.gamma ufunc 1
special.loggamma ufunc 1
special.betaln ufunc 2
special.entr ufunc 1
special.rel_entr ufunc 2"""
