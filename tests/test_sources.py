"Collections of real APIs from a file, as the command sees them."
import pytest

from bidf_mkd.sources import load_apis
from project import command_here

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
    path = folder/'apis.yaml'
    path.write_text('apis:\n' + ''.join(f'  - {e}\n' for e in entries), encoding='utf-8')     # a dict is a line of yaml
    return path

@pytest.fixture
def clients(tmp_path):
    "A folder whose module was not imported before"
    import sys
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
    'a path for a function': (dict(function='clients.py'), 'module:function'), 'a true for a budget': (dict(budget=True), 'a number of images')}

@pytest.mark.parametrize('what', WRONG)
def test_a_mistake_is_named_with_its_place(clients, what):
    change, words = WRONG[what]
    path = write(clients, ENTRY | dict(name='good'), ENTRY | change)
    code, said, err = command_here('check', path)
    assert code == 2 and not said and len(err.splitlines()) == 1 and words in err and f'{path}, entry 2' in err, err

def test_names_differ(clients):
    with pytest.raises(ValueError, match="two entries are called 'a'"): load_apis(write(clients, ENTRY, ENTRY))
