"How much memory a recovery takes, each in a process of its own"
import json

from project import python

STEP = """
import json, resource, torch
from bidf_mkd.api import Api
from bidf_mkd.models import resnet18, seeded
from bidf_mkd.recovery import recover
from bidf_mkd.zoo import classify
black_box = classify(seeded(0, resnet18, 5)) if {real} else lambda x: x.flatten(1)[:,:5].softmax(1)
api, labels = Api(black_box, 'abcde', (3, 84, 84)), torch.arange({images}) % 5
for r in recover(api, labels, steps=1, q={q}, ngf=24): pass
print(json.dumps([api.n_queries, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20]))
"""

def step(**settings):
    "Queries, and GiB at most"
    return json.loads(python('-c', STEP.format(**settings)).splitlines()[-1])

def test_a_large_image_and_network_fit():
    queries, gib = step(real=True, images=3, q=100)
    assert queries == 303 and gib < 4

def test_more_directions_take_no_more_memory():
    (few, small), (many, large) = (step(real=False, images=30, q=q) for q in (100, 500))
    assert (few, many) == (30*101, 30*501) and large < small + .1
