"Real classifiers that others made, from one file: loaded, and looked at within their budgets."
from importlib.resources import files

import pytest
from PIL import Image
from torchvision.transforms.functional import to_tensor

from bidf_mkd.sources import load_apis
from bidf_mkd.trust import MIN_IMAGES
from project import command_here
from third_party import entries, write_apis

def test_they_are_of_many_ways_and_sizes(tmp_path):
    apis = load_apis(write_apis(tmp_path, budget=9))
    assert len(apis) == len(list(entries())) >= 4 and len({a.way for a in apis}) > 1 and len({a.shape for a in apis}) == len(apis)
    assert all(a.n_queries == 0 and a.budget == 9 for a in apis)

@pytest.mark.parametrize('name', ['mnist_test_0_label_7', 'svhn_digit_5', 'usps_digit_4'])
def test_they_know_what_they_were_made_for(tmp_path, name):
    "The images that come with the digits are named rightly, so pixels and answers are described rightly"
    [api] = load_apis(write_apis(tmp_path, [name.split('_')[0]]))
    image = Image.open(files('ccexam')/'samples'/f'{name}.png').convert('L' if api.shape[0] == 1 else 'RGB').resize(api.shape[:0:-1])
    assert api(to_tensor(image)[None]).argmax().item() == int(name[-1])

SLOW = [e['name'] for e in entries() if e['name'] == 'tumours']     # none without its package
QUICK = [e['name'] for e in entries() if e['name'] not in SLOW]

def check(folder, names, images, budget):
    "What `bidf-mkd check` says of these with a budget for each, and whether it is content"
    code, said, err = command_here('check', '--images', images, write_apis(folder, names, budget=budget, price=.01))
    assert not err
    return said, code == 0

@pytest.mark.parametrize('names, images', [(QUICK, 16), (SLOW, MIN_IMAGES)][:2 if SLOW else 1])
def test_a_check_stays_within_their_budgets(tmp_path, names, images):
    cost = 4*images + 1
    said, fine = check(tmp_path, names, images, cost)
    assert fine and said.count(f'{cost} of {cost}') == said.count('consistent') == len(names) and f', {cost*len(names)} queries' in said
    said, fine = check(tmp_path, names, images, cost - 1)
    assert not fine and ', 0 queries' in said and said.count(f'0 of {cost - 1}') == len(names)
