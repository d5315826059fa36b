"Collections of real APIs from a file, as the command sees them."
import json, sys, time

import onnx, pytest, torch
from hypothesis import given, settings, strategies as st
from jsonschema import Draft202012Validator
from onnx import TensorProto, helper
from transformers import ConvNextConfig, ConvNextForImageClassification, ConvNextImageProcessor

from bidf_mkd.sources import KINDS, RULES, apis_schema, load_apis, mistakes
from project import ROOT, command_here

CLIENTS = """
import numpy as np
asked = []
def kinds(images):
    asked.append(len(images))
    x = np.asarray(images).reshape(len(images), -1)
    return np.stack([x.mean(1), x.std(1), x[:, 0]], 1)
"""
ENTRY = dict(name='a', function='clients:kinds', classes=['x', 'y', 'z'], shape=[3, 12, 20], answers='logits')

def write(folder, *entries):
    "An apis.yaml, and the module that it names"
    (folder/'clients.py').write_text(CLIENTS)
    (folder/'broken.py').write_text('1/0')
    path = folder/'apis.yaml'
    path.write_text('apis:\n' + ''.join(f'  - {e}\n' for e in entries), encoding='utf-8')     # a dict is a line of yaml
    return path

@pytest.fixture
def clients(tmp_path):
    "A folder whose module was not imported before"
    sys.modules.pop('clients', None)
    yield tmp_path
    sys.modules.pop('clients', None)

@pytest.mark.parametrize('budget', [0, 64, 65, 1000])
def test_a_check_costs_what_it_says(clients, budget):
    "All of a test, or nothing"
    code, said, err = command_here('check', write(clients, ENTRY | dict(budget=budget, price=.5)))
    import clients as own
    paid = budget >= 65
    assert not err and sum(own.asked) == 65*paid and f'{65*paid} of {budget:,}' in said and f'{65*paid*.5:g}' in said and code == (not paid)

def test_a_dry_run_asks_nothing(clients):
    code, said, _ = command_here('check', write(clients, ENTRY, ENTRY | dict(name='b')), '--dry-run')
    import clients as own
    assert code == 0 and not own.asked and '2 APIs, 0 queries' in said

WRONG = {
    'an unknown key': (dict(budgets=3), "did you mean 'budget'"), 'a text for a number': (dict(budget='many'), 'budget: expected a number of images'),
    'a number for a name': (dict(name=3), 'name: expected a name'), 'one class': (dict(classes=['x']), 'at least two'),
    'a class twice': (dict(classes=['x', 'x']), 'different'), 'a flat shape': (dict(shape=[12, 20]), 'channels, height, width'),
    'a size of none': (dict(shape=[3, 0, 20]), 'channels, height, width'), 'another layout': (dict(layout='hwc'), 'nchw or nhwc'),
    'a range upside down': (dict(range=[255, 0]), '[lowest, highest]'), 'two means': (dict(mean=[1, 2]), 'one number for each of 3 channels'),
    'no deviation': (dict(std=0), 'positive'), 'scores': (dict(answers='scores'), 'probabilities or logits'),
    'an unknown policy': (dict(reveals='all'), 'label_only'), 'two sources': (dict(zoo='here'), 'function and zoo'),
    'a module that is not there': (dict(function='nowhere:f'), 'cannot be imported'),
    'a function that is not there': (dict(function='clients:f'), 'cannot be imported'),
    'a module that fails': (dict(function='broken:f'), 'cannot be imported: division by zero'),
    'no function': (dict(function='clients:asked'), 'to be a function'), 'a rate of none': (dict(rate=0), 'images per second'),
    'a path for a function': (dict(function='clients.py'), 'module:function'), 'a true for a budget': (dict(budget=True), 'a number of images')}

@pytest.mark.parametrize('what', WRONG)
def test_a_mistake_is_named_with_its_place(clients, what):
    change, words = WRONG[what]
    path = write(clients, ENTRY | dict(name='good'), ENTRY | change)
    code, said, err = command_here('check', path)
    assert code == 2 and not said and len(err.splitlines()) == 1 and words in err and f'{path}, entry 2' in err, err

def test_a_rate_is_kept(clients):
    [api] = load_apis(write(clients, ENTRY | dict(rate=20)))
    begun = time.monotonic()
    for _ in range(3): api(torch.rand(4, 3, 12, 20))
    assert time.monotonic() - begun >= .4      # the third is sent when the eight before it took their time

def test_names_differ(clients):
    with pytest.raises(ValueError, match="two entries are called 'a'"): load_apis(write(clients, ENTRY, ENTRY))

def test_every_entry_is_looked_at(clients):
    "What is found only when sources are opened is told of all entries at once"
    path = write(clients, ENTRY | dict(function='clients:f'), dict(zoo='nowhere'), ENTRY | dict(name='good'))
    with pytest.raises(ValueError) as e: load_apis(path)
    assert [f'{path}, entry {i}' in line for i, line in enumerate(str(e.value).splitlines(), 1)] == [True, True]

# the schema

SCHEMA = Draft202012Validator(apis_schema())
BEYOND = 'expected [lowest, highest]', 'one number for each'     # what a schema cannot say

def agree(entry):
    "Whether the schema and `mistakes` say the same of an entry"
    found = list(mistakes(entry))
    return SCHEMA.is_valid(dict(apis=[entry])) == (not found) or all(any(b in m for b in BEYOND) for m in found)

def test_the_schema_in_the_docs_is_that_of_the_rules():
    assert json.loads((ROOT/'docs'/'apis.schema.json').read_text(encoding='utf-8')) == apis_schema()
    assert 'apis.schema.json' in (ROOT/'docs'/'running.md').read_text(encoding='utf-8')
    Draft202012Validator.check_schema(apis_schema())

@pytest.mark.parametrize('what', WRONG)
def test_the_schema_refuses_what_is_wrong(what):
    entry = ENTRY | WRONG[what][0]
    opened = 'imported' in WRONG[what][1] or 'to be a function' in WRONG[what][1]      # what only the import of a module tells
    assert agree(entry) and (opened or list(mistakes(entry)))

RIGHT = dict(name='a', function='m:f', onnx='a.onnx', output='p', pipeline='p', url='http://x', model='m', zoo='z', classes=['x', 'y'], shape=[3, 8, 8],
             layout='nhwc', range=[0, 255], mean=[1, 2, 3], std=2, answers='logits', reveals=['top_1', 'digits_1'], accepts='float', budget=9, price=.1,
             rate=2., timeout=3, batch=4, retries=0, version='1', max_wait=60)
LISTS = st.lists(st.one_of(st.integers(-1, 4), st.text(max_size=2), st.floats(-1, 2)), max_size=4)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 400), st.floats(-2, 300), st.text(max_size=3), LISTS, *map(st.just, RIGHT.values()))
CHANGES = st.dictionaries(st.sampled_from([*RULES, 'clases']), VALUES, max_size=3)

@given(st.sampled_from(list(KINDS)), st.sets(st.sampled_from(list(RULES)), max_size=6), CHANGES)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_schema_and_the_sentences_agree(kind, more, changed):
    needs = KINDS[kind][0]
    entry = {k: RIGHT[k] for k in (kind, *needs, *(k for k in more if k not in KINDS))} | changed
    numbers = [o for v in entry.values() for o in (v if isinstance(v, list) else [v]) if isinstance(o, float)]
    assert agree(entry) or any(map(float.is_integer, numbers)), entry       # 3.0 is an integer to a schema, and none to Python

def test_the_right_values_are_all_right():
    assert set(RIGHT) == set(RULES)
    for kind, (needs, may) in KINDS.items():
        entry = {k: RIGHT[k] for k in (kind, *needs, *may)}
        assert not list(mistakes(entry)) and SCHEMA.is_valid(dict(apis=[entry]))

@pytest.mark.parametrize('number', ['.inf', '.nan'])
def test_numbers_are_finite(clients, number):
    path = write(clients, ENTRY)
    path.write_text(path.read_text().replace("'z']", f"'z'], 'budget': {number}"))
    with pytest.raises(ValueError, match='expected a finite number'): load_apis(path)

# ONNX files

def onnx_file(path, inputs=1, outputs=1, way=3, size=(3, 12, 20), batch='n', kind=TensorProto.FLOAT):
    "An ONNX file that answers with the means of rows; the further outputs are sums"
    flat = helper.make_tensor('to', TensorProto.INT64, [3], [0, way, -1])
    x = [helper.make_tensor_value_info(f'x{i}', kind, [batch, *size]) for i in range(inputs)]
    nodes = [helper.make_node('Cast', ['x0'], ['float'], to=TensorProto.FLOAT), helper.make_node('Reshape', ['float', 'to'], ['rows'])]
    y = [helper.make_tensor_value_info(f'y{i}', TensorProto.FLOAT, [batch, way]) for i in range(outputs)]
    axis = helper.make_tensor('axis', TensorProto.INT64, [1], [2])
    nodes += [helper.make_node('ReduceSum' if i else 'ReduceMean', ['rows', 'axis'], [f'y{i}'], keepdims=0) for i in range(outputs)]
    graph = helper.make_graph(nodes, 'g', x, y, [flat, axis])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9), path)

ONNX = {k: v for k, v in ENTRY.items() if k != 'function'} | dict(onnx='a.onnx')

@pytest.mark.parametrize('file, entry', [
    ({}, {}), (dict(batch=1), {}), (dict(outputs=2), dict(output='y0')), (dict(size=(12, 20, 3)), dict(layout='nhwc')),
    (dict(kind=TensorProto.UINT8), dict(range=[0, 255])), (dict(size=('c', 'h', 'w')), {})])
def test_an_onnx_file_answers(tmp_path, file, entry):
    onnx_file(tmp_path/'a.onnx', **file)
    [api] = load_apis(write(tmp_path, ONNX | dict(budget=7) | entry))
    x = torch.rand(7, 3, 12, 20)
    pixels = (x*255).round() if 'range' in entry else x
    rows = (pixels.movedim(1, -1) if 'layout' in entry else pixels).reshape(7, 3, -1).mean(2)
    assert torch.allclose(api(x), rows.softmax(1), atol=1e-5) and api.remaining == 0

WRONG_ONNX = {
    'two inputs': (dict(inputs=2), {}, 'one input'), 'no ONNX': (None, {}, 'is no ONNX file'), 'no file': ({}, dict(onnx='b.onnx'), 'there is none'),
    'other classes': (dict(way=4), {}, "classes: expected as many as"), 'another size': (dict(size=(3, 20, 12)), {}, 'for images'),
    'another layout': ({}, dict(layout='nhwc'), 'layout: nchw would fit'), 'another batch': (dict(batch=8), {}, 'for images'),
    'two outputs': (dict(outputs=2), {}, 'several outputs'), 'no such output': ({}, dict(output='p'), 'expected one of y0'),
    'no images': (dict(size=(36,)), {}, 'for images'), 'whole numbers': (dict(kind=TensorProto.INT64), {}, 'tensor(int64)')}

@pytest.mark.parametrize('what', WRONG_ONNX)
def test_an_onnx_file_that_does_not_fit(tmp_path, what):
    "One sentence, and nothing is asked of the others"
    file, entry, words = WRONG_ONNX[what]
    onnx_file(tmp_path/'a.onnx', **file) if file is not None else (tmp_path/'a.onnx').write_bytes(b'cats'*99)
    path = write(tmp_path, ENTRY | dict(name='good'), ONNX | entry)
    code, said, err = command_here('check', path)
    assert code == 2 and not said and len(err.splitlines()) == 1 and words in err and f'{path}, entry 2 (a)' in err, err

# pipelines

@pytest.fixture
def plants(tmp_path):
    "A folder with a small image classifier"
    config = ConvNextConfig(hidden_sizes=[8, 8], depths=[1, 1], num_stages=2, image_size=16, id2label={0: 'rose', 1: 'oak', 2: 'fern'})
    torch.manual_seed(0)
    ConvNextForImageClassification(config).save_pretrained(tmp_path/'plants')
    ConvNextImageProcessor(size=dict(shortest_edge=16), crop_pct=1.).save_pretrained(tmp_path/'plants')
    return tmp_path

PLANTS = dict(name='plants', pipeline='plants', shape=[3, 16, 16])

def test_a_pipeline_answers(plants):
    own, named, grey = load_apis(write(plants, PLANTS, PLANTS | dict(name='b', classes=['x', 'y', 'z']), PLANTS | dict(name='c', shape=[1, 30, 40])))
    assert own.classes == ('rose', 'oak', 'fern') and named.classes == ('x', 'y', 'z')
    x = torch.rand(40, 3, 16, 16)
    p = own(x)
    assert torch.equal(p, named(x)) and torch.allclose(p[:1], own(x[:1]), atol=1e-5) and p.std(0).min() > 0
    assert own.n_queries == 41 and grey(torch.rand(2, 1, 30, 40)).shape == (2, 3)

def spoil(folder, what):
    if what == 'no weights': (folder/'plants'/'model.safetensors').unlink()
    if what == 'no processor': (folder/'plants'/'preprocessor_config.json').unlink()
    if what == 'no json': (folder/'plants'/'config.json').write_text('{')
    if what == 'weights of a pickle':
        (folder/'plants'/'model.safetensors').unlink()
        torch.save({}, folder/'plants'/'pytorch_model.bin')
    if what == 'labels that are alike':
        config = json.loads((folder/'plants'/'config.json').read_text())
        (folder/'plants'/'config.json').write_text(json.dumps(config | dict(id2label={str(i): 'rose' for i in range(3)})))

WRONG_PIPELINES = {
    'no folder': (dict(pipeline='none'), 'no config.json'), 'other classes': (dict(classes=['x', 'y']), 'expected 3'),
    'labels that are alike': ({}, 'labels that differ'), 'no weights': ({}, 'no image classifier'), 'no processor': ({}, 'no image classifier'),
    'no json': ({}, 'no image classifier'), 'weights of a pickle': ({}, 'no image classifier')}

@pytest.mark.parametrize('what', WRONG_PIPELINES)
def test_a_pipeline_that_does_not_fit(plants, what):
    entry, words = WRONG_PIPELINES[what]
    spoil(plants, what)
    path = write(plants, PLANTS | entry)
    code, said, err = command_here('check', path)
    assert code == 2 and not said and words in err and len([o for o in err.splitlines() if o.startswith('bidf-mkd')]) == 1 and f'{path}, entry 1' in err, err

@pytest.mark.parametrize('entry, module, extra', [(ONNX, 'onnxruntime', 'onnx'), (PLANTS, 'transformers', 'pipeline')])
def test_what_is_not_installed_is_named(tmp_path, monkeypatch, entry, module, extra):
    monkeypatch.setitem(sys.modules, module, None)      # what an import finds where it is not installed
    code, said, err = command_here('check', write(tmp_path, entry))
    assert code == 2 and not said and len(err.splitlines()) == 1 and f"pip install 'bidf_mkd[{extra}]'" in err, err
