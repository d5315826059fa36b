"The modules are what the notebooks export, depend only on earlier ones, and are imported without side effects."
import ast, json, re, shutil

import nbformat
import pytest

from project import EXPORTING, LIB, ROOT, copy_project, nbdev, python, read

DEVELOPMENT, NOTEBOOK = {'nbdev', 'fastcore'}, {'papermill', 'plotly', 'ipywidgets', 'IPython'}

each_module = pytest.mark.parametrize('module', EXPORTING)

def files(lib): return {p.relative_to(lib).as_posix(): p.read_bytes() for p in lib.rglob('*.py')}

def test_modules_are_what_the_notebooks_export(tmp_path):
    lib = copy_project(tmp_path)/LIB.name
    for p in lib.rglob('*.py'):
        if p.name != '__init__.py': p.unlink()
    nbdev('export', tmp_path)
    committed, exported = files(LIB), files(lib)
    differ = sorted(o for o in committed.keys() | exported.keys() if committed.get(o) != exported.get(o))
    assert not differ, 'run nbdev-export, and remove modules that no notebook exports'

def test_clean_keeps_tags_and_ids(tmp_path):
    (tmp_path/'nbs').mkdir()
    shutil.copy(ROOT/'pyproject.toml', tmp_path)
    cell = nbformat.v4.new_code_cell('seed = 0', metadata={'tags': ['parameters'], 'scrolled': True})
    path = tmp_path/'nbs'/'template.ipynb'
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    nbdev('clean', tmp_path)
    [cleaned] = read(path).cells
    assert cleaned.metadata == {'tags': ['parameters']} and cleaned.id == cell.id

def number(module):
    digits = re.match(r'\d+', EXPORTING[module].name)
    assert digits, f'{EXPORTING[module].name} exports {module}, so its name has to start with a number'
    return int(digits[0])

def imports(source):
    "The modules of this package that `source` imports, wherever it does"
    for o in ast.walk(ast.parse(source)):
        if isinstance(o, ast.Import): names = [a.name for a in o.names]
        elif isinstance(o, ast.ImportFrom):
            base = '.'.join(filter(None, [LIB.name*bool(o.level), o.module]))
            names = [f'{base}.{a.name}' for a in o.names]
        else: continue
        yield from (m for m in EXPORTING for n in names if f'{n}.'.startswith(f'{LIB.name}.{m}.'))

@pytest.mark.parametrize('source', ['import bidf_mkd.data as d', 'from bidf_mkd.data import Task', 'from bidf_mkd import data',
                                    'from .data import Task', 'from . import data', 'def f():\n    from .data import Task'])
def test_sees_imports(source, monkeypatch):
    monkeypatch.setitem(EXPORTING, 'data', None)
    assert list(imports(source)) == ['data']

@each_module
def test_imports_lower_numbers_only(module):
    later = {m for m in imports((LIB/f'{module}.py').read_text(encoding='utf-8')) if number(m) >= number(module)}
    assert not later, f'{module} has number {number(module)}'

PROBE = '''
import importlib, json, pickle, random, sys
import numpy, rich.style, torch # rich draws a random number, which is not ours

def state():
    "What a module could change for everybody else"
    return dict(torch_rng=torch.get_rng_state().tolist(), numpy_rng=pickle.dumps(numpy.random.get_state()), random=random.getstate(),
        dtype=torch.get_default_dtype(), device=torch.get_default_device(), threads=torch.get_num_threads(), grad=torch.is_grad_enabled(),
        precision=torch.get_float32_matmul_precision(), deterministic=torch.are_deterministic_algorithms_enabled())

network, before = [], state()
calls = 'socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto'
sys.addaudithook(lambda event, args: event in calls and network.append(f'{event}{args}'))
importlib.import_module(sys.argv[1])
after = state()
changed, loaded = [k for k in before if before[k] != after[k]], sorted({m.split('.')[0] for m in sys.modules})
print(json.dumps(dict(changed=changed, network=network, loaded=loaded)))
'''

def probe(module, **env):
    "Import `module` in a fresh process: the global state it `changed`, its calls of the `network`, the packages `loaded` after it"
    return json.loads(python('-c', PROBE, module, **env).splitlines()[-1])

def test_probe_sees_side_effects(tmp_path):
    (tmp_path/'rude.py').write_text('''
import fastcore, numpy, random, socket, torch
torch.manual_seed(1); numpy.random.seed(1); random.seed(1)
torch.set_default_dtype(torch.float64); torch.set_default_device('meta'); torch.set_num_threads(7); torch.set_grad_enabled(False)
torch.set_float32_matmul_precision('medium'); torch.use_deterministic_algorithms(True)
socket.getaddrinfo('localhost', 80)
''')
    seen = probe('rude', PYTHONPATH=str(tmp_path))
    assert set(seen['changed']) == {'torch_rng', 'numpy_rng', 'random', 'dtype', 'device', 'threads', 'grad', 'precision', 'deterministic'}
    assert seen['network'] and 'fastcore' in seen['loaded']

@each_module
def test_import_has_no_side_effects(module):
    seen = probe(f'{LIB.name}.{module}')
    assert not seen['changed'], 'importing it changes global state'
    assert not seen['network'], 'importing it uses the network'
    unwanted = DEVELOPMENT | NOTEBOOK if module == 'training' else DEVELOPMENT
    assert not unwanted.intersection(seen['loaded']), 'importing it loads what it has to do without'
