"A budget is never exceeded by a single image, whatever the sizes, and running out of it loses nothing. What was not computed is not counted."
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import bidf_mkd.http_api.connection
from bidf_mkd.api import Api, ApiError, BudgetExceeded
from bidf_mkd.data import draw
from bidf_mkd.estimator import FAMILIES, guided, low_frequency, dct, zo_grad
from bidf_mkd.http_api import HttpApi
from bidf_mkd.journal import Journal
from bidf_mkd.models import architecture, conv4, seeded
from bidf_mkd.recovery import RECIPES, between, evolve, recover, recovery_cost, select_procedural, select_starts, smoothed, two_tone
from bidf_mkd.replay import Memory
from bidf_mkd.training import Config, meta_train, visit_cost
from servers import CLASSES, FREE, SHAPE, classifier, metadata, misbehaving

class Service:
    "A stand-in for a real service: numpy inside, and its own count of the images that arrived"
    def __init__(self, seed=0): self.w, self.received = np.random.default_rng(seed).normal(size=(256, 5)), 0

    def __call__(self, x):
        self.received += len(x)
        score = np.exp(np.asarray(x).reshape(len(x), -1) @ self.w)
        return score/score.sum(1, keepdims=True)

quick = settings(max_examples=40, deadline=None)

@quick
@given(budget=st.integers(0, 60), batches=st.lists(st.integers(1, 25), max_size=12))
def test_calls(budget, batches):
    service = Service()
    api = Api(service, CLASSES, SHAPE, budget)
    for n in batches:
        before = service.received
        if n <= budget - before: api(torch.rand(n, *SHAPE))
        else:
            with pytest.raises(BudgetExceeded): api(torch.rand(n, *SHAPE))
            assert service.received == before
    assert api.n_queries == service.received <= budget

def counts(api): return api.n_queries, api.n_failed

def restored(path):
    "What a journal knows of an API in a program that is started anew"
    api = Api(classifier, CLASSES, SHAPE)
    Journal(api, path)
    return counts(api)

PAID = 'well', '500', '503', 'busy', 'reset', 'close', 'truncated', 'nan', 'sums', 'shape', 'fatal'

@pytest.mark.filterwarnings('ignore:model m takes 3 images')
@quick
@given(budget=st.integers(0, 60), pairs=st.integers(1, 5), steps=st.integers(1, 9), free=st.booleans(), cut=st.floats(.05, .95))
def test_between(budget, pairs, steps, free, cut):
    "All queries or none; and the crossing is in what is left of the line after the steps"
    def bright(x): return torch.stack([p := (x.mean((1, 2, 3)) < cut).float(), 1 - p], 1)
    api, a, b = Api(bright, ['dark', 'bright'], (1, 2, 2), budget), torch.zeros(pairs, 1, 2, 2), torch.ones(pairs, 1, 2, 2)
    known, cost = (bright(a), bright(b)) if free else None, pairs*(steps + 2*(not free))
    if cost > budget:
        with pytest.raises(BudgetExceeded): between(api, a, b, steps, known)
        assert api.n_queries == api.n_failed == 0
        return
    found = between(api, a, b, steps, known)
    assert api.n_queries == found.n_queries == cost and (found.images - cut).abs().max() <= 2.**-steps
    assert torch.equal(bright(found.images), found.probs) and not found.labels.any()

@quick
@given(budget=st.integers(0, 60), calls=st.lists(st.integers(1, 12), max_size=8), batch=st.integers(1, 8), fixed=st.sampled_from([-1, 3]),
       max_wait=st.sampled_from([0, 6, 60]),
       faults=st.lists(st.sampled_from(PAID) | st.sampled_from(sorted(FREE - {'redirect'})), max_size=30), interrupted=st.sets(st.integers(0, 20)))
def test_faults_of_a_server(budget, calls, batch, fixed, max_wait, faults, interrupted):
    "What certainly was not computed is never counted, everything that may have been is, in memory and on disk, also if a wait is interrupted"
    pauses = iter(range(1000))
    def sleep(seconds):
        if next(pauses) in interrupted: raise KeyboardInterrupt
    meta = metadata(inputs=[dict(name='x', datatype='FP32', shape=[fixed, *SHAPE])])
    with misbehaving(*faults, meta=meta) as s, pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(bidf_mkd.http_api.connection, 'sleep', sleep)
        web, path, answered = HttpApi(s.url, 'm', budget=budget, batch=max(batch, fixed), retries=2, max_wait=max_wait), Path(folder)/'answers', 0
        meter = Api(Journal(web, path), CLASSES, SHAPE)
        for n in calls:
            before = counts(meter)
            try: answered += len(meter(torch.rand(n, *SHAPE)))
            except (ApiError, BudgetExceeded, KeyboardInterrupt): pass
            computed = sum(n for fault, n in s.received if fault not in FREE)
            assert web.n_queries == meter.n_queries == answered and sum(counts(web)) == computed <= budget
            assert restored(path) == counts(web) and before[1] <= meter.n_failed <= web.n_failed

@quick
@given(budget=st.integers(0, 60), cost=st.integers(1, 3), calls=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 30), st.sampled_from(
    ['answers', 'breaks', 'nan', 'refuses', 'is interrupted', 'has no budget'])), max_size=12))
def test_faults_of_a_function(budget, cost, calls):
    "An API in this process: `unsent` of what it raises was not computed, all else may have been"
    def f(x):
        error = dict(breaks=OSError, refuses=ApiError('not now'), nan=None).get(kind, KeyboardInterrupt() if kind == 'is interrupted' else BudgetExceeded())
        if kind in ('refuses', 'is interrupted'): error.unsent = unsent
        if kind in ('answers', 'nan'): return classifier(x)*(1 if kind == 'answers' else np.nan)
        raise error
    with TemporaryDirectory() as folder:
        api, path, expected, answered = Api(f, CLASSES, SHAPE, budget, cost_per_image=cost), Path(folder)/'answers', 0, 0
        journal = Journal(api, path)
        for n, unsent, kind in calls:
            affordable = n*cost <= api.remaining
            try: journal(torch.rand(n, *SHAPE))
            except (ApiError, BudgetExceeded, KeyboardInterrupt): pass
            if not affordable or kind == 'has no budget': continue
            answered += n*cost*(kind == 'answers')
            expected += {'answers': 0, 'refuses': max(0, n*cost - unsent), 'is interrupted': max(0, n*cost - unsent)}.get(kind, n*cost)
            assert counts(api) == (answered, expected) and answered + expected <= budget
        again = Api(f, CLASSES, SHAPE, cost_per_image=cost)
        Journal(again, path)
        assert counts(again) == counts(api)

@quick
@given(budget=st.integers(0, 400), n=st.integers(1, 7), q=st.integers(1, 12), chunk=st.none() | st.integers(1, 12),
       family=st.sampled_from([f for f in FAMILIES if f not in ('blocks7', 'blocks14')]))
def test_gradient(budget, n, q, chunk, family):
    service = Service()
    api = Api(service, CLASSES, SHAPE, budget)
    ask = lambda: zo_grad(lambda x: api(x.clamp(0, 1))[:,0], torch.rand(n, *SHAPE), q, .1, FAMILIES[family], chunk=chunk)
    if n*(q+1) <= budget: assert torch.isfinite(ask()).all() and service.received == n*(q+1)
    else:
        with pytest.raises(BudgetExceeded): ask()
    assert api.n_queries == service.received <= budget

@quick
@given(budget=st.integers(0, 500), n=st.integers(1, 6), q=st.integers(1, 8), chunk=st.none() | st.integers(1, 8), boundary=st.booleans())
def test_recovery(budget, n, q, chunk, boundary):
    service = Service()
    api = Api(service, CLASSES, SHAPE, budget)
    student = seeded(0, conv4, 5, 1, 16, 4) if boundary else None
    steps = recover(api, torch.arange(n) % 5, student, steps=5, q=q, mu=.1, chunk=chunk, nz=4, ngf=2)
    affordable = min(5, budget//(n*(q+1)))
    if not affordable:
        with pytest.raises(BudgetExceeded): next(steps)
        assert service.received == 0
        return
    *_, last = steps
    assert last.step == affordable and bool(last.stopped) == (affordable < 5)
    assert api.n_queries == service.received == last.n_queries == affordable*n*(q+1) <= budget
    assert np.allclose(Service()(last.images), last.probs, atol=1e-5)

@settings(max_examples=16, deadline=None)
@given(budget=st.integers(0, 1500), per_api=st.integers(0, 700), own=st.integers(0, 700), drawn=st.sampled_from([0, 16]), joint=st.sampled_from([0, 2]),
       copies=st.sampled_from([1, 3]))
def test_training(budget, per_api, own, drawn, joint, copies):
    services = [Service(s) for s in range(3)]
    apis = [Api(f, [f'{i}{c}' for c in CLASSES], SHAPE, own) for i, f in enumerate(services)]
    cfg = Config(procedural=drawn, images=2, steps=3, stop_loss=0., q=5, directions='blocks4', nz=4, ngf=2, distil_steps=1, distil_inner_steps=1,
                 distil_batch=6, shot=1, query=1, replay_steps=1, final_steps=1, inner_steps=1, meta_batch=1, joint_steps=joint, budget=budget,
                 budget_per_api=per_api, smoothing_copies=copies)
    memory = Memory()
    records = list(meta_train(seeded(0, conv4, 5, 1, 16, 4), apis, cfg, memory=memory))
    received = [f.received for f in services]
    assert sum(received) <= budget and max(received, default=0) <= min(per_api, own)
    assert [a.n_queries for a in apis] == received and (not records or records[-1]['n_queries'] == sum(received))
    complete = 3*(visit_cost(cfg) + drawn) + (3*60 if joint else 0)
    short = any(r['kind'] == 'budget' for r in records)
    assert sum(received) == complete or short                      # all is done, or it is said what is not
    kept = {}
    for r in records:
        if r['kind'] in ('support', 'query'): kept[r['visit'], r['kind']] = len(r['recovery'].images)
    assert len(memory) == sum(kept.values())                       # all that was recovered is remembered

@quick
@given(budget=st.integers(0, 300), n=st.integers(1, 6), q=st.integers(1, 8), stop_loss=st.sampled_from([0., 1., 2., 5.]))
def test_refining(budget, n, q, stop_loss):
    "Images that are good enough are not asked about any more; what is there at the start is never lost"
    service, pool = Service(), torch.rand(40, *SHAPE)
    api = Api(service, CLASSES, SHAPE, budget)
    start = select_starts(pool, torch.as_tensor(Service()(pool)).float(), torch.arange(n) % 5)
    before, expected = start.loss, 0
    for r in recover(api, torch.arange(n) % 5, steps=4, q=q, mu=.1, directions=low_frequency(4, dct), start=start, stop_loss=stop_loss):
        if r.step and not r.stopped: expected += int((before > stop_loss).sum())*(q+1)
        assert api.n_queries == service.received == expected <= budget and (r.loss <= start.loss).all()
        before = r.loss

@quick
@given(budget=st.integers(0, 400), n=st.integers(1, 6), q=st.integers(1, 6), steps=st.integers(0, 7), shown_every=st.integers(0, 4), boundary=st.booleans(),
       start=st.sampled_from([None, select_procedural(20), evolve(20, first=2, generations=3, children=3, views=2, keep=3)]))
def test_drawing(budget, n, q, steps, shown_every, boundary, start):
    "Its price is told before; what is kept is what the API was asked about"
    service = Service()
    api = Api(service, CLASSES, SHAPE, budget)
    student = seeded(0, conv4, 5, 1, 16, 4) if boundary else None
    steps = steps if start else max(1, steps)
    recipe = dict(parametrisation=two_tone(4, 2), steps=steps, start=start, q=q, mu=.1, directions=low_frequency(4, dct), shown_every=shown_every)
    try: *_, last = recover(api, torch.arange(n) % 5, student, **recipe)
    except BudgetExceeded:
        assert service.received <= budget < (20 if start else n*(q+2))    # not even the pool, or one step
        return
    price = recovery_cost(n, **recipe)
    assert api.n_queries == service.received == last.n_queries <= min(budget, price) and bool(last.stopped) == (budget < price)
    assert last.stopped or last.n_queries == price
    assert np.allclose(Service()(last.images), last.probs, atol=1e-5)

@pytest.mark.parametrize('policy', ['digits_1', 'label_only'])
def test_restricted_apis_are_drawn_from(policy):
    api = Api(Service(), CLASSES, SHAPE, reveals=policy)
    soft = smoothed(api, 4, 1.) if policy == 'label_only' else api
    recipe = RECIPES['readable'] | dict(steps=6, shown_every=3)
    *_, last = recover(soft, torch.arange(5), **recipe)
    assert api.n_queries == recovery_cost(5, **recipe)*soft.cost_per_image and last.images.shape == (5, *SHAPE)

@quick
@given(budget=st.integers(0, 120), n=st.integers(1, 4), q=st.integers(2, 9), chunk=st.none() | st.integers(2, 9), unbiased=st.booleans())
def test_guided_gradient(budget, n, q, chunk, unbiased):
    service = Service()
    api = Api(service, CLASSES, SHAPE, budget)
    family = guided(lambda x: torch.ones(1, *x.shape), low_frequency(4), unbiased)
    try: zo_grad(lambda x: api(x.clamp(0, 1))[:,0], torch.rand(n, *SHAPE), q, .1, family, chunk=chunk)
    except (BudgetExceeded, ValueError): pass                      # a last chunk of one direction has no room beside the prior
    assert api.n_queries == service.received <= budget

def test_nothing_but_images_leaves():
    "What the function behind an API gets is a plain batch of images; what comes back has no history"
    seen = []
    def spy(x):
        seen.append(x)
        return Service()(x)
    api = Api(spy, CLASSES, SHAPE)
    *_, last = recover(api, torch.arange(5), seeded(0, conv4, 5, 1, 16, 4), steps=2, q=3, mu=.1, nz=4, ngf=2)
    assert all(type(x) is torch.Tensor and not x.requires_grad and x.grad_fn is None and x.min() >= 0 and x.max() <= 1 for x in seen)
    assert not last.images.requires_grad and not last.probs.requires_grad
    assert sum(map(len, seen)) == api.n_queries == 2*5*4

def squeezenet():
    "A model of somebody else, without a backbone of its own and without batch normalisation"
    model = seeded(0, architecture('torchvision/squeezenet1_1'), 5)
    model.shape = 3, 32, 32
    return model

@pytest.mark.parametrize('meta', [lambda: seeded(0, conv4, 5, 1, 16, 8), squeezenet], ids=['conv4', 'squeezenet'])
def test_learns_from_numpy(meta):
    "The whole pipeline on APIs that are plain numpy: nearest mean of drawn characters"
    def nearest(chars):
        means = np.stack([draw(c, 40, size=16, channels=1).float().mean(0).numpy().ravel()/255 for c in chars])
        def f(x):
            distance = ((np.asarray(x).reshape(len(x), 1, -1) - means)**2).sum(2)
            score = np.exp((distance.min(1, keepdims=True) - distance)/5)
            return score/score.sum(1, keepdims=True)
        return Api(f, chars, SHAPE, 20_000)
    apis = [nearest('ABCDE'), nearest('FGHJK')]
    cfg = Config(procedural=0, joint_steps=0, stop_loss=0., images=4, steps=20, q=16, directions='blocks4', nz=16, ngf=4, distil_steps=1, query=2,
                 replay_steps=1, final_steps=2, meta_batch=1)
    memory = Memory()
    records = list(meta_train(meta(), apis, cfg, memory=memory))
    assert records[-1]['kind'] == 'final_replay' and len(memory) == 2*2*20
    assert all(0 < a.n_queries == 2*20*20*17 <= a.budget for a in apis)
    recovered = [r for r in records if r['kind'] == 'support' and r['visit'] == 0]
    assert recovered[-1]['loss'] < recovered[0]['loss']
