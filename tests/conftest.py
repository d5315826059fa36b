import os, signal

import pytest
from filelock import FileLock

import browser
from project import SMALL, command, finish

signal.signal(signal.SIGINT, signal.default_int_handler)    # what the tests start hears Ctrl-C, also where a shell started them in the background
if 'PYTEST_XDIST_WORKER' in os.environ: os.environ.setdefault('OMP_NUM_THREADS', '1')   # workers, and what they start, share the cores

def pytest_xdist_auto_num_workers(config):
    "Two for each core: many tests wait for servers, kernels and browsers"
    return 2*os.cpu_count()

def pytest_runtest_setup(item):
    if item.get_closest_marker('cuda'):
        import torch
        if not torch.cuda.is_available(): pytest.skip('needs a CUDA device')

@pytest.fixture(scope='session')
def whole(tmp_path_factory, worker_id):
    "The folder of a small demo that nobody disturbed, made once for all workers"
    shared = tmp_path_factory.getbasetemp()
    out = (shared if worker_id == 'master' else shared.parent)/'whole'
    with FileLock(f'{out}.lock'):
        if not (out/'results.json').exists():
            code, said, err = finish(command(*SMALL, '--out', out))
            assert code == 0, err
            (out/'said.txt').write_text(said)
    return out

# For all tests of a file. Not of a session: while playwright runs in a thread, nothing else there can use asyncio.

@pytest.fixture(scope='module')
def chromium():
    "Headless Chromium"
    with browser.chromium_running() as running: yield running

@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    "`bidf-mkd lab`: JupyterLab on a copy of the lessons"
    with browser.serving(tmp_path_factory.mktemp('lab')) as server: yield server

@pytest.fixture(scope='module')
def app(tmp_path_factory):
    "`bidf-mkd lab --app`: Voila on the explorers"
    with browser.serving(tmp_path_factory.mktemp('app'), '--app') as server: yield server

@pytest.fixture
def page(chromium):
    "A page of the browser"
    page = browser.visit(chromium)
    yield page
    page.context.close()
