"A few-shot classifier over HTTP: a server in a process of its own, asked by plain requests and by clients of the protocol."
import os, re, signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread

import httpx
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from tritonclient import http as triton

from bidf_mkd.data import draw
from bidf_mkd.fewshot import HEADS, FewShotClassifier
from bidf_mkd.http_api import Connection, HttpApi
from bidf_mkd.models import conv4, seeded
from bidf_mkd.serve import FEW_SHOT, MOST_STORED, app, listen, read_names, server
from project import ROOT, command_here, python, served

CLASSES, TOKEN = ('■', '• dot', '|'), 'sesame-4712'
INFER, LOAD, UNLOAD = f'/v2/models/{FEW_SHOT}/infer', '/v2/repository/models/{}/load', '/v2/repository/models/{}/unload'

def drawn(n):
    "`n` images of each class, and their names"
    return torch.cat([draw(c[0], n) for c in CLASSES])/255, [c for c in CLASSES for _ in range(n)]

SUPPORT, LABELS = drawn(3)
IMAGES = drawn(5)[0]

def tensor(name, x): return dict(name=name, datatype='FP32', shape=list(x.shape), data=x.flatten().tolist())

def names(labels): return dict(name='labels', datatype='BYTES', shape=[len(labels)], data=list(labels))

def task(support=SUPPORT, labels=LABELS, images=None, **more):
    "The body of a request"
    return dict(inputs=[tensor('support', support), names(labels)] + ([] if images is None else [tensor('images', images)])) | more

def probabilities(answer):
    "Of an answer, in JSON: probabilities, and the names of the classes"
    [spec] = answer['outputs']
    return np.array(spec['data']).reshape(spec['shape']), answer['parameters']['classes']

def fitted(model, head='prototype'):
    own = FewShotClassifier.load(model)
    own.head = head
    return own.fit(SUPPORT, LABELS)

@contextmanager
def serving(classifier, **limits):
    "A server in this process, which needs no start; its url"
    place, url = listen(port=0)
    running = server(app(classifier, **limits))
    thread = Thread(target=running.run, args=([place],))
    thread.start()
    try: yield url
    finally:
        running.should_exit = True
        thread.join()

@pytest.fixture(scope='module')
def url(whole):
    "A server of what a demo has learned"
    with served(whole, '--port', '0', '--max-bytes', '4000000', BIDF_MKD_TOKEN=TOKEN) as (url, _): yield url

@pytest.fixture
def client(url):
    with httpx.Client(base_url=url, headers={'authorization': f'Bearer {TOKEN}'}, timeout=60) as client: yield client

@pytest.mark.parametrize('head', HEADS)
def test_examples_come_with_the_request(client, whole, head):
    answer = client.post(INFER, json=task(images=IMAGES, id='9', parameters=dict(head=head)))
    p, classes = probabilities(answer.json())
    own = fitted(whole, head)
    assert answer.status_code == 200 and answer.json()['id'] == '9' and classes == list(own.classes_)
    assert np.allclose(p, own.predict_proba(IMAGES), atol=1e-4)

def test_examples_are_stored_under_a_name(client, url, whole, monkeypatch):
    monkeypatch.setenv('BIDF_MKD_TOKEN', TOKEN)
    before = client.get('/v2/usage').json()['n_queries']
    assert client.post(LOAD.format('mine'), json=task()).json() == dict(name='mine', classes=sorted(CLASSES))
    assert client.get('/v2/models').json() == dict(models=[FEW_SHOT, 'mine'])
    api = HttpApi(url, 'mine')          # it is an API like others
    assert api.classes == tuple(sorted(CLASSES)) and api.shape == (3, 32, 32)
    assert np.allclose(api(IMAGES), fitted(whole).predict_proba(IMAGES), atol=1e-4)
    assert client.get('/v2/usage').json()['n_queries'] - before == len(SUPPORT) + len(IMAGES)
    assert client.post(LOAD.format('mine'), json=task()).status_code == 409
    assert client.post(UNLOAD.format('mine'), json={}).status_code == 200
    assert client.get('/v2/models/mine/ready').status_code == client.post(UNLOAD.format('mine'), json={}).status_code == 404

@pytest.mark.parametrize('binary', [False, True])
def test_another_client_of_the_protocol(url, whole, binary):
    "Triton's client, which sends and reads bytes by default"
    headers = dict(authorization=f'Bearer {TOKEN}')
    inputs = [triton.InferInput('support', list(SUPPORT.shape), 'FP32'), triton.InferInput('labels', [len(LABELS)], 'BYTES'),
              triton.InferInput('images', list(IMAGES.shape), 'FP32')]
    for o, x in zip(inputs, (SUPPORT.numpy(), np.array(LABELS, object), IMAGES.numpy())): o.set_data_from_numpy(x, binary_data=binary)
    client = triton.InferenceServerClient(url.removeprefix('http://'))
    assert client.is_model_ready(FEW_SHOT, headers=headers) and client.get_model_metadata(FEW_SHOT, headers=headers)['inputs'][1]['datatype'] == 'BYTES'
    answer = client.infer(FEW_SHOT, inputs, outputs=[triton.InferRequestedOutput('probabilities', binary_data=binary)], headers=headers)
    assert np.allclose(answer.as_numpy('probabilities'), fitted(whole).predict_proba(IMAGES), atol=1e-4)
    assert answer.get_response()['parameters']['classes'] == sorted(CLASSES)

SMALL, PAIR = task(SUPPORT[:4], LABELS[:4], IMAGES[:1]), task(SUPPORT[2:4], LABELS[2:4])

WRONG = {
    'no labels': (400, dict(inputs=[tensor('support', SUPPORT), tensor('images', IMAGES)]), 'support, labels, images'),
    'no image': (400, task(), 'support, labels, images'), 'one class': (400, task(SUPPORT[:3], LABELS[:3], IMAGES), 'two classes'),
    'a label too few': (400, task(labels=LABELS[1:], images=IMAGES), 'a label for each image'),
    'labels that are numbers': (400, dict(inputs=[tensor('support', SUPPORT), dict(names([1, 2]), data=[1, 2]), tensor('images', IMAGES)]), 'a list of names'),
    'labels of another type': (400, dict(inputs=[tensor('support', SUPPORT), dict(names(LABELS), datatype='FP32'), tensor('images', IMAGES)]), 'BYTES'),
    'another size': (400, task(SUPPORT[..., 1:], images=IMAGES), "support: expected images of shape ['n', 3, 32, 32]"),
    'bright images': (400, task(SUPPORT*2, images=IMAGES), '[0, 1]'),
    'no head': (400, task(images=IMAGES, parameters=dict(head='hair')), 'head: expected one of'),
    'too many': (413, task(torch.rand(200, 3, 32, 32), ['a', 'b']*100, IMAGES), '4,000,000 bytes'), 'no task': (400, [], 'inputs')}

@pytest.mark.parametrize('how', WRONG)
def test_bad_requests_are_told_and_cost_nothing(client, how):
    status, body, words = WRONG[how]
    before = client.get('/v2/usage').json()
    answer = client.post(INFER, json=body)
    assert answer.status_code == status and list(answer.json()) == ['error'] and words in answer.json()['error'], answer.text
    assert client.get('/v2/usage').json() == before

@pytest.mark.parametrize('name, words', [('a b', 'a name of letters'), ('x'*65, 'a name of letters'), (FEW_SHOT, 'there is a model')])
def test_names_that_cannot_be_taken(client, name, words):
    answer = client.post(LOAD.format(name), json=task())
    assert answer.status_code in (400, 409) and words in answer.json()['error']

@pytest.mark.parametrize('method, path', [('POST', INFER), ('POST', LOAD.format('a')), ('POST', UNLOAD.format('a')), ('GET', f'/v2/models/{FEW_SHOT}'),
                                          ('GET', f'/v2/models/{FEW_SHOT}/ready'), ('GET', '/v2/models')])
def test_a_token_is_required_everywhere(url, method, path): assert httpx.request(method, url + path, json=SMALL).status_code == 401

def test_a_saved_classifier_brings_its_examples(whole, tmp_path):
    own = fitted(whole)
    own.save(tmp_path/'mine.safetensors')
    with served(tmp_path/'mine.safetensors', '--port', '0') as (url, process):
        assert np.allclose(HttpApi(url, 'saved')(IMAGES), own.predict_proba(IMAGES), atol=1e-4)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 0 and not process.stderr.read()

def test_a_name_is_taken_once_and_memory_is_limited():
    "Eight requests at once for one name, then as many support sets as there may be"
    with serving(FewShotClassifier(seeded(0, conv4, 5))) as url, httpx.Client(base_url=url, timeout=60) as client:
        def load(name): return client.post(LOAD.format(name), json=PAIR)
        with ThreadPoolExecutor(8) as pool: told = [o.status_code for o in pool.map(load, ['same']*8)]
        assert sorted(told) == [200] + [409]*7 and client.get('/v2/usage').json()['n_queries'] == 2
        for i in range(1, MOST_STORED): assert load(i).status_code == 200
        answer = load('more')
        assert answer.status_code == 409 and f'{MOST_STORED} support sets' in answer.json()['error']
        assert len(Connection(url).models()) == MOST_STORED + 1

def test_images_of_both_kinds_are_paid_for():
    with serving(FewShotClassifier(seeded(0, conv4, 5)), budget=10) as url:
        for status, left in ((200, 5), (200, 0), (429, 0)):
            assert httpx.post(url + INFER, json=SMALL).status_code == status and httpx.get(f'{url}/v2/usage').json()['remaining'] == left

def test_policies_are_those_of_a_zoo(whole):
    code, said, err = command_here('serve', whole, '--reveals', 'label_only')
    assert code == 2 and not said and len(err.splitlines()) == 1 and 'of a zoo' in err

@given(st.binary(max_size=40), st.lists(st.integers(0, 9), max_size=2))
@settings(max_examples=200, deadline=None)
def test_any_labels_are_read_or_refused(raw, shape):
    try: assert len(read_names(dict(datatype='BYTES', shape=shape), raw)) == shape[0]
    except ValueError as e: assert re.match('labels: expected', str(e))

def test_names_in_bytes():
    body = b''.join(len(o.encode()).to_bytes(4, 'little') + o.encode() for o in LABELS)
    assert read_names(dict(datatype='BYTES', shape=[9]), memoryview(body)) == LABELS

def test_a_class_behind_one_server(whole):
    "What docs/teaching.md tells teachers to do: the server, a student's code, and a budget for each"
    blocks = re.findall(r'```(\w+)\n(.*?)```', (ROOT/'docs'/'teaching.md').read_text(encoding='utf-8'), re.S)
    tokens, [command] = re.search(r'BIDF_MKD_TOKEN=(\S+)', blocks[0][1])[1], re.findall(r'bidf-mkd serve (.*)', blocks[0][1])
    options = command.split()[1:]
    options[options.index('--port') + 1] = '0'
    options[options.index('--host') + 1] = '127.0.0.1'
    code = '\n'.join(text for kind, text in blocks if kind == 'python')
    with served(whole/'zoo', *options, BIDF_MKD_TOKEN=tokens) as (url, _):
        anna, ben = tokens.split(',')
        said = python('-c', f'{code}\nimport torch; api(torch.zeros(7, *api.shape))', SERVER=url, BIDF_MKD_TOKEN=anna)
        assert "'budget': 5000" in said
        left = [httpx.get(f'{url}/v2/usage', headers={'authorization': f'Bearer {o}'}).json()['remaining'] for o in (anna, ben)]
    assert left == [4993, 5000]
