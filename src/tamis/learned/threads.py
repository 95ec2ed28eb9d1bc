"""One BLAS thread for matrix products of a dozen rows.

Such a product takes 0.1 ms. A second thread gains nothing there, and where another process holds
the second core, OpenBLAS waits for it at the end of each of them: 8 s instead of 0.1 s an image
was measured. Large batches of images are better spread over processes.
"""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[object]:
    """A context in which numpy's matrix products take one thread; takes 15 µs itself."""
    limit: AbstractContextManager[object] = _blas().limit(limits=1)
    return limit


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
