"APIs that answer nonsense are found out for little, or when they begin with it; the others go on as if they had never been there."
import itertools

import pytest
import torch

from bidf_mkd.api import Api, ApiError, InvalidAnswer
from bidf_mkd.models import conv4, seeded
from bidf_mkd.replay import Memory
from bidf_mkd.training import Config, meta_train

SHAPE = (1, 16, 16)
CFG = Config(trust_images=16, procedural=24, images=2, steps=2, stop_loss=0., q=3, directions='blocks4', distil_steps=1, distil_inner_steps=1, distil_batch=6,
             query=1, replay_steps=1, final_steps=2, inner_steps=1, meta_batch=1, joint_steps=3)

def brightness(x):
    "Knows five shades of grey"
    return (-60*(x.mean((1, 2, 3))[:,None] - torch.linspace(.3, .7, 5))**2).softmax(1)

def corner(x): return brightness(x[:,:,:8,:8])

class Dice:
    "Another answer each time"
    def __init__(self): self.g = torch.Generator().manual_seed(0)
    def __call__(self, x): return torch.rand(len(x), 5, generator=self.g).mul(9).softmax(1)

def constant(x): return torch.tensor([[.6, .1, .1, .1, .1]]).repeat(len(x), 1)

class Rotten:
    "Honest for so many images"
    def __init__(self, n): self.n = n
    def __call__(self, x):
        self.n -= len(x)
        return brightness(x) if self.n >= 0 else brightness(x)*torch.nan

def apis_of(*functions): return [Api(f, [f'{i}{c}' for c in 'abcde'], SHAPE) for i, f in enumerate(functions)]

def trained(apis, cfg=CFG, memory=None, checkpoint=None, steps=None):
    model = seeded(0, conv4, 5, 1, 16, 4)
    return model, list(itertools.islice(meta_train(model, apis, cfg, checkpoint, memory), steps))

def test_nonsense_is_left_out():
    apis, memory = apis_of(brightness, Dice(), constant, corner), Memory()
    _, records = trained(apis, memory=memory)
    told = {r['visit']: r['message'] for r in records if r['kind'] == 'left_out'}
    assert set(told) == {1, 2} and 'answers differently' in told[1] and 'same answer' in told[2]
    assert apis[1].n_queries <= 48 and apis[2].n_queries == 16          # and no more is spent on them
    assert {c[0] for c in memory.classes} == {'0', '3'} and records[-1]['kind'] == 'final_replay'
    assert records[-1]['n_queries'] == sum(a.n_queries for a in apis)

@pytest.mark.parametrize('honest_for', [60, 100, 160, 250])             # until the procedural images, the recovery, the end of it, all images
def test_who_begins_with_nonsense_is_forgotten(honest_for):
    apis, memory = apis_of(brightness, Rotten(honest_for), corner), Memory()
    _, records = trained(apis, memory=memory)
    told = [r for r in records if r['kind'] == 'left_out']
    assert [r['visit'] for r in told] == [1] and 'no probabilities' in told[0]['message']
    assert apis[1].n_failed > 0 and apis[1].n_queries <= honest_for
    assert {memory.sources[s][0][0] for s in memory.source} == {'0', '2'} | ({'1'} if honest_for == 250 else set())
    assert records[-1]['kind'] == 'final_replay' and ('cross_queries' in {r['kind'] for r in records[:records.index(told[0])]}) == (honest_for == 250)

def test_without_the_test_it_is_an_error():
    with pytest.raises(InvalidAnswer): trained(apis_of(brightness, Rotten(60)), Config(**vars(CFG) | dict(trust_images=0)))

def test_nobody_is_left(tmp_path):
    for _ in range(2):                                                  # also the next time, for nothing
        apis = apis_of(Dice(), constant)
        with pytest.raises(ApiError, match='no API is left to learn from'): trained(apis, checkpoint=tmp_path/'run')
    assert sum(a.n_queries for a in apis) <= 2*48

def test_a_namesake_keeps_its_images():
    apis, memory = [Api(f, list('abcde'), SHAPE) for f in (brightness, Rotten(160))], Memory()
    _, records = trained(apis, memory=memory)
    assert [r['visit'] for r in records if r['kind'] == 'left_out'] == [1] and len(memory) >= 20

def test_what_is_there_is_learned_though_nobody_is_left():
    memory = Memory()
    _, records = trained(apis_of(Rotten(250)), memory=memory)
    assert 'left_out' in {r['kind'] for r in records} and records[-1]['kind'] == 'final_replay' and len(memory)

def test_a_test_that_cannot_be_paid_costs_nothing():
    apis = apis_of(brightness)
    with pytest.raises(ApiError, match='48 more images asked for'): trained(apis, Config(**vars(CFG) | dict(budget_per_api=40)))
    assert apis[0].n_queries == 0

def test_the_others_are_asked_as_if_alone():
    apis, alone = apis_of(brightness, corner, Dice()), apis_of(brightness, corner)
    trained(apis)
    trained(alone)
    assert [a.n_queries for a in apis[:2]] == [a.n_queries for a in alone]

def test_resumes_with_who_is_left_out(tmp_path):
    whole, records = trained(apis_of(brightness, Dice(), corner))
    for stop in 1, 2, 3, 5, 9, len(records) - 2:
        apis, path = apis_of(brightness, Dice(), corner), tmp_path/f'{stop}'
        trained(apis, checkpoint=path, steps=stop)
        again, _ = trained(apis, checkpoint=path)
        assert all(torch.equal(p, q) for p, q in zip(whole.state_dict().values(), again.state_dict().values())), stop
        assert apis[1].n_queries <= 48

@pytest.mark.parametrize('trust_images', [1, 7])
def test_too_few_to_judge_by(trust_images):
    with pytest.raises(ValueError, match='at least 8'): Config(trust_images=trust_images)
