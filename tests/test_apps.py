"The explorers, driven by their methods: what they spend, what they show, and what they leave behind."
import gc, math, threading, time

import psutil
import pytest
import torch
from hypothesis import given, settings, strategies as st

from bidf_mkd.api import Api
from bidf_mkd.apps import AskExplorer, BoundaryExplorer, EstimatorLab, RecoveryExplorer, TrainingMonitor
from bidf_mkd.data import as_bytes, as_float
from bidf_mkd.estimator import FAMILIES
from bidf_mkd.models import conv4, seeded
from bidf_mkd.procedural import procedural
from bidf_mkd.recovery import Recovery, recover, select_starts
from bidf_mkd.replay import Memory
from bidf_mkd.training import Config, meta_train
from bidf_mkd.zoo import classify

MODEL = seeded(0, conv4, 3, 3, 16).eval()

def black_box(budget=math.inf): return Api(classify(MODEL), ['a', 'b', 'c'], (3, 16, 16), budget)

def explorer(own=math.inf, **values):
    app = RecoveryExplorer(black_box(own), recipe='cheapest', n_procedural=30)
    for k, v in (dict(images=2, stop_loss=0., steps=10_000, budget=10**6) | values).items(): app.settings[k].value = v
    return app

def until(happened):
    while not happened(): time.sleep(.01)

def test_the_same_images_as_without_it():
    app, api, labels = explorer(steps=6), black_box(), torch.arange(3).repeat_interleave(2)
    app.run()
    assert app.wait(60) and app.state == 'done'
    pool = as_float(procedural(30, 3, 16, 0))
    *_, last = recover(api, labels, steps=6, q=4, mu=.5, directions=FAMILIES['dct8'], start=select_starts(pool, api(pool), labels), stop_loss=0.)
    assert torch.equal(app.history[-1]['images'], as_bytes(last.images)) and app.api.n_queries == api.n_queries == 30 + 6*6*5

def test_ten_runs_leave_nothing_behind():
    app, us = explorer(), psutil.Process()
    def cycle():
        app.run()
        until(lambda: len(app.records) > 20)
        app.stop()
        assert app.wait(60) and app.state == 'stopped'
    for _ in range(3): cycle()
    gc.collect()
    threads, memory = threading.active_count(), us.memory_info().rss
    for _ in range(10): cycle()
    gc.collect()
    assert threading.active_count() == threads and us.memory_info().rss < memory + 20e6

@given(st.lists(st.sampled_from(['run', 'pause', 'stop', 'keep', 'wait', 'back', 'pick']), max_size=12), st.integers(0, 200), st.integers(1, 200))
@settings(max_examples=30, deadline=None)
def test_no_order_of_clicks_overspends(clicks, own, of_run):
    app, runs = explorer(own, budget=of_run, steps=5), 0
    do = dict(wait=lambda: app.wait(.02), back=lambda: app.show_step(0), pick=lambda: app.clicked('images', '', 1, 0, 0))
    for click in clicks:
        runs += click == 'run' and not app.running
        do.get(click, lambda: getattr(app, click)())()
    app.stop()
    assert app.wait(60) and not app.running
    assert app.api.n_queries <= min(own, runs*of_run) and not app.buttons['Run'].disabled and app.buttons['Pause'].disabled
    app.close()

def test_pause_asks_nothing():
    app = explorer()
    app.run()
    until(lambda: app.records)
    app.pause()
    app.wait(.5) # the step that was begun
    n = app.api.n_queries
    assert not app.wait(.5) and app.state == 'paused' and app.api.n_queries == n
    app.run()
    until(lambda: app.api.n_queries > n)
    app.stop()
    assert app.wait(60)

@pytest.mark.parametrize('make', [RecoveryExplorer, lambda api: BoundaryExplorer(api, MODEL, torch.rand(4, 3, 16, 16)), EstimatorLab])
def test_an_api_that_fails_is_a_sentence(make):
    def out_of_order(x): raise OSError('the line is dead')
    app = make(Api(out_of_order, ['a', 'b', 'c'], (3, 16, 16)))
    app.run()
    assert app.wait(60) and 'the line is dead' in app.message.value and 'alert' in app.message.value and not app.buttons['Run'].disabled

def sizes(app): return {name: len(f.to_json()) for name, f in app.views.items()} | dict(all=len(app.figure().to_json()))

@pytest.mark.parametrize('way, side, images', [(2, 16, 30), (73, 224, 1), (200, 84, 1), (1000, 32, 2)])
def test_any_number_of_classes(way, side, images):
    "Every view of every explorer: under 1 MB, and what it leaves out is told"
    names, g = [f'class {i}' for i in range(way)], torch.Generator().manual_seed(0)
    answer = lambda x: (x.flatten(1)[:, :1]*torch.linspace(1, 30, way)).sin().mul(9).softmax(1)
    api, labels = Api(answer, names, (3, side, side)), torch.arange(way).repeat_interleave(images)
    x = torch.rand(len(labels), 3, side, side, generator=g)
    app = RecoveryExplorer(api, recipe='cheapest')
    assert max(sizes(app).values()) < 1e6, sizes(app)
    app.take(Recovery(x, labels, probs := api(x), torch.zeros(len(x)), 0, 0))
    app.refresh()
    assert max(sizes(app).values()) < 1e6, sizes(app)
    surest = probs.gather(1, labels[:, None]).view(way, images).mean(1).argmax()
    app.clicked('images', '', 0, 0, 0)
    assert f"target: {names[app.history[-1]['labels'][app.picked]]})" in app.views['answers'].layout.title.text and surest*images in app.shown
    assert (f'of {way:,} classes' in app.views['images'].layout.title.text) == (way > 5000//(side + 1))
    boundary = BoundaryExplorer(api, lambda x: answer(x.roll(1, 0)).log(), x[:6])
    boundary.map_plane()
    assert boundary.wait(60)
    boundary.pick_cell(0., 0.)
    boundary.walk()
    assert boundary.wait(60) and boundary.state == 'done'
    ask = AskExplorer(api, boundary.student, boundary)
    ask.pick(x[0])
    ask.ask()
    ask.keep()
    assert len(boundary.images) == 7
    monitor = TrainingMonitor(iter(()), memory=Memory(10))
    monitor.memory.add(x[:way*images], names, probs)
    monitor.take(dict(visit=0, kind='support', step=1, n_queries=5, memory=len(x), loss=1., recovery=Recovery(x, labels, probs, torch.zeros(len(x)), 0, 0)))
    for o in boundary, ask, monitor, EstimatorLab(api):
        o.refresh()
        assert max(sizes(o).values()) < 1e6, sizes(o)
        o.close()
    app.close()

def test_a_training_stopped_goes_on_in_another_monitor(tmp_path):
    cfg = Config(procedural=40, images=3, query=2, steps=2, replay_steps=2, joint_steps=4, final_steps=2, distil_inner_steps=1, inner_steps=1)
    def train(path): return meta_train(seeded(1, conv4, 3, 3, 16), [black_box(), black_box()], cfg, path)
    whole = list(train(tmp_path/'whole'))
    first = TrainingMonitor(train(tmp_path/'cut'))
    first.run()
    until(lambda: len(first.records) > 10)
    first.stop()
    assert first.wait(60) and first.state == 'stopped'
    second = TrainingMonitor(train(tmp_path/'cut'))
    second.run()
    assert second.wait(60) and second.state == 'done'
    assert {k: v for k, v in second.records[-1].items() if k != 'record'} == whole[-1]
