import os, signal

import pytest

import browser

signal.signal(signal.SIGINT, signal.default_int_handler)    # what the tests start hears Ctrl-C, also where a shell started them in the background
if 'PYTEST_XDIST_WORKER' in os.environ: os.environ.setdefault('OMP_NUM_THREADS', '1')   # workers, and what they start, share the cores

def pytest_runtest_setup(item):
    if item.get_closest_marker('cuda'):
        import torch
        if not torch.cuda.is_available(): pytest.skip('needs a CUDA device')

# For all tests of a file. Not of a session: while playwright runs in a thread, nothing else there can use asyncio.

@pytest.fixture(scope='module')
def chromium():
    "Headless Chromium"
    with browser.chromium_running() as running: yield running

@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    "`bidf-mkd lab`: JupyterLab on a copy of the tutorials"
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
