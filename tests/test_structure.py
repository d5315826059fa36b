"The house stays in order: one place for each thing, parts that can be read at a sitting, one word for each thing."
import ast, re

import pytest

from project import EXPORTING, LIB, NOTEBOOKS, ROOT, code_cells, read, relative, source

LINES = dict(module=450, cell=120, function=50)
CLASS = 150

def test_a_number_is_used_once():
    for folder in {p.parent for p in EXPORTING.values()}:
        numbers = [re.match(r'\d+', p.name)[0] for p in folder.glob('[0-9]*_*.ipynb')]
        assert len(numbers) == len(set(map(int, numbers))), f'{relative(folder)}: {sorted(numbers)}'

def test_a_notebook_and_its_module_have_one_name():
    for module, path in EXPORTING.items():
        place = relative(path.parent).parts
        assert [*place, path.stem.split('_', 1)[1]] == module.split('.'), f'{relative(path)} exports {module}'

def test_every_module_has_a_notebook():
    assert {source(m) for m in EXPORTING} | {LIB/'__init__.py', LIB/'_modidx.py'} == set(LIB.rglob('*.py'))

@pytest.mark.parametrize('module', EXPORTING)
def test_no_part_is_too_long(module):
    text = source(module).read_text(encoding='utf-8')
    assert len(text.splitlines()) <= LINES['module']
    for o in ast.walk(ast.parse(text)):
        limit = CLASS if isinstance(o, ast.ClassDef) else LINES['function'] if isinstance(o, (ast.FunctionDef, ast.AsyncFunctionDef)) else None
        assert not limit or o.end_lineno - o.lineno < limit, f'{o.name} has {o.end_lineno - o.lineno + 1} lines'
    exported = [c.source for c in code_cells(read(EXPORTING[module])) if re.match(r'#\|\s*export', c.source)]
    assert exported and max(len(o.splitlines()) for o in exported) <= LINES['cell']

# words that this project had for what the field, or the rest of the project, calls otherwise

OLD = {
    r'drawn images|images? drawn|draw(s|ing)? images': 'procedural images, to generate',
    r'\bscreened\b|\bscreening\b': 'selected',
    r'[Rr]etouch\w*': 'to refine, pixels',
    r'\bPaint\b|\bimagined\(|\bretouched\(': 'Parametrisation, latents, pixels',
    r'\bwaves\d*\b|independent_(blocks|waves|dct)': 'dct, a family with _plain',
    r'\benough=|\.enough\b|[\'"`]enough[\'"`]': 'stop_loss',
    r'\bNonsense\b|\bGarbled\b|\bRefused\b|\bFailed\b(?= *\()': 'InvalidAnswer, InvalidResponse, Rejected, RequestFailed',
    r'\bslack\b|\bin_turn\b|\bREVEALS\b|\bACCEPTS\b': 'tolerance, compose, OUTPUT_POLICIES, INPUT_POLICIES',
    r'\bsuspicion\b|\btrust=\d': 'check_consistency, trust_images',
    r'\bsuited\b|\bSUITED\b': 'recommended',
    r'\bless it\b|less the paper': 'paired difference (ours - method)',
    r'[Ww]orth of a gradient|each price brings': 'gradient quality, images recovered per setting',
    r'[Ll]ook back|look_back|second wish|nats apart': 'step shown, boundary term, KL divergence (nats)',
    r'\bdice\b|\bliars?\b|\bwild\b': 'random, systematically wrong',
    r'\b(is|are) told in\b': 'documented in',
    r'\b[Ee]xamine|\b[Ee]xamination|\bcheck_same\b|\bmodels_at\b|\bthinned\b|\bshipped\(|\bcode_of\b': 'verb and object',
    r'[Tt]utorials? \d|\b([Tt]he|[Tt]his|[Aa]) tutorials?\b|\b[Tt]utorials? (is|are|has|have|shows?)\b': 'lesson',
    r'\b(images?|queries|directions|steps|visits?|tasks|classes|cells?) an? (class|image|step|visit|task|run|API|direction|episode|second|meta-step)\b': 'per',
    r"'(draw|first|ask|joint|final)'": 'names of phases'}

def texts():
    "Everything that is read, by whom it is read: files, and the cells of notebooks with what they have printed"
    for pattern in ('*.md', '*.yml', '*.ini', '*.py', 'docs/**/*.md', 'docs/**/*.py', 'tests/*.py', 'benchmarks/**/*.py', 'benchmarks/results/*.json',
                    'nbs/**/*.yaml'):
        for p in ROOT.glob(pattern): yield p.relative_to(ROOT).as_posix(), p.read_text(encoding='utf-8')
    for p in NOTEBOOKS:
        for c in read(p).cells:
            said = [o.get('text', '') + str(o.get('data', {}).get('text/plain', '')) for o in c.get('outputs', ())]
            yield f'{relative(p)} {c.id}', '\n'.join([c.source, *said])

def test_no_old_word_is_left():
    found = [f'{where}: {m[0]!r}, better: {better}' for where, text in texts() if where not in ('tests/test_structure.py', 'CHANGELOG.md')
             for old, better in OLD.items() for m in re.finditer(old, text)]
    assert not found, '\n'.join(found)
