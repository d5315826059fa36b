"What clients answer with: every form that numbers may have is taken, because they were paid for; everything else is named in their own words."
from collections import OrderedDict
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.sparse import coo_array, csr_matrix

from bidf_mkd.api import Api, ApiError, InvalidAnswer, error_words, from_scores
from bidf_mkd.sources import adapted

CLASSES, SHAPE = ('cat', 'dog', 'owl'), (1, 4, 4)
P = np.array([[.5, .3, .2], [.1, .2, .7], [.25, .25, .5], [0, 1, 0]])
IMAGES = torch.rand(4, *SHAPE)

class Foreign:
    "An array of another library"
    def __array__(self, dtype=None, copy=None): return np.asarray(P, dtype)

TAKEN = { # form -> what a client answers with; all of it is `P`
    'negative strides': P[::-1, ::-1].copy()[::-1, ::-1], 'another byte order': P.astype('>f8'), 'columns first': np.asfortranarray(P),
    'half precision': P.astype('f2'),
    'long double': P.astype(np.longdouble), 'objects': P.astype(object), 'decimals': [[Decimal(str(v)) for v in row] for row in P], 'a matrix': np.asmatrix(P),
    'read only': np.frombuffer(P.tobytes()).reshape(P.shape), 'every second row': np.repeat(P, 2, 0)[::2], 'lists': P.tolist(), 'a tuple of arrays': tuple(P),
    'bfloat16': torch.tensor(P).bfloat16(), 'rows that are tensors': list(torch.tensor(P)), 'rows with a gradient': list(torch.tensor(P, requires_grad=True)),
    'a transposed tensor': torch.tensor(P.T).T, 'an array of another library': Foreign(), 'texts': P.astype(str).tolist(),
    'a data frame': pd.DataFrame(P), 'a data frame with names': pd.DataFrame(P, columns=CLASSES),
    'columns in another order': pd.DataFrame(P, columns=CLASSES)[['owl', 'cat', 'dog']],
    'float32 columns': pd.DataFrame(P, columns=CLASSES).astype('float32'), 'an index of its own': pd.DataFrame(P, columns=CLASSES, index=[7, 3, 5, 1]),
    'sparse': torch.tensor(P).to_sparse(), 'sparse rows': torch.tensor(P).to_sparse_csr(), 'rows that are sparse': list(torch.tensor(P).to_sparse()),
    'a sparse matrix': csr_matrix(P), 'a sparse array': coo_array(P), 'a masked array that hides nothing': np.ma.array(P),
    'an Arrow table': pa.table(dict(owl=P[:,2], cat=P[:,0], dog=P[:,1])), 'an Arrow batch': pa.record_batch(dict(cat=P[:,0], dog=P[:,1], owl=P[:,2])),
    'columns of Arrow': pd.DataFrame(P, columns=CLASSES).astype('float64[pyarrow]'), 'columns that may be empty': pd.DataFrame(P).astype('Float64'),
    'a generator': lambda: (row for row in P), 'a generator of tensors': lambda: iter(torch.tensor(P)), 'a map': lambda: map(list, P),
    'values of a dict': dict(enumerate(P)).values(),
    'other names': pd.DataFrame(P, columns=['p0', 'p1', 'p2']), 'a dict of columns': OrderedDict(owl=P[:,2], dog=P[:,1].tolist(), cat=pd.Series(P[:,0]))}

def answer(form): return TAKEN[form]() if callable(TAKEN[form]) else TAKEN[form]

@pytest.mark.parametrize('form', TAKEN)
def test_paid_answers_are_taken(form):
    api = Api(lambda x: answer(form), CLASSES, SHAPE, budget=4)
    assert torch.allclose(api(IMAGES), torch.tensor(P).float(), atol=2e-3) and (api.n_queries, api.n_failed) == (4, 0)

@pytest.mark.parametrize('form', TAKEN)
def test_logits_are_taken(form):
    api = Api(adapted(lambda x: answer(form), answers='logits', classes=CLASSES), CLASSES, SHAPE)
    assert torch.allclose(api(IMAGES), torch.tensor(P).softmax(1).float(), atol=2e-3)

@pytest.mark.parametrize('answer, words', [
    ([[.5, .5], [1.]], 'got list'), (P*1j, 'complex'), (object(), 'got object'),
    (pd.DataFrame(P, columns=['cat', 'dog', 'fox']), 'cat, dog, fox'),
    (dict(cat=[1.]*4, dog=[0.]*4), 'cat, dog'), (dict(cat=P[:,0], error=P[:,1]), 'cat, error'),
    (np.ma.masked_equal(P, 1), 'masked'), (list(np.ma.masked_equal(P, 0)), 'masked'), (np.ma.masked_all((4, 3)), 'masked'), (torch.tensor(P)*1j, 'complex'),
    (torch.nested.nested_tensor([torch.tensor(P[0]), torch.tensor(P[1,:2])]), 'nested'),
    (pa.table(dict(cat=P[:,0], dog=P[:,1], fox=P[:,2])), 'cat, dog, fox'),
    (pa.array(P.tolist()), 'got'), (iter(P[:2]), 'got (2, 3)'), (iter([]), 'got (0,)'), (set(P[0]), 'got set'), (csr_matrix(P).T, 'got (3, 4)'),
    (P.astype([('cat', 'f8'), ('dog', 'f8')]), 'got ndarray'),
    (P[:3], 'shape (4, 3), got (3, 3)'), (None, 'got ()'), (P.T, 'got (3, 4)')])
def test_other_answers_are_named(answer, words):
    "In words, before the API is called a second time"
    calls = []
    api = Api(lambda x: calls.append(x) or answer, CLASSES, SHAPE)
    with pytest.raises(InvalidAnswer) as e: api(IMAGES)
    assert words in str(e.value) and '\n' not in str(e.value) and len(str(e.value)) < 400 and api.n_failed == 4 and len(calls) == 1

def test_a_generator_that_fails():
    "Its error is one of the API, as it is where a function fails at once"
    def rows(x):
        yield P[0]
        raise OSError('the line went dead')
    for make in (lambda: rows), (lambda: from_scores(rows, CLASSES)), (lambda: adapted(rows, answers='logits')):
        api = Api(make(), CLASSES, SHAPE)
        with pytest.raises(ApiError, match='the API failed on 4 images: OSError: the line went dead'): api(IMAGES)
        with pytest.raises(ApiError, match='failed on 1 image: '): api(IMAGES[:1])
        assert api.n_failed == 5

def scores(**p): return [dict(label=k, score=v) for k, v in p.items()]

@pytest.mark.parametrize('answer, expected', [
    (scores(cat=.5) + scores(cat=.25), [.75, .125, .125]), (scores(cat=.1, dog=.2) + scores(dog=.3), [.1, .5, .4]), (scores(owl=.5)*2, [0., 0., 1.]),
    (scores(cat='0.5', dog=.5), [.5, .5, 0]), (scores(dog=0.)*3, [.5, 0, .5])])
def test_a_label_that_is_named_twice_is_added_up(answer, expected):
    api = Api(from_scores(lambda pictures: [answer]*len(pictures), CLASSES), CLASSES, SHAPE)
    assert torch.allclose(api(IMAGES), torch.tensor(expected).expand(4, 3))
    again = Api(from_scores(lambda pictures: (answer for _ in pictures), CLASSES), CLASSES, SHAPE)     # from a generator
    assert torch.equal(again(IMAGES), api(IMAGES))

@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CLASSES), st.floats(0, 1)), min_size=1, max_size=12))
def test_nothing_of_an_answer_is_lost(pairs):
    "Whatever the order and the repetitions, each class has the sum of its scores"
    whole = sum(s for _, s in pairs) or 1.
    answer = [dict(label=k, score=s/whole) for k, s in pairs]
    p = Api(from_scores(lambda pictures: [answer], CLASSES), CLASSES, SHAPE)(IMAGES[:1])[0]
    for k, v in zip(CLASSES, p.tolist()):
        named = [o['score'] for o in answer if o['label'] == k]
        assert not named or abs(v - sum(named)) < 1e-5

ERRORS = {'a text': (dict(error='out of memory'), 'out of memory'), 'a message': (dict(error=dict(message='no such model', code=404)), 'no such model'),
          'a list': (dict(error=['too many', 'images']), 'too many'), 'two lines': (dict(error='line\nbreak'), 'line break'),
          'a number': (dict(error=17), '17'), 'deep': (dict(error=dict(detail=dict(message='quota'))), 'quota'),
          'a message alone': (dict(message='rate limited'), 'rate limited'), 'a list of errors': (dict(errors=[dict(message='no such key')]), 'no such key'),
          'a detail': (dict(detail=[dict(msg='too many images')]), 'too many images'), 'words': ('Too Many Requests', 'Too Many Requests')}

CLIENTS = {'of all': lambda said: from_scores(lambda pictures: said, CLASSES),
           'of each': lambda said: from_scores(lambda pictures: [said]*len(pictures), CLASSES),
           'direct': lambda said: lambda x: said, 'logits': lambda said: adapted(lambda x: said, answers='logits')}

@pytest.mark.parametrize('what', ERRORS)
@pytest.mark.parametrize('make', CLIENTS.values(), ids=CLIENTS)
def test_errors_in_place_of_answers_keep_their_words(what, make):
    said, words = ERRORS[what]
    api = Api(make(said), CLASSES, SHAPE)
    with pytest.raises(ApiError) as e: api(IMAGES)
    assert words in str(e.value) and '\n' not in str(e.value) and len(str(e.value)) < 300 and api.n_failed == 4

@pytest.mark.parametrize('client', CLIENTS)
def test_a_model_that_is_loading_costs_nothing(client):
    "Unless it is said of a single image: others may have been computed"
    api = Api(CLIENTS[client](dict(error='the model is loading', estimated_time=20.)), CLASSES, SHAPE, budget=4)
    with pytest.raises(ApiError, match='the model is loading'): api(IMAGES)
    assert api.remaining == 4*(client != 'of each')

def test_a_class_may_be_called_error():
    said = dict(error=[.75]*4, message=[.25]*4)
    assert Api(lambda x: said, ['error', 'message'], SHAPE)(IMAGES)[0].tolist() == [.75, .25]

def test_no_answer_at_all():
    with pytest.raises(InvalidAnswer, match='expected a list of answers, got None'): Api(from_scores(lambda x: None, CLASSES), CLASSES, SHAPE)(IMAGES)

def test_words_of_anything():
    deep = 'end'
    for _ in range(10_000): deep = dict(error=deep)
    assert error_words(deep) == error_words(None) == error_words([]) == error_words({}) == '' and len(error_words('x'*999)) == 200
