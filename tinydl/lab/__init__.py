"""The kernel lab: a kernel's card in, its proof and its figures out.

    verify.py    is it right? results, inputs left alone, no reliance on fresh memory, gradients
    cuda.py      the same of a CUDA kernel, without a GPU: compiled, executed on the virtual one, mutated
    table.py     the table of all kernels in the documentation

How fast it is, ``tinydl bench`` measures (:mod:`tinydl.benchmarks.kernels`).
"""
