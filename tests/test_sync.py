"The modules are what the notebooks export, depend only on earlier ones, and are imported without side effects."
import ast, json, math, re, shutil

import nbformat
import pytest

from project import EXPORTING, LIB, ROOT, copy_project, nbdev, python, read, source

DEVELOPMENT, NOTEBOOK = {'nbdev', 'fastcore'}, {'papermill', 'plotly', 'ipywidgets', 'IPython'}

each_module = pytest.mark.parametrize('module', EXPORTING)

def files(lib): return {p.relative_to(lib).as_posix(): p.read_bytes() for p in lib.rglob('*.py')}

def test_modules_are_what_the_notebooks_export(tmp_path):
    lib = copy_project(tmp_path)/LIB.name
    for p in lib.rglob('*.py'):
        if p != lib/'__init__.py': p.unlink()
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
    "The place of a module in the order, (16, 2) for one of a package; the package itself comes after its modules"
    digits = re.match(r'\d+', EXPORTING[module].name)
    assert digits, f'{EXPORTING[module].name} exports {module}, so its name has to start with a number'
    if '.' in module: return number(module.split('.')[0])[0], int(digits[0])
    return int(digits[0]), math.inf

def imports(text, package=''):
    "The modules of this library that a text of `package` imports, wherever it does: of a module and its package the module alone"
    for o in ast.walk(ast.parse(text)):
        if isinstance(o, ast.Import): names = [a.name for a in o.names]
        elif isinstance(o, ast.ImportFrom):
            here = [LIB.name, *filter(None, [package])]
            base = '.'.join(filter(None, [*here[:len(here) + 1 - o.level]*bool(o.level), o.module]))
            names = [f'{base}.{a.name}' for a in o.names]
        else: continue
        for n in names:
            found = [m for m in EXPORTING if f'{n}.'.startswith(f'{LIB.name}.{m}.')]
            if found: yield max(found, key=len)

@pytest.mark.parametrize('text, package, module', [
    ('import bidf_mkd.data as d', '', 'data'), ('from bidf_mkd.data import Task', '', 'data'), ('from bidf_mkd import data', '', 'data'),
    ('from .data import Task', '', 'data'), ('from . import data', '', 'data'), ('def f():\n    from .data import Task', '', 'data'),
    ('from ..data import Task', 'apps', 'data'), ('from .recovery import x', 'apps', 'apps.recovery'), ('from bidf_mkd.apps import x', '', 'apps')])
def test_sees_imports(text, package, module):
    assert list(imports(text, package)) == [module]

@each_module
def test_imports_lower_numbers_only(module):
    path = source(module)
    package = path.parent.relative_to(LIB).as_posix().strip('.')
    later = {m for m in imports(path.read_text(encoding='utf-8'), package) if number(m) >= number(module)}
    assert not later, f'{module} has number {number(module)}'

PROBE = '''
import importlib, json, pickle, random, sys
import numpy, rich.style, torch # rich draws a random number, which is not ours

def state():
    "What a module could change for everybody else"
    return dict(torch_rng=torch.get_rng_state().tolist(), numpy_rng=pickle.dumps(numpy.random.get_state()), random=random.getstate(),
        dtype=torch.get_default_dtype(), device=torch.get_default_device(), threads=torch.get_num_threads(), grad=torch.is_grad_enabled(),
        precision=torch.get_float32_matmul_precision(), deterministic=torch.are_deterministic_algorithms_enabled())

network = []
calls = 'socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto'
sys.addaudithook(lambda event, args: event in calls and network.append(f'{event}{args}'))
for module in sys.argv[1:]:
    before, asked = state(), len(network)
    importlib.import_module(module)
    after = state()
    changed, loaded = [k for k in before if before[k] != after[k]], sorted({m.split('.')[0] for m in sys.modules})
    print(json.dumps(dict(changed=changed, network=network[asked:], loaded=loaded)))
'''

def probe(*modules, **env):
    "Import modules one after the other in a fresh process; for each the global state it `changed`, its calls of the `network`, the packages `loaded` by then"
    return dict(zip(modules, map(json.loads, python('-c', PROBE, *modules, **env).splitlines()[-len(modules):])))

def test_probe_sees_side_effects(tmp_path):
    (tmp_path/'rude.py').write_text('''
import fastcore, numpy, random, socket, torch
torch.manual_seed(1); numpy.random.seed(1); random.seed(1)
torch.set_default_dtype(torch.float64); torch.set_default_device('meta'); torch.set_num_threads(7); torch.set_grad_enabled(False)
torch.set_float32_matmul_precision('medium'); torch.use_deterministic_algorithms(True)
socket.getaddrinfo('localhost', 80)
''')
    seen = probe('rude', PYTHONPATH=str(tmp_path))['rude']
    assert set(seen['changed']) == {'torch_rng', 'numpy_rng', 'random', 'dtype', 'device', 'threads', 'grad', 'precision', 'deterministic'}
    assert seen['network'] and 'fastcore' in seen['loaded']

@pytest.fixture(scope='module')
def imported(): return probe(*(f'{LIB.name}.{m}' for m in sorted(EXPORTING, key=number)))   # a module comes after all that it imports

@each_module
def test_import_has_no_side_effects(module, imported):
    seen = imported[f'{LIB.name}.{module}']
    assert not seen['changed'], 'importing it changes global state'
    assert not seen['network'], 'importing it uses the network'
    assert not DEVELOPMENT.intersection(seen['loaded']), 'importing it loads what it has to do without'

def test_training_does_without_notebooks():
    "Neither figures and widgets, nor what takes seconds to import"
    assert not (DEVELOPMENT | NOTEBOOK | {'torchvision', 'pandas'}).intersection(probe(f'{LIB.name}.training')[f'{LIB.name}.training']['loaded'])
