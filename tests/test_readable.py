"Recoveries of every kind keep to their price: it is told before, paid to the image, and buys images that stay, also over HTTP and where APIs tell little."
from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from bidf_mkd.api import Api, BudgetExceeded
from bidf_mkd.data import draw
from bidf_mkd.estimator import low_frequency
from bidf_mkd.http_api import HttpApi
from bidf_mkd.models import Generator, conv4, seeded
from bidf_mkd.recovery import (LITTLE_TOLD, RECIPES, free_colours, generator, in_views, joint, latents, luminance, pixels, readable_recipe, recover,
                               recovery_cost, smoothed, tempered, two_tone, what_is_told)
from bidf_mkd.recovery.sketch import sketch
from bidf_mkd.serve import app, listen, server
from bidf_mkd.zoo import classify, fit
from servers import CLASSES, SHAPE
from test_budget import Service, quick

SMALL = dict(nz=4, ngf=2)
PARAMETRISATIONS = dict(generator=generator(**SMALL), two_tone=two_tone(**SMALL), free_colours=free_colours(**SMALL), luminance=luminance(**SMALL),
                        pixels=pixels(), latents=latents(seeded(0, Generator, 16, 1, 4, 2), 4))
OBJECTIVES = dict(plain=lambda apis: apis[0], smoothed=lambda apis: smoothed(apis[0], 3, 1.), in_views=lambda apis: in_views(apis[0], 2),
                  tempered=lambda apis: tempered(apis[0], 4.), joint=joint)

def services(budget, n=2):
    known = [Service(s) for s in range(n)]
    return known, [Api(f, CLASSES, SHAPE, budget) for f in known]

@quick
@given(kind=st.sampled_from(list(PARAMETRISATIONS)), budget=st.integers(0, 400), n=st.integers(1, 5), shown=st.sampled_from([0, 2, 3]))
def test_every_parametrisation_keeps_to_the_budget(kind, budget, n, shown):
    (service, _), (api, _) = services(budget)
    q, steps = 4, 5
    ask = dict(steps=steps, q=q, mu=.1, parametrisation=PARAMETRISATIONS[kind], shown_every=shown)
    if kind == 'latents': ask |= dict(directions=low_frequency(1))
    whole = recovery_cost(n, **ask)
    records = recover(api, torch.arange(n) % 5, **ask)
    first = n*(q + 1 + (shown > 0))
    if budget < first:
        with pytest.raises(BudgetExceeded): next(records)
        assert service.received == 0
        return
    *_, last = records
    assert service.received == api.n_queries == last.n_queries <= min(budget, whole) and bool(last.stopped) == (budget < whole)
    assert budget < whole or last.n_queries == whole
    assert np.allclose(Service()(last.images), last.probs, atol=1e-5)   # what is kept is what was asked about

@settings(max_examples=25, deadline=None)
@given(budget=st.integers(0, 300), n=st.integers(1, 3), children=st.integers(4, 7), views=st.integers(1, 3))
def test_sketches_keep_to_the_budget(budget, n, children, views):
    (service, _), (api, _) = services(budget)
    start = sketch(2, generations=4, children=children, views=views)
    drawing, generation = recover(api, torch.arange(n), start=start, steps=0), n*(children*views + 1)
    if budget < generation:
        with pytest.raises(BudgetExceeded): next(drawing)
        assert service.received == 0
        return
    *_, last = drawing
    assert service.received == api.n_queries == last.n_queries == min(4, budget//generation)*generation <= recovery_cost(n, start=start, steps=0)
    assert bool(last.stopped) == (last.step < 4) and np.allclose(Service()(last.images), last.probs, atol=1e-5)

@quick
@given(kind=st.sampled_from(list(OBJECTIVES)), budget=st.integers(0, 300), spent=st.integers(0, 40))
def test_objectives_spend_no_more_than_the_apis_behind_them_have(kind, budget, spent):
    known, apis = services(budget)
    if 0 < spent <= budget: apis[0](torch.rand(spent, *SHAPE))
    before = [s.received for s in known]
    objective = OBJECTIVES[kind](apis)
    paid = objective.n_queries
    try: *_, last = recover(objective, torch.arange(3), steps=4, q=4, mu=.1, parametrisation=PARAMETRISATIONS['generator'])
    except BudgetExceeded: assert [s.received for s in known] == before
    else: assert last.n_queries == objective.n_queries - paid == sum(s.received for s in known) - sum(before)
    assert all(s.received == a.n_queries <= budget for s, a in zip(known, apis))

@pytest.fixture(scope='module')
def letters():
    x, y = torch.cat([draw(c, 40, size=16) for c in 'LOX']), torch.arange(3).repeat_interleave(40)
    return classify(fit(seeded(0, conv4, 3, size=16, width=16), x, y, steps=60))

SHORT = RECIPES['readable'] | dict(steps=60, shown_every=10)

def test_a_person_can_go_on_from_a_kept_set(letters):
    api, wanted = Api(letters, 'LOX', (3, 16, 16)), torch.arange(3)
    for stopped in recover(api, wanted, **SHORT):
        if stopped.step == 7: break                 # interrupted: what was recovered is there
    *_, more = recover(api, wanted, start=stopped, steps=5, q=4, mu=.5, directions=SHORT['directions'])
    assert more.n_queries == stopped.n_queries + 5*3*5 == api.n_queries and (more.loss <= stopped.loss).all()

@pytest.mark.parametrize('reveals, channels, pilot', [('probabilities', 1, 40), ('probabilities', 3, 80), ('digits_1', 3, 80), ('label_only', 1, 40),
                                                      ('label_only', 3, 320)])
def test_the_answers_tell_which_recipe_suits_an_api_that_tells_little(letters, reveals, channels, pilot):
    known = lambda x: letters(x.expand(-1, 3, -1, -1))
    api, wanted = Api(known, 'LOX', (channels, 16, 16), reveals=reveals), torch.arange(3).repeat_interleave(2)
    recipe = readable_recipe(api)
    assert api.n_queries == pilot and recipe == RECIPES['readable'] | LITTLE_TOLD.get(reveals, {}).get('readable', {})
    short, sure = recipe | dict(steps=60, shown_every=10), lambda x: known(x).gather(1, wanted[:,None]).mean()
    first, *_, last = recover(api, wanted, **short)
    assert api.n_queries - pilot == last.n_queries == recovery_cost(6, **short) and sure(last.images) > max(.5, sure(first.images))

def test_readable_images_over_http(letters):
    wanted = torch.arange(3)
    running, (place, url) = server(app({'letters': Api(letters, 'LOX', (3, 16, 16))}, budget=2000)), listen(port=0)
    thread = Thread(target=running.run, args=([place],))
    thread.start()
    try:
        api = HttpApi(url, 'letters', budget=2000)
        recipe = readable_recipe(api)
        pilot = api.n_queries
        short = recipe | dict(steps=100)
        price = recovery_cost(3, **short)
        *_, last = recover(api, wanted, **short)
        assert recipe == RECIPES['readable'] and pilot == 80 and last.n_queries == price == api.n_queries - pilot and not last.stopped
        direct = list(recover(Api(letters, 'LOX', (3, 16, 16)), wanted, **short))[-1]
        assert torch.allclose(direct.images, last.images, atol=1e-3) and (last.probs.argmax(1) == wanted).all()
    finally:
        running.should_exit = True
        thread.join()
        place.close()

def test_a_pilot_that_the_budget_does_not_pay_for_is_not_begun(letters):
    api = Api(letters, 'LOX', (3, 16, 16), budget=319, reveals='label_only')
    with pytest.raises(BudgetExceeded): readable_recipe(api)
    assert api.n_queries == 40 # the images by whose answers the price is found

def test_an_api_that_is_always_sure_is_told_from_one_that_rounds():
    sure = torch.tensor([[0., -13., -12.], [0., -20., -19.], [0., -7., -9.]]).softmax(1)
    said = dict(label_only=torch.eye(3), digits_1=torch.tensor([[.3, .7, 0.], [1., 0., 0.]]), probabilities=sure)
    assert {k: what_is_told(p) for k, p in said.items()} == {k: k for k in said} and what_is_told(sure[1:2]) == 'probabilities'
