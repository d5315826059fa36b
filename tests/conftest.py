import os

import pytest

if 'PYTEST_XDIST_WORKER' in os.environ: os.environ.setdefault('OMP_NUM_THREADS', '1')   # workers, and what they start, share the cores

def pytest_runtest_setup(item):
    if item.get_closest_marker('cuda'):
        import torch
        if not torch.cuda.is_available(): pytest.skip('needs a CUDA device')
