"Every notebook runs from top to bottom in a process of its own, and is fit to be read."
import filecmp
from importlib import import_module

import pytest
from nbdev.config import get_config
from nbdev.test import nb_test_cells

from bidf_mkd.lab import CHECK, VIEW
from kernel import run_notebook
from project import EXPORTING, NOTEBOOKS, ROOT, code_cells, copy_project, directives, environment, nbdev, read, relative

SECONDS, KILOBYTES = 600, 700   # a guard against hanging: two cores need a third of it at most

each_notebook = pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: relative(p).as_posix())

@each_notebook
def test_runs(path):
    cells = [c.source for c in nb_test_cells(path, get_config(ROOT).tst_flags.split()) if c.cell_type == 'code']
    assert not (wrong := run_notebook(path.parent, cells, environment(IN_TEST='1'), SECONDS)), wrong

@pytest.fixture(scope='module')
def cleaned(tmp_path_factory):
    copy = copy_project(tmp_path_factory.mktemp('cleaned'))
    nbdev('clean', copy)
    return copy

@each_notebook
def test_is_clean(path, cleaned):
    assert filecmp.cmp(path, cleaned/path.relative_to(ROOT), shallow=False), 'run nbdev-clean'

@each_notebook
def test_is_fit_to_read(path):
    nb = read(path)
    code, prose = code_cells(nb), [c for c in nb.cells if c.cell_type == 'markdown']
    outputs = [o for c in code for o in c.outputs]
    assert prose and prose[0].source.startswith('# '), 'its first markdown cell has no title'
    assert len(code) <= 5 or outputs, 'it is saved without outputs'
    assert not [o.ename for o in outputs if o.output_type == 'error'], 'an error is saved in it'
    figures = [o.data for o in outputs if 'application/vnd.plotly.v1+json' in o.get('data', {})]
    assert all('image/png' in f for f in figures), 'a figure has no still picture for readers on the web'
    assert path.stat().st_size < KILOBYTES*1000, f'it has more than {KILOBYTES} kB: store pictures as one sheet'
    assert 'widgets' not in nb.metadata, 'the state of its widgets is saved in it'
    assert not any(VIEW in o.get('data', {}) for o in outputs), 'it shows a widget, which is gone with its kernel: refresh it as CONTRIBUTING tells'
    assert nb.metadata.get('kernelspec', {}).get('name') == 'python3', 'its kernel is not python3'

@pytest.mark.parametrize('path', [o for o in NOTEBOOKS if o.parent.name == 'tutorials'], ids=lambda p: p.stem)
def test_no_line_of_a_lesson_is_cut_off(path):
    lines = [o for c in code_cells(read(path)) if CHECK not in c.metadata.get('tags', ()) for o in c.source.splitlines()]
    assert not [o for o in lines if len(o) > 100], 'a window of JupyterLab shows 100 characters'

@each_notebook
def test_exports_one_module_or_none(path):
    nb = read(path)
    modules = directives(nb, 'default_exp')
    assert len(modules) <= 1, 'it exports more than one module'
    assert modules or not directives(nb, 'export'), 'it has cells to export but no default_exp'

@pytest.mark.parametrize('module', EXPORTING)
def test_module_has_symbols(module):
    assert import_module(f'bidf_mkd.{module}').__all__, f'{relative(EXPORTING[module])} exports no symbol'
