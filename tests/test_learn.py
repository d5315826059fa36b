"Learning from real collections of APIs, as a user does it: one command, any number of classes, images of any shape, no data."
import json, signal, time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image

from bidf_mkd.api import Api, BudgetExceeded
from bidf_mkd.data import draw
from bidf_mkd.fewshot import FewShotClassifier
from bidf_mkd.models import conv4, load_tensors, seeded
from bidf_mkd.recovery import RECIPES, recover, recovery_cost, select_procedural
from bidf_mkd.replay import Memory
from bidf_mkd.training import Config, meta_train, run_costs
from project import command, command_here, finish, python
from servers import misbehaving
from third_party import write_apis

CLIENTS = """
import numpy as np, os, torch

def counted(name, f):
    "`f`, with a file of how many images arrived in each call, from whichever process"
    def ask(x):
        with open(os.environ['RECEIVED'], 'a') as log: log.write(f'{name} {len(x)}\\n')
        return f(x)
    return ask

def strips(way):
    "Which of some vertical strips is the lightest?"
    def f(x):
        s = 20*np.stack([o.mean((1, 2, 3)) for o in np.array_split(np.asarray(x, np.float32), way, 3)], 1)
        e = np.exp(s - s.max(1, keepdims=True))
        return e/e.sum(1, keepdims=True)
    return counted(way, f)

two, three, seven = map(strips, (2, 3, 7))

@torch.no_grad()
def network(x):
    from torchvision import models
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = models.get_model('resnet18', num_classes=1000).eval()
    globals()['network'] = counted(1000, torch.no_grad()(lambda x: net(x).mul(30)))
    return globals()['network'](x)

def thousand(x): return network(x)
"""
ENTRIES = {
    2: dict(name='two', function='strips_clients:two', classes=['left', 'right'], shape=[1, 12, 40], price=.01),
    3: dict(name='three', function='strips_clients:three', classes=['a', 'b', 'c'], shape=[3, 24, 24], layout='nchw'),
    7: dict(name='seven', function='strips_clients:seven', classes=[f's{i}' for i in range(7)], shape=[3, 30, 21]),
    1000: dict(name='many', function='strips_clients:thousand', classes=[f'n{i}' for i in range(1000)], shape=[3, 64, 64], answers='logits')}
QUICK = [o for change in ('procedural 200', 'images 4', 'query 3', 'steps 3', 'distil_steps 1', 'distil_inner_steps 3', 'replay_steps 2', 'meta_batch 1',
                          'joint_steps 20', 'prototype_steps 6', 'final_steps 8') for o in ('-p', *change.split())]

def collection(folder, ways, **own):
    "An apis.yaml of APIs with so many classes, and the module that it names"
    folder.mkdir(parents=True, exist_ok=True)
    (folder/'strips_clients.py').write_text(CLIENTS)
    path = folder/'apis.yaml'
    path.write_text('apis:\n' + ''.join(f'  - {ENTRIES[w] | own}\n' for w in ways), encoding='utf-8')     # a dict is a line of yaml
    return path

def learning(folder, ways, out, *args):
    "`bidf-mkd learn` from such a collection, as a process"
    return command('learn', collection(folder, ways), '--out', out, '--size', 16, *QUICK, *args, RECEIVED=str(folder/'received'))

def received(folder):
    "How many images reached the APIs of a collection"
    return sum(int(line.split()[1]) for line in (folder/'received').read_text().splitlines())

def weights(out): return load_tensors(out/'model.safetensors', 'model')[0]

def results(out): return json.loads((out/'results.json').read_text(encoding='utf-8'))

def steps(out, kind, visit):
    "How many steps of a kind are in the log, from a visit on"
    log = out/'log.jsonl'
    rows = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith('\n')] if log.exists() else []
    return sum(r['kind'] == kind and r['visit'] >= visit for r in rows)

def kill_at(process, out, kind, n, how=signal.SIGKILL, visit=0):
    "Kill a process when it has done `n` steps of a kind, from a visit on"
    until = time.monotonic() + 400
    while steps(out, kind, visit) < n:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(.02)
    process.send_signal(how)
    return finish(process)

@pytest.fixture(scope='module')
def learned(tmp_path_factory):
    "A folder with a small collection, and `out`, what was learned from it undisturbed"
    folder = tmp_path_factory.mktemp('learned')
    code, said, err = finish(learning(folder, (2, 3, 7), folder/'out', '--budget', 3000))
    assert code == 0, err
    (folder/'said.txt').write_text(said)
    return folder

def classify_digits(out, folder):
    "Three characters that no API knew, named from a folder by what was learned; the share that is right"
    for c in 'XOH':
        (folder/'examples'/c).mkdir(parents=True)
        (folder/'new').mkdir(exist_ok=True)
        for i, x in enumerate(draw(c, 8)):
            Image.fromarray(x.permute(1, 2, 0).numpy()).save(folder/'examples'/c/f'{i}.png' if i < 5 else folder/'new'/f'{c}-{i}.png')
    code, said, err = command_here('classify', out, '--support', folder/'examples', '--json', folder/'new')
    assert code == 0, err
    rows = json.loads(said)
    assert len(rows) == 9 and all(set(r['probabilities']) == set('XOH') for r in rows)
    return np.mean([Path(r['file']).name[0] == r['class'] for r in rows])

def test_one_command_learns_and_the_model_names_new_classes(learned, tmp_path):
    out, said, r = learned/'out', (learned/'said.txt').read_text(), results(learned/'out')
    assert received(learned) == r['n_queries'] == sum(r['queries_by_api'].values()) <= 3000 and r['n_failed'] == 0
    assert r['money'] == pytest.approx(.01*r['queries_by_api']['two']) and f"{r['n_queries']:,} of 3,000 queries" in said
    assert said.index('queries at most') < said.index('Agreement') and f'bidf-mkd classify {out} --support FOLDER IMAGE' in said
    agreement = {(o['api'], o['method']): o['agreement'] for o in r['rows']}
    assert {a for a, _ in agreement} == {'two', 'three', 'seven'} and {m for _, m in agreement} == {'random init', 'bidf_mkd', 'chance'}
    assert np.mean([agreement[a, 'bidf_mkd'] - agreement[a, 'chance'] for a in ('two', 'three', 'seven')]) > 10
    assert sorted(p.name for p in (out/'recovered').iterdir()) == ['seven.png', 'three.png', 'two.png']
    page = (out/'report.html').read_text(encoding='utf-8')
    assert 'Recovered images' in page and 'Agreement' in page and 'src="http' not in page
    assert FewShotClassifier.load(out).model.shape == (3, 16, 16)
    assert classify_digits(out, tmp_path) > 1/3

def test_real_classifiers_of_others_are_learned_from(tmp_path):
    "Classifiers that ship in packages: two ways and ten, 16x16 to 48x192, grey and colour, ONNX and PyTorch; from a file to the names of new images"
    path = write_apis(tmp_path, ('text_direction', 'mnist', 'usps', 'svhn'), budget=1500, price=.001)
    code, said, err = finish(command('learn', path, '--out', tmp_path/'out', '--budget', 4000, *QUICK))
    assert code == 0, err
    r = results(tmp_path/'out')
    assert set(r['queries_by_api']) == {'text_direction', 'mnist', 'usps', 'svhn'} and r['n_failed'] == 0
    assert 0 < min(r['queries_by_api'].values()) and max(r['queries_by_api'].values()) <= 1500 and sum(r['queries_by_api'].values()) == r['n_queries'] <= 4000
    assert r['money'] == pytest.approx(.001*r['n_queries']) and 'Agreement with each API' in said
    assert classify_digits(tmp_path/'out', tmp_path) > 1/3

@pytest.mark.parametrize('kind, n', [('query', 3), ('held_out', 2)]) # `demo` is killed in the other phases
def test_killed(learned, tmp_path, kind, n):
    "SIGKILL anywhere; the same command then ends with the same weights and counts, and nothing is asked twice but what was under way"
    out = tmp_path/'out'
    kill_at(learning(tmp_path, (2, 3, 7), out, '--budget', 3000), out, kind, n)
    assert not (out/'results.json').exists()
    code, _, err = finish(learning(tmp_path, (2, 3, 7), out, '--budget', 3000))
    assert code == 0, err
    ours, theirs = weights(out), weights(learned/'out')
    assert all(torch.equal(v, theirs[k]) for k, v in ours.items())
    ours, theirs = results(out), results(learned/'out')
    assert all(ours[k] == theirs[k] for k in ('rows', 'n_queries', 'queries_by_api')) and received(tmp_path) <= ours['n_queries'] + ours['n_failed'] <= 3000

def test_interrupted(tmp_path):
    "Ctrl-C ends it with a word on how to go on"
    out = tmp_path/'out'
    code, _, err = kill_at(learning(tmp_path, (2, 3), out), out, 'support', 2, signal.SIGINT)
    assert code == 130 and 'go on with: bidf-mkd learn' in err and 'Traceback' not in err

MEASURED = """
import resource, sys
from bidf_mkd.cli import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20)
sys.exit(code)
"""

def test_a_thousand_classes_beside_two_and_seven(tmp_path):
    "The budget is kept to the image, memory is bounded, and a run that was killed ends with the same weights"
    ways, out, args = (2, 7, 1000), tmp_path/'whole', ('--budget', 1600, '-p', 'visits', 3)
    gib = python('-c', MEASURED, 'learn', str(collection(tmp_path, ways)), '--out', str(out), '--size', '16', *QUICK, *map(str, args),
                 RECEIVED=str(tmp_path/'received')).splitlines()[-1]
    r = results(out)
    assert float(gib) < 4 and received(tmp_path) == r['n_queries'] <= 1600 and min(r['queries_by_api'].values()) > 200
    memory = load_tensors(out/'bidf_mkd.checkpoint', 'run')[1]['memory']
    assert any(len(s) == 1000 for s in memory['sources'])
    cut = tmp_path/'cut'
    kill_at(learning(cut, ways, cut/'out', *args), cut/'out', 'support', 1, visit=2)     # of the API of many classes
    code, _, err = finish(learning(cut, ways, cut/'out', *args))
    assert code == 0, err
    ours, theirs = weights(cut/'out'), weights(out)
    assert all(torch.equal(v, theirs[k]) for k, v in ours.items()) and results(cut/'out')['queries_by_api'] == r['queries_by_api']

MISTAKES = {
    'one class': (dict(classes=['x']), [], 'at least two'), 'a budget too small for a visit': ({}, ['--budget', 300], 'does not pay for one visit'),
    'an API with too small a budget': (dict(budget=50), [], 'does not pay for one visit'), 'a negative seed': ({}, ['--seed', -1], 'expected 0 or more'),
    'too small a size': ({}, ['--size', 8], 'expected at least 16'), 'an unknown setting': ({}, ['-p', 'cats', '1'], 'no setting'),
    'a trained head': ({}, ['-p', 'head', 'trained'], 'equally many classes'), 'five channels': (dict(shape=[5, 12, 12]), [], '5 channels')}

@pytest.mark.parametrize('what', MISTAKES)
def test_a_mistake_is_one_sentence_before_anything_is_spent(tmp_path, monkeypatch, what):
    own, args, words = MISTAKES[what]
    monkeypatch.setenv('RECEIVED', str(tmp_path/'received'))
    code, _, err = command_here('learn', collection(tmp_path, (2, 3), **own), '--out', tmp_path/'out', *QUICK, *args)
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1, err
    assert not (tmp_path/'received').exists() and not (tmp_path/'out'/'bidf_mkd.checkpoint').exists()

def test_other_settings_and_a_failing_api_are_told(learned, tmp_path):
    code, _, err = command_here('learn', collection(tmp_path/'fewer', (2, 3)), '--out', learned/'out', '--budget', 3000, *QUICK)
    assert code == 2 and 'another folder' in err and len(err.strip().splitlines()) == 1
    path = collection(tmp_path, (2, 3))
    (tmp_path/'strips_clients.py').write_text('def two(x): raise RuntimeError("the model fell over")\nthree = two')
    code, _, err = finish(command('learn', path, '--out', tmp_path/'out', '--size', 16, *QUICK))
    assert code == 2 and 'the model fell over' in err and 'Traceback' not in err

@pytest.mark.parametrize('fault, claims', [('loading', False), ('429', False), ('400', False), ('redirect', False), ('500', True)])
def test_a_server_that_never_answered_claims_nothing(tmp_path, fault, claims):
    "Unless images may be on the bill: then the folder remembers them"
    out, path = tmp_path/'out', tmp_path/'apis.yaml'
    with misbehaving(always=fault) as s:
        s.elsewhere = s.url
        path.write_text(f'apis: [{{url: "{s.url}", model: m, max_wait: 0, retries: 0}}]')
        ends = [command_here('learn', path, '--out', out, '--size', 16, '--seed', seed, *QUICK) for seed in (0, 1)]
    left = {p.name for p in out.iterdir() if p.name[0] != '.'}
    assert [code for code, _, _ in ends] == [2, 2] and bool(left) == ('kept' in ends[0][2]) == claims and ('on the bill' in ends[0][2]) == claims, ends
    assert ('was begun with seed=0, not 1' in ends[1][2]) == claims and s.received

def test_a_dry_run_asks_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv('RECEIVED', str(tmp_path/'received'))
    code, said, _ = command_here('learn', collection(tmp_path, (2, 3)), '--out', tmp_path/'out', '--dry-run')
    assert code == 0 and 'at most' in said and not (tmp_path/'received').exists() and not (tmp_path/'out').exists()

# budgets, whatever the ways, shapes and sizes

class Service:
    "Numpy inside, and its own count of the images that arrived"
    def __init__(self, way, shape): self.w, self.received = np.random.default_rng(way).normal(size=(int(np.prod(shape)), way)), 0

    def __call__(self, x):
        self.received += len(x)
        score = np.exp(np.asarray(x).reshape(len(x), -1) @ self.w/4)
        return score/score.sum(1, keepdims=True)

shapes = st.tuples(st.sampled_from([1, 3]), st.integers(8, 40), st.integers(8, 40))

@settings(max_examples=8, deadline=None)
@given(kinds=st.lists(st.tuples(st.sampled_from([2, 3, 12, 60]), shapes), min_size=2, max_size=3), budget=st.integers(0, 1500), own=st.integers(0, 700),
       drawn=st.sampled_from([0, 40]), visits=st.sampled_from([0, 4]), copies=st.sampled_from([1, 2]))
def test_budgets_of_unequal_apis(kinds, budget, own, drawn, visits, copies):
    services = [Service(*k) for k in kinds]
    apis = [Api(f, [f'{i}.{c}' for c in range(way)], shape, own) for i, (f, (way, shape)) in enumerate(zip(services, kinds))]
    cfg = Config(head='support', visit_way=5, procedural=drawn, images=2, held_out=1, steps=2, stop_loss=0., q=3, directions='dct4', nz=4, ngf=2,
                 distil_steps=1, distil_inner_steps=1, distil_batch=6, shot=1, query=1, replay_steps=1, final_steps=1, inner_steps=1, meta_batch=1,
                 joint_steps=2, budget=budget, visits=visits, smoothing_copies=copies)
    memory, held_out = Memory(), Memory()
    records = list(meta_train(seeded(0, conv4, 2, 1, 16, 4), apis, cfg, memory=memory, held_out=held_out))
    sent = [f.received for f in services]
    assert sum(sent) <= budget and max(sent) <= own and [a.n_queries for a in apis] == sent
    assert all(n <= most for n, most in zip(sent, run_costs(cfg, [a.way for a in apis])))
    kept = {(r['visit'], r['kind']): len(r['recovery'].images) for r in records if 'recovery' in r}
    assert len(memory) == sum(n for (_, kind), n in kept.items() if kind != 'held_out')            # all that was recovered is remembered
    assert len(held_out) == sum(n for (_, kind), n in kept.items() if kind == 'held_out')

@settings(max_examples=12, deadline=None)
@given(shape=shapes, budget=st.integers(0, 400), n=st.integers(1, 4), q=st.integers(1, 5), how=st.sampled_from(['generator', 'two_tone', 'procedural']))
def test_recovery_at_any_aspect(shape, budget, n, q, how):
    service = Service(3, shape)
    api = Api(service, 'abc', shape, budget)
    recipe = dict(generator={}, two_tone=dict(parametrisation=RECIPES['readable']['parametrisation']), procedural=dict(start=select_procedural(20)))[how]
    recipe = recipe | dict(steps=3, q=q, mu=.1, shown_every=2)
    try: *_, last = recover(api, torch.arange(n) % 3, nz=4, ngf=2, **recipe)
    except BudgetExceeded:
        assert service.received <= budget < (20 if how == 'procedural' else n*(q+2))
        return
    assert api.n_queries == service.received == last.n_queries <= min(budget, recovery_cost(n, **recipe)) and last.images.shape == (n, *shape)
    assert np.allclose(Service(3, shape)(last.images), last.probs, atol=1e-5)
