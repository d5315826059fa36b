"APIs over HTTP: a server in a process of its own, one that misbehaves on purpose, and messages that make no sense."
import asyncio, inspect, json, logging, math, os, random, shutil, signal, socket, subprocess, sys, time
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import ExitStack, contextmanager
from threading import Barrier, Event, Thread, active_count

import httpx
import numpy as np
import orjson
import pytest
import torch
from hypothesis import given, settings, strategies as st

import bidf_mkd.http_api
from bidf_mkd.api import Api, ApiError, BudgetExceeded, InvalidAnswer
from bidf_mkd.cli.apis import zoo_apis
from bidf_mkd.http_api import Connection, HttpApi
from bidf_mkd.http_api.connection import proxy_for, retry_after_seconds, run_within, status_error
from bidf_mkd.http_api.protocol import classes_of, input_of, output_of, read_answer, signature_of, write_tensor
from bidf_mkd.journal import Journal
from bidf_mkd.models import load_tensors
from bidf_mkd.recovery import recover
from bidf_mkd.serve import app, listen, server
from bidf_mkd.zoo import Zoo
from project import SMALL, command, command_here, environment, finish, run, served
from servers import CLASSES, FREE, SHAPE, WAITS, classifier, metadata, misbehaving

TOKEN = 'sesame-4711'
quick = settings(max_examples=40, deadline=None)

@pytest.fixture(autouse=True, scope='module')
def slept():
    "The pauses between attempts, which are not made here"
    with pytest.MonkeyPatch.context() as patch:
        pauses = []
        for module in bidf_mkd.http_api, bidf_mkd.http_api.connection: patch.setattr(module, 'sleep', pauses.append)
        yield pauses

def sent(s): return [n for _, n in s.received]

@pytest.mark.parametrize('datatype', ['FP16', 'FP32', 'FP64', 'UINT8'])
@pytest.mark.parametrize('binary', [True, False])
def test_says_the_same_as_in_process(binary, datatype):
    x = torch.randint(0, 256, (7, *SHAPE)).float()/255
    with misbehaving(binary=binary, datatype=datatype) as s:
        web = HttpApi(s.url, 'm', batch=3)
        p = web(x)
    assert sent(s) == [3, 3, 1] and (web.n_queries, web.n_failed) == (7, 0) and web.classes == tuple(CLASSES)
    seen = x.half().float() if datatype == 'FP16' else x
    assert torch.allclose(p, torch.from_numpy(classifier(seen)), atol=1e-4)
    if datatype == 'FP32': assert torch.equal(p, torch.cat([torch.from_numpy(classifier(o)) for o in x.split(3)]))    # not a bit is lost on the way

@pytest.mark.parametrize('fault, billed', [('500', 1), ('429', 0), ('reset', 1), ('close', 1), ('hang', 1), ('drip', 1), ('drip_head', 1), ('extra', None)])
def test_passing_faults_lose_nothing(fault, billed, slept):
    x = torch.rand(4, *SHAPE)
    with misbehaving('well', fault) as s:
        web = HttpApi(s.url, 'm', timeout=2 if fault in ('hang', 'drip', 'drip_head') else 30, batch=2, budget=20)
        slept.clear()
        p = web(x)
        assert torch.equal(p, torch.cat([torch.from_numpy(classifier(o)) for o in x.split(2)]))
    assert (web.n_queries, web.n_failed) == (4, 2*(billed or 0)) and sum(sent(s)) == 4 + 2*(billed is not None)
    if fault == '429': assert slept == [3.]                           # as long as it asked for

LASTING = {'500': 'on purpose', '429': 'asks to wait 3 s, and max_wait=10', 'later': 'asks to wait 7,200 s',
           '400': 'no such tensor', '401': 'set BIDF_MKD_TOKEN', '413': 'lower batch=',
           'redirect': 'redirects to localhost', 'close': 'the connection broke', 'reset': 'the connection broke', 'hang': 'did not answer in 0.3 s',
           'drip': 'did not answer in 0.3 s', 'drip_head': 'did not answer in 0.3 s', 'enormous': 'longer than', 'truncated': 'expected JSON',
           'shape': 'expected answers of shape (2, 5), got (2, 4)', 'nan': 'values from nan to nan', 'sums': 'should sum to 1', 'type': 'text/html',
           'packed': 'compressed', '503': 'upstream connect error', 'busy': 'answered 500 (busy)', 'fatal': 'answered 200 (out of memory)', '501': 'never',
           '408': 'too slow', 'waking': 'the model is not ready', 'loading': 'come back', 'estimated': 'currently loading', 'told': 'currently loading',
           'limited': 'secondary limit'}
AGAIN = {'500', '503', 'busy', '408', 'waking', 'close', 'reset', 'hang', 'drip', 'drip_head'}

@pytest.mark.parametrize('fault', LASTING)
def test_lasting_faults_end_with_a_sentence(fault, monkeypatch):
    monkeypatch.setenv('BIDF_MKD_TOKEN', TOKEN)
    with misbehaving('well', always=fault) as s, misbehaving() as other:
        s.elsewhere = other.url.replace('127.0.0.1', 'localhost')
        web = HttpApi(s.url, 'm', timeout=.3 if LASTING[fault].endswith('0.3 s') else 30, retries=2, batch=2, budget=50, max_wait=10)
        with pytest.raises(ApiError) as e: web(torch.rand(6, *SHAPE))
    said = str(e.value)
    assert LASTING[fault] in said and s.url in said and '\n' not in said and TOKEN not in said, said
    attempts = 3 if fault in AGAIN else 1 + int(10//(WAITS | {'429': 3}).get(fault, 11))
    assert sent(s) == [2] + [2]*attempts                              # the last two images were never sent
    assert (web.n_queries, web.n_failed) == (0, 2 + (0 if fault in {*FREE, 'later'} else 2*attempts))
    assert f'{web.n_failed} images may be on the bill' in said
    assert not other.heard and not other.received                     # nobody was sent elsewhere with a token
    assert all(h['authorization'] == f'Bearer {TOKEN}' for h in s.heard)

@pytest.mark.parametrize('fault', WAITS)
def test_a_named_wait_is_kept_and_costs_nothing(fault, slept, capsys):
    "More often than there are retries, and only so long as max_wait allows"
    with misbehaving(*[fault]*8) as s:
        web = HttpApi(s.url, 'm', retries=0, budget=3)
        slept.clear()
        web(torch.rand(3, *SHAPE))
    assert slept == [WAITS[fault]]*8 and (web.n_queries, web.n_failed) == (3, 0)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 8*(WAITS[fault] >= 5) and all(f'waiting {WAITS[fault]:.0f} s' in o for o in told)

def test_a_wait_is_counted_down_on_a_terminal(slept, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    with misbehaving('estimated') as s: HttpApi(s.url, 'm')(torch.rand(1, *SHAPE))
    told = capsys.readouterr().err
    assert all(f'currently loading); waiting {n} s' in told for n in range(1, 22)) and '\n' not in told

@pytest.mark.parametrize('header, body, wait', [
    ('2', b'', 2), ('0', b'', 0), ('Wed, 21 Oct 2015 07:28:00 GMT', b'', 0), ('7', b'{"estimated_time": 3}', 7), ('soon', b'{"estimated_time": 3}', 3),
    (None, b'{"error": "x", "retry_after": 1.5}', 1.5), (None, b'{"estimated_time": "20"}', 20), (None, b'{"estimated_time": -1}', None),
    (None, b'{"estimated_time": true}', None), (None, b'{"estimated_time": [20]}', None), (None, b'{"estimated_time": 1e300}', None), (None, b'20', None),
    (None, b'{"estimated_time": 1e-5}', 1e-5), (None, b'{"error": {"message": "x", "estimated_time": 1.5}}', 1.5)])
def test_waits_that_are_named(header, body, wait):
    e = status_error(503, {} if header is None else {'retry-after': header}, body)
    assert e.wait == wait and e.billed == (wait is None) and e.again

@pytest.mark.parametrize('words', ['Model is loading', 'model is initializing', 'Worker is not ready', 'has no worker to serve inference request'])
def test_a_server_may_say_in_plain_words_that_it_is_not_there_yet(words):
    e = status_error(503, {'content-type': 'text/plain; charset=utf-8'}, words.encode())
    assert not e.billed and e.again and words in str(e)

@pytest.mark.parametrize('status, billed, again', [
    (400, 0, 0), (403, 0, 0), (408, 0, 1), (425, 0, 1), (429, 0, 1), (500, 1, 1), (501, 0, 0), (502, 1, 1), (503, 1, 1), (504, 1, 1), (505, 0, 0)])
def test_statuses_that_name_no_wait(status, billed, again):
    e = status_error(status, {}, b'')
    assert (e.billed, e.again) == (billed, again)

def test_a_model_that_wakes_before_it_is_asked(slept):
    with misbehaving(ready=[False, False]) as s:
        slept.clear()
        assert HttpApi(s.url, 'm')(torch.rand(1, *SHAPE)).shape == (1, 5) and len(slept) == 2
    with misbehaving(ready=[False]*9) as s, pytest.raises(ApiError, match="model 'm' is not ready.*it says that it is not ready"): HttpApi(s.url, 'm')

def test_a_request_that_was_not_sent_to_its_end():
    "A server that reads nothing cannot compute: a large request to it is not on the bill, and a small one may be"
    with misbehaving() as s: web = HttpApi(s.url, 'm', timeout=1, retries=0, batch=100_000)
    with socket.create_server(('127.0.0.1', s.server_port), reuse_port=True) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        web.server.open = web.server._pool()
        with pytest.raises(ApiError, match='did not answer in 1 s'): web(torch.rand(30_000, *SHAPE))
        assert web.n_failed == 0
        with pytest.raises(ApiError, match='did not answer in 1 s; 2 images may be on the bill'): web(torch.rand(2, *SHAPE))
        assert web.n_failed == 2

def test_attempts_at_the_same_time():
    "None waits for another, nor for one that hangs; their threads are used again"
    over, together, results = Event(), Barrier(4), []
    with pytest.raises(TookTooLong): run_within(.05, over.wait)
    for _ in range(20):
        threads = [Thread(target=lambda: results.append(run_within(60, together.wait))) for _ in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
    over.set()
    assert sorted(results) == sorted([*range(4)]*20) and active_count() < 40

def test_nobody_there():
    with misbehaving() as s: web = HttpApi(s.url, 'm', retries=1)
    web.server.open = web.server._pool()                              # connections that are open already would do
    with pytest.raises(ApiError, match='is it running.*after 2 attempts'): web(torch.rand(3, *SHAPE))
    assert (web.n_queries, web.n_failed) == (0, 0)
    with pytest.raises(ApiError, match='is it running, and is the url right'): HttpApi(s.url, 'm', retries=0)

def test_a_retry_has_to_be_paid_for():
    with misbehaving(always='500') as s:
        web = HttpApi(s.url, 'm', budget=7)
        with pytest.raises(ApiError, match='budget does not pay'): web(torch.rand(3, *SHAPE))
        assert sent(s) == [3, 3] and web.n_failed == 6
        s.always = 'well'
        web(torch.rand(1, *SHAPE))
        with pytest.raises(BudgetExceeded, match='1 more image asked for'): web(torch.rand(1, *SHAPE))
    assert (web.n_queries, web.n_failed, sum(sent(s))) == (1, 6, 7)

def test_meters_and_journals_know_what_failed(tmp_path):
    "The failed attempts of a call are remembered by a journal, also when the program ends there; an outer meter keeps what was not sent"
    x = torch.rand(3, *SHAPE)
    with misbehaving('500', 'well', '500', '429', '400') as s:
        web = HttpApi(s.url, 'm', batch=3)
        journal, meter = Journal(web, tmp_path/'answers'), Api(web, CLASSES, SHAPE, budget=9)
        first = journal(x)
        with pytest.raises(ApiError): journal(x[:2])
        assert (web.n_queries, web.n_failed) == (3, 5)
        s.faults = ['400']
        with pytest.raises(ApiError): meter(x)
        assert meter.remaining == 9
        fresh = HttpApi(s.url, 'm')
        again = Journal(fresh, tmp_path/'answers')
        assert (fresh.n_queries, fresh.n_failed) == (3, 5) and torch.equal(again(x), first)

def test_recovery_survives():
    "Every fifth call fails: the same images, and the failures on the bill"
    def images(api): return [r.images for r in recover(api, torch.arange(5), steps=20, q=4, mu=.1, nz=4, ngf=2)][-1]
    chance = random.Random(0)
    with misbehaving(*(('500', 'close')[chance.random() < .5] if chance.random() < .2 else 'well' for _ in range(500))) as s:
        web = HttpApi(s.url, 'm', batch=10)
        assert torch.equal(images(web), images(Api(classifier_in_parts, CLASSES, SHAPE)))
    failed = [n for fault, n in s.received if fault != 'well']
    assert failed and web.n_failed == sum(failed) and web.n_queries == sum(sent(s)) - sum(failed)

def classifier_in_parts(x): return np.concatenate([classifier(o) for o in x.split(10)])

# secrets

def test_the_token_stays_secret(monkeypatch, caplog):
    monkeypatch.setenv('BIDF_MKD_TOKEN', TOKEN)
    caplog.set_level(logging.DEBUG)
    with misbehaving('well', '401', '500') as s:
        web = HttpApi(s.url, 'm', retries=0)
        web(torch.rand(1, *SHAPE))
        told = []
        for _ in range(2):
            with pytest.raises(ApiError) as e: web(torch.rand(1, *SHAPE))
            told += [str(e.value), repr(e.value)]
    assert 'what is Bearer ***?' in told[0] and s.heard[0]['authorization'] == f'Bearer {TOKEN}'
    held = [repr(web), repr(web.server), repr(vars(web)), repr(vars(web.server)), caplog.text, *told]
    assert TOKEN not in ''.join(held)

@pytest.mark.parametrize('token', ['two words', 'line\nbreak', 'ümlaut'])
def test_a_token_that_is_none(token, monkeypatch):
    monkeypatch.setenv('BIDF_MKD_TOKEN', token)
    with pytest.raises(ApiError, match='BIDF_MKD_TOKEN holds characters') as e: Connection('http://localhost')
    assert token not in str(e.value)

@pytest.mark.parametrize('url, warned', [
    ('http://models.example', True), ('https://models.example', False), ('http://localhost:1', False), ('http://[::1]:1', False)])
def test_warns_of_plain_http(url, warned, monkeypatch, recwarn):
    monkeypatch.setenv('BIDF_MKD_TOKEN', TOKEN)
    Connection(url)
    assert [TOKEN not in str(w.message) and 'plain http' in str(w.message) for w in recwarn] == [True]*warned

@pytest.mark.parametrize('url', ['http://user:word@host', 'http://word@host', 'http://host/?key=word', 'ftp://word', 'word', '', 'http://'])
def test_urls_that_are_refused(url):
    with pytest.raises(ValueError, match='BIDF_MKD_TOKEN') as e: Connection(url)
    assert 'word@' not in str(e.value) and 'key=' not in str(e.value)

PLACES = { # urls of places that cannot be -> what is said of them
    'http://h:65536': 'a port from 1 to 65535, got 65536', 'http://h:99999/models': 'got 99999', 'http://h:0': 'got 0', 'http://h:-1': 'got -1',
    'http://[::1]:70000': 'got 70000', 'http://h:http': "Invalid port: 'http'", 'http://two words': "can be called 'two words'", 'http://a..b': "'a..b'",
    'http://.a': "'.a'", 'http://-a.example': "'-a.example'", 'http://a|b:80': "'a|b'", 'http://*.example': "'*.example'", 'http://' + 'a'*64: "called 'aaa",
    'http://' + 'abc.'*64 + 'd': "called 'abc.abc.", 'http://1.2.3.999': "Invalid IPv4 address: '1.2.3.999'", 'http://[::g]': 'expected http'}

@pytest.mark.parametrize('url', PLACES)
def test_places_that_cannot_be(url, monkeypatch):
    "One rule for urls of servers, through the command too, and of proxies"
    code, _, err = command_here('demo', '--api', url)
    assert code == 2 and f'url: {PLACES[url]}' in err or PLACES[url] in err and 'error: url: ' in err, err
    assert len(err.splitlines()) == 1 and len(err) < 300
    monkeypatch.setenv('http_proxy', url)
    with pytest.raises(ValueError) as e: Connection('http://models.example')
    assert PLACES[url] in str(e.value) and str(e.value).startswith('http_proxy: ')

@pytest.mark.parametrize('url', ['http://ho_st', 'http://a.', 'http://ü.example:65535', 'http://[fe80::1]:1', 'http://10.0.0.1', 'http://m-1.svc.cluster.local:80/v1/x'])
def test_places_that_can_be(url): assert httpx.URL(url) == Connection(url).url

NO_NUMBERS = dict(batch=[2.5, '5', True, None, math.nan, 0], rate=['fast', math.nan, 0, [1]], timeout=['1', None, math.nan, math.inf, -1],
                  retries=[1.5, '3', None, math.nan], max_wait=[math.nan, '9', -1], budget=[math.nan, '5', None, -1], tolerance=[math.nan, 'small'])

@pytest.mark.parametrize('name', NO_NUMBERS)
def test_settings_that_are_no_numbers(name):
    with misbehaving() as s:
        for value in NO_NUMBERS[name]:
            with pytest.raises(ValueError, match=f'{name}: expected .*, got '): HttpApi(s.url, 'm', **{name: value})
        assert not s.received

# what a server says of its model

def output(name='p', shape=(-1, 5), datatype='FP32'): return dict(name=name, datatype=datatype, shape=list(shape))

def image_input(*shape, datatype='FP32'): return [dict(name='x', datatype=datatype, shape=list(shape))]

FITS = {
    'maps': (dict(outputs=[output(shape=(-1, 5, 1, 1))]), dict(always='maps')), 'nhwc': (dict(inputs=image_input(-1, 16, 16, 1)), dict(nhwc=True)),
    'no batch dimension': (dict(inputs=image_input(*SHAPE), outputs=[output(shape=[5])]), {}),
    'one image, without a batch dimension': (dict(inputs=image_input(*SHAPE), outputs=[output(shape=[5])]), dict(strict=[*SHAPE])),
    'nhwc without a batch dimension': (dict(inputs=image_input(16, 16, 1)), dict(nhwc=True)),
    'BF16 answers': (dict(outputs=[output(datatype='BF16')]), dict(always='bf16')),
    'BF16 images': (dict(inputs=image_input(-1, *SHAPE, datatype='BF16')), {}),
    'BF16 images as text': (dict(inputs=image_input(-1, *SHAPE, datatype='BF16')), dict(binary=False)),
    'a label beside it': (dict(outputs=[output('label', [-1], 'INT64'), output(), output('features', [-1, 512])]), {}),
    'a batch of one': (dict(inputs=image_input(1, *SHAPE), outputs=[output(shape=(1, 5))]), dict(strict=[1, *SHAPE])),
    'classes that are numbers': (dict(parameters=dict(classes=[0, 1, 2, 3.5, '4'])), {}),
    'lengths that are not said': (dict(inputs=image_input(-1, 1, -1, -1), outputs=[output(shape=(-1, -1))]), {}),
    'nothing': (dict(inputs=[], outputs=None, parameters=None), {})}

@pytest.mark.parametrize('what', FITS)
def test_metadata_that_fit(what):
    change, behaviour = FITS[what]
    given = dict(shape=SHAPE, classes=CLASSES) if what in ('nothing', 'lengths that are not said') else {}
    x = torch.rand(5, *SHAPE)
    with misbehaving(meta=metadata(**change), **behaviour) as s:
        web = HttpApi(s.url, 'm', budget=5, **given)
        assert torch.allclose(web(x), torch.from_numpy(classifier(x)), atol=.02 if 'BF16' in what else 1e-5)
    assert web.shape == SHAPE and (web.n_queries, web.n_failed) == (5, 0) and web.signature.layout == ('nhwc' if 'nhwc' in what else 'nchw')
    assert sent(s) == ([1]*5 if what in ('one image, without a batch dimension', 'a batch of one') else [5])
    assert what != 'classes that are numbers' or web.classes == ('0', '1', '2', '3.5', '4')

@pytest.mark.parametrize('fixed, n, faults, parts', [(2, 5, (), [2, 2, 2]), (8, 3, (), [8]), (8, 8, (), [8]), (3, 4, ('500', '429'), [3, 3, 3, 3])])
def test_a_batch_of_a_fixed_size_is_filled_up(fixed, n, faults, parts):
    "What fills it up is computed, so it counts, and a call that cannot pay for it is not made"
    x, billed = torch.rand(n, *SHAPE), sum(parts) - fixed*len({*faults} & FREE)
    meta = metadata(inputs=image_input(fixed, *SHAPE), outputs=[output(shape=(fixed, 5))])
    with misbehaving(*faults, meta=meta, strict=[fixed, *SHAPE]) as s:
        with pytest.warns(UserWarning, match=f'takes {fixed} images at a time'): web = HttpApi(s.url, 'm', budget=billed)
        assert torch.allclose(web(x), torch.from_numpy(classifier(x)), atol=1e-5)
        assert sent(s) == parts and (web.n_queries, web.n_failed) == (n, billed - n)
        with pytest.raises(BudgetExceeded): web(x[:1])
        assert sent(s) == parts

TWO = dict(outputs=[output('logits'), output('softmax')])
CONTRADICTS = {
    'two outputs': (TWO, {}, 'logits, softmax may be the probabilities: choose one with output='),
    'an output that is not there': (TWO, dict(output='scores'), 'no output'),
    'an output of labels': (dict(outputs=[output(), output('label', [-1], 'INT64')]), dict(output='label'), 'label INT64'),
    'another head': (dict(outputs=[output('domain', (-1, 2)), output('features', (-1, 512))]), {}, 'domain FP32 [-1, 2]'),
    'five classes for four': (dict(outputs=[output(shape=(-1, 4))], parameters=None), dict(classes=CLASSES), 'each of 5 classes'),
    'four names for five': ({}, dict(classes=CLASSES[:4]), 'the server has 5'),
    'another order': ({}, dict(classes=CLASSES[::-1]), 'the server has 5, a, b, c, d, e'),
    'pixels, not classes': (dict(outputs=[output(shape=(-1, 5, 16, 16))]), {}, 'each of 5 classes'),
    'channels first or last': (dict(inputs=image_input(-1, 3, 9, 3)), {}, 'give layout='),
    'another shape': ({}, dict(shape=(3, 16, 16)), 'the server expects (1, 16, 16)'), 'another layout': ({}, dict(layout='hwc'), 'nchw or nhwc'),
    'nhwc for nchw': (dict(inputs=image_input(-1, 3, 32, 32)), dict(layout='nhwc'), 'shape (3, 32, 32), which is nchw; got nhwc'),
    'nchw for nhwc': (dict(inputs=image_input(-1, 16, 16, 1)), dict(layout='nchw'), 'which is nhwc; got nchw'),
    'nhwc for nchw, without a batch dimension': (dict(inputs=image_input(1, 28, 28)), dict(layout='nhwc'), 'which is nchw'),
    'nhwc for nchw of any size': (dict(inputs=image_input(-1, 3, -1, -1)), dict(layout='nhwc'), 'which is nchw'),
    'nhwc and a shape of nchw': (dict(inputs=image_input(-1, 3, 32, 32)), dict(layout='nhwc', shape=(3, 32, 32)), 'the server expects'),
    'fewer images than a batch has': (dict(inputs=image_input(8, *SHAPE)), dict(batch=3), 'batch: it takes 8 images at a time, got 3'),
    'classes that are no names': (dict(parameters=dict(classes=[True, None, 1, 2, 3])), {}, 'give classes='),
    'classes that are equal as text': (dict(parameters=dict(classes=[1, '1', 2, 3, 4])), {}, 'must differ'),
    'no shape': (dict(inputs=image_input(-1, -1, -1, 3)), {}, 'give shape='), 'two inputs': (dict(inputs=image_input(-1, *SHAPE)*2), {}, 'one input')}

@pytest.mark.parametrize('what', CONTRADICTS)
def test_contradictions_are_told_before_anything_is_paid(what):
    change, given, words = CONTRADICTS[what]
    with misbehaving(meta=metadata(**change)) as s:
        with pytest.raises(ValueError) as e: HttpApi(s.url, 'm', **given)
    said = str(e.value)
    assert words in said and (s.url in said or 'must differ' in said) and len(said) < 400 and '\n' not in said and not s.received, said

def test_an_output_is_chosen():
    "By its name, also where the first one fits"
    def both(self):
        p = classifier(self.x)
        outputs = [dict(name=k, datatype='FP32', shape=list(p.shape), data=v.ravel().tolist()) for k, v in (('logits', np.log(p)), ('softmax', p))]
        self.send(200, orjson.dumps(dict(outputs=outputs)))
    x = torch.rand(3, *SHAPE)
    with misbehaving(meta=metadata(**TWO), always='both') as s, pytest.MonkeyPatch.context() as patch:
        patch.setattr(s.RequestHandlerClass, 'do_both', both, raising=False)
        assert torch.allclose(HttpApi(s.url, 'm', output='softmax')(x), torch.from_numpy(classifier(x)), atol=1e-5)
        with pytest.raises(InvalidAnswer, match='no probabilities'): HttpApi(s.url, 'm', output='logits')(x)

@pytest.mark.parametrize('version', [2, '2'])
def test_a_version_is_chosen(version):
    with misbehaving() as s:
        HttpApi(s.url, 'm', version=version)(torch.rand(2, *SHAPE))
        with pytest.raises(ApiError, match="model 'm', version 3 is not ready.*404"): HttpApi(s.url, 'm', version=3)
    assert [h['path'] for h in s.heard if 'path' in h] == ['/v2/models/m/versions/2/infer']

# where it runs

@pytest.mark.parametrize('host, no_proxy, direct', [
    ('[fd12::7]', 'fd00::/8', True), ('[fe80::7]', 'fd00::/8', False), ('models.example', 'fd00::/8', False), ('[fd12::7]', '[fd00::]/8', True),
    ('[fd12::7]', 'a, [fd12::7]', True), ('10.1.2.3', '10.0.0.0/8,fd00::/8', True), ('11.1.2.3', '10.0.0.0/8', False), ('models.example', '.example', True),
    ('models.example', 'fe80::%eth0/64, a/b, 1/2, models.example', True), ('models.example', 'other, *', True),
    ('models.example', 'models.example:81', True), ('models.example', 'models.example:82', False), ('a.models.example', 'x, .models.example:81', True),
    ('10.1.2.3', '10.1.2.3:81', True), ('10.1.2.3', '10.1.2.3:8', False), ('[fd12::7]', '[fd12::7]:81', True), ('[fd12::7]', '[fd12::7]:82', False),
    ('models.example', '', False), ('[::1]', '', True)])
def test_no_proxy(host, no_proxy, direct, monkeypatch):
    for scheme in 'http', 'https':
        monkeypatch.setenv(f'{scheme}_proxy', 'proxy.example:3128')
        monkeypatch.setenv('no_proxy', no_proxy)
        found = proxy_for(httpx.URL(f'{scheme}://{host}:81'))
        assert found is None if direct else str(found[0].url) == 'http://proxy.example:3128' and found[1] == f'{scheme}_proxy'
        Connection(f'{scheme}://{host}:81')

def test_a_proxy_is_asked(monkeypatch):
    with misbehaving() as s:
        monkeypatch.setenv('http_proxy', s.url)
        with pytest.raises(ApiError, match='404'): Connection('http://models.example').ready('v2/health/ready')
    assert s.heard[0]['Host'] == 'models.example'
    monkeypatch.setenv('no_proxy', 'models.example:80')               # the port that is meant where none is said
    assert not Connection('http://models.example').proxy and Connection('https://models.example').proxy is None

PROXIES = {'http://me:word@proxy:port': 'expected http://host:port', 'ftp://me:word@proxy:1': 'expected http://host:port', 'http://': 'expected http://host:port',
           'http://proxy:1/path': 'expected http://host:port', 'http//proxy:1': 'expected http://host:port', ':3128': 'expected http://host:port',
           'proxy:99999': 'a port from 1 to 65535', 'http://me:word@two words:1': "no host can be called 'two words'",
           'socks5://me:word@proxy:1': 'needs socksio'}

@pytest.mark.parametrize('proxy', PROXIES)
@pytest.mark.parametrize('name', ['http_proxy', 'ALL_PROXY'])
def test_a_proxy_that_is_none(proxy, name, monkeypatch):
    "It is named by its variable, without the password that may be in it"
    monkeypatch.setitem(sys.modules, 'socksio', None)
    monkeypatch.setenv(name, proxy)
    code, _, err = command_here('demo', '--api', 'http://models.example')
    assert code == 2 and f'error: {name}: ' in err and PROXIES[proxy] in err and 'word@' not in err and len(err.splitlines()) == 1, err

@pytest.mark.parametrize('name', ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'])
def test_a_proxy_that_is_not_there(name, monkeypatch):
    "The proxy is to blame, and its variable, not the server"
    [port] = free_ports(1)
    monkeypatch.setenv(name, f'http://me:word@127.0.0.1:{port}')
    code, _, err = command_here('demo', '--api', 'http://models.example', '--retries', '0')
    assert code == 2 and f'http://models.example through the proxy http://127.0.0.1:{port} ({name}): no connection' in err and 'is the proxy running' in err
    assert 'word' not in err and len(err.splitlines()) == 1

@pytest.mark.parametrize('status, words', [(407, 'no connection (407 ON PURPOSE)'), (502, 'no connection (502 ON PURPOSE)')])
def test_a_proxy_that_refuses(status, words, monkeypatch):
    def refuse(self): self.send_response(status, 'ON PURPOSE'); self.send_header('content-length', '0'); self.end_headers()
    with misbehaving() as s, pytest.MonkeyPatch.context() as patch:
        patch.setattr(s.RequestHandlerClass, 'do_CONNECT', refuse, raising=False)
        patch.setattr(s.RequestHandlerClass, 'do_GET', refuse)
        monkeypatch.setenv('all_proxy', s.url)
        with pytest.raises(ApiError) as e: Connection('https://models.example', retries=0).ready('v2/health/ready')
        assert f'through the proxy {s.url} (all_proxy): {words}' in str(e.value)
        with pytest.raises(ApiError) as e: Connection('http://models.example', retries=0).ready('v2/health/ready')
        assert f'through the proxy {s.url} (all_proxy): it answered {status}' in str(e.value) and ('user and a password' in str(e.value)) == (status == 407)

CERTIFICATES = 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'

@pytest.mark.parametrize('name', CERTIFICATES)
@pytest.mark.parametrize('what', ['missing', 'empty', 'no certificate'])
def test_certificates_that_are_none(name, what, tmp_path, monkeypatch):
    for o in CERTIFICATES: monkeypatch.delenv(o, raising=False)
    path = tmp_path/'ca.pem'
    if what != 'missing': path.write_text('' if what == 'empty' else 'hello')
    monkeypatch.setenv(name, str(path))
    Connection('http://models.example')                               # which needs none
    with pytest.raises(ValueError, match=f'{name}: expected certificates .PEM., cannot read {path}') as e: Connection('https://models.example')
    assert '\n' not in str(e.value)
    code, _, err = command_here('demo', '--api', 'https://models.example')
    assert code == 2 and name in err and str(path) in err and len(err.splitlines()) == 1

CERTIFIED = [ # variable, what it names (FOLDER, FILE and GONE are made), which part of it is named, and why
    ('SSL_CERT_FILE', 'FOLDER', 'FOLDER', 'Is a directory'), ('SSL_CERT_DIR', 'GONE', 'GONE', 'No such file'),
    ('SSL_CERT_DIR', 'FILE', 'FILE', 'Not a directory'),
    ('SSL_CERT_DIR', f'FOLDER{os.pathsep}GONE', 'GONE', 'No such file'), ('SSL_CERT_DIR', f'FOLDER{os.pathsep}FILE', 'FILE', 'Not a directory'),
    ('SSL_CERT_FILE', 'FILE/x', 'FILE/x', 'Not a directory'), ('REQUESTS_CA_BUNDLE', 'GONE', 'GONE', 'No such file')]

@pytest.mark.parametrize('name, value, part, why', CERTIFIED)
def test_certificates_of_another_kind(name, value, part, why, tmp_path, monkeypatch):
    import certifi
    def place(text): return text.replace('FOLDER', str(tmp_path)).replace('FILE', certifi.where()).replace('GONE', str(tmp_path/'gone'))
    for o in CERTIFICATES: monkeypatch.delenv(o, raising=False)
    monkeypatch.setenv(name, place(value))
    with pytest.raises(ValueError) as e: Connection('https://models.example')
    assert f'{name}: expected certificates (PEM), cannot read {place(part)}: {why}' in str(e.value)

def test_certificates_that_are_there(tmp_path):
    import certifi
    for name, path in [('SSL_CERT_FILE', certifi.where()), ('SSL_CERT_DIR', tmp_path), ('REQUESTS_CA_BUNDLE', tmp_path),
                       ('SSL_CERT_DIR', f'{tmp_path}{os.pathsep}{tmp_path}')]:
        with pytest.MonkeyPatch.context() as patch:
            for o in CERTIFICATES: patch.delenv(o, raising=False)
            patch.setenv(name, str(path))
            Connection('https://models.example')

# messages that make no sense

anything = st.recursive(st.none() | st.booleans() | st.integers(-2**63, 2**63) | st.floats() | st.text(max_size=5),
                        lambda o: st.lists(o, max_size=4) | st.dictionaries(st.text(max_size=5), o, max_size=4), max_leaves=12)

@st.composite
def messages(draw, key, name, shape):
    "A message that is nearly right, and its headers"
    n = int(np.prod(shape))
    spec = dict(name=name, datatype='FP32', shape=shape, data=[.2]*n)
    if draw(st.booleans()): spec = {k: v for k, v in spec.items() if k != 'data'} | dict(parameters=dict(binary_data_size=draw(st.integers(0, 5*n))))
    if draw(st.booleans()): spec[draw(st.sampled_from(['name', 'datatype', 'shape', 'data', 'parameters']))] = draw(anything)
    text = {key: [spec]*draw(st.integers(0, 2) if draw(st.booleans()) else st.just(1))}
    if draw(st.booleans()): text[draw(st.sampled_from([key, 'id', 'parameters', 'outputs']))] = draw(anything)
    body = json.dumps(text).encode()
    headers = {}
    if draw(st.booleans()): headers = {'inference-header-content-length': draw(st.just(str(len(body))) | st.text(max_size=4) | st.integers(-9, 999).map(str))}
    body += draw(st.just(b'') | st.binary(max_size=4*n) | st.just(np.full(n, .2, '<f4').tobytes()))
    damaged = st.just(body) | st.integers(0, len(body)).map(lambda n: body[:n]) | st.binary(max_size=40)
    return draw(damaged), headers

many = settings(max_examples=400, deadline=None)

@many
@given(messages('outputs', 'p', [2, 5]), st.sampled_from(['p', None]), st.none() | st.text(max_size=20))
def test_any_answer_is_read_or_named(message, output, kind):
    body, headers = message
    try: p = read_answer(body, headers if kind is None else headers | {'content-type': kind}, 2, 5, output)
    except ValueError as e: assert len(str(e)) < 500
    else: assert p.shape == (2, 5) and p.dtype == np.float32

@many
@given(anything | st.builds(lambda o, k: {k: o}, anything, st.sampled_from(['inputs', 'outputs', 'parameters'])))
def test_any_metadata_is_read_or_named(meta):
    meta = meta if isinstance(meta, dict) else dict(inputs=[meta], outputs=[meta], parameters=dict(classes=meta))
    for f in input_of, classes_of, lambda o: output_of(o, 5), signature_of, lambda o: signature_of(o, CLASSES, SHAPE):
        try: f(meta)
        except ValueError as e: assert len(str(e)) < 500

@many
@given(st.text(max_size=30) | st.integers().map(str), st.binary(max_size=30) | anything.map(lambda o: json.dumps(dict(error=o)).encode()))
def test_any_error_is_told(retry_after, body):
    wait = retry_after_seconds(retry_after)
    assert (wait is None or 0 <= wait) and len(str(status_error(503, {'retry-after': retry_after}, body))) < 300

async def call(app, method, path, body=b'', headers={}):
    "Status, headers and body of an answer, without a network"
    said, scope = [], dict(type='http', http_version='1.1', method=method, path=path, raw_path=path.encode(), query_string=b'', client=('127.0.0.1', 1),
        headers=[(k.lower().encode(), v.encode('utf-8', 'replace')) for k, v in headers.items()], server=('127.0.0.1', 80), scheme='http', root_path='')
    async def receive(): return dict(type='http.request', body=body, more_body=False)
    async def send(message): said.append(message)
    await app(scope, receive, send)
    return said[0]['status'], {k.decode(): v.decode() for k, v in said[0]['headers']}, b''.join(m.get('body', b'') for m in said)

@many
@given(messages('inputs', 'images', [2, 1, 2, 2]), st.none() | st.text('abc/;\u00e9', max_size=12), st.none() | st.sampled_from(['FP32', 'UINT8']))
def test_any_request_is_answered_or_refused(message, kind, datatype):
    (body, headers), asked = message, []
    def f(x):
        asked.append(x)
        return np.full((len(x), 2), .5)
    api = Api(f, 'ab', (1, 2, 2))
    tried = app(dict(m=api), datatype=datatype or 'FP32')
    status, headers, said = asyncio.run(call(tried, 'POST', '/v2/models/m/infer', body, headers if kind is None else headers | {'content-type': kind}))
    assert status in (200, 400, 415) and (status == 200) == len(asked)
    if status != 200: assert set(orjson.loads(said)) == {'error'} and b'Traceback' not in said

# our server

@contextmanager
def serving(apis, around=lambda app: app, **limits):
    "The url of a server in a thread"
    place, url = listen(port=0)
    running = server(around(app(apis, **limits)))
    thread = Thread(target=running.run, args=([place],), daemon=True)
    thread.start()
    try: yield url
    finally:
        running.should_exit = True
        thread.join()

def simple(f=classifier): return Api(f, CLASSES, SHAPE)

@pytest.mark.parametrize('datatype', ['FP16', 'FP32', 'FP64', 'UINT8'])
def test_client_and_server(datatype):
    x = torch.randint(0, 256, (5, *SHAPE)).float()/255
    with serving(dict(m=simple()), datatype=datatype) as url:
        assert torch.allclose(HttpApi(url, 'm')(x), simple()(x), atol=1e-2 if datatype == 'FP16' else 1e-5)
        with pytest.raises(ApiError, match='its models are m'): HttpApi(url, 'n')
        with pytest.raises(ValueError, match='the server expects'): HttpApi(url, 'm', shape=(1, 8, 8))

@pytest.mark.parametrize('binary', [True, False])
def test_triton_client(binary):
    "A client that is not ours"
    import tritonclient.http as triton
    x = torch.rand(3, *SHAPE)
    with serving(dict(m=simple())) as url:
        client = triton.InferenceServerClient(url.removeprefix('http://'))
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready('m')
        meta = client.get_model_metadata('m')
        assert 'binary_tensor_data' in client.get_server_metadata()['extensions'] and meta['inputs'][0]['shape'] == [-1, *SHAPE]
        tensor = triton.InferInput(meta['inputs'][0]['name'], list(x.shape), 'FP32')
        tensor.set_data_from_numpy(x.numpy(), binary_data=binary)
        name = meta['outputs'][0]['name']
        answer = client.infer('m', [tensor], outputs=[triton.InferRequestedOutput(name, binary_data=binary)], request_id='7')
        assert np.allclose(answer.as_numpy(name), classifier(x), atol=1e-6) and answer.get_response()['id'] == '7'
        assert ('binary_data_size' in str(answer.get_response())) == binary
        with pytest.raises(triton.InferenceServerException, match='expected images of shape'):
            wrong = triton.InferInput('images', [1, 2], 'FP32')
            wrong.set_data_from_numpy(np.zeros((1, 2), 'f4'), binary_data=binary)
            client.infer('m', [wrong])

def test_rounded_answers_do_not_sum_to_one():
    "What a server rounds to one digit is an answer; what is no rounding is nonsense"
    x, flat = torch.rand(20, *SHAPE), lambda x: np.tile([.44, .44, .04, .04, .04], (len(x), 1))
    with serving(dict(m=Api(flat, CLASSES, SHAPE, reveals=['top_2', 'digits_1']), n=Api(flat, CLASSES, SHAPE, reveals='digits_1'))) as url:
        for name, expected in ('m', [.4, .4, 0, 0, 0]), ('n', [.4, .4, 0, 0, 0]):
            assert torch.allclose(HttpApi(url, name)(x), torch.tensor(expected).expand(20, 5), atol=1e-6)
    for p in [.41, .4, 0, 0, 0], [.1, 0, 0, 0, 0], [0]*5, [.9]*5:
        with pytest.raises(InvalidAnswer): Api(lambda x: np.tile(p, (len(x), 1)), CLASSES, SHAPE)(x)

def test_clients_have_budgets(monkeypatch):
    "Each token is a client, whose images are counted by model; requests at the same time do not overspend"
    def hold(token): monkeypatch.setenv('BIDF_MKD_TOKEN', token)
    with serving(dict(m=simple(), n=simple()), token='one, two', budget=20) as url:
        with pytest.raises(ApiError, match='401.*set BIDF_MKD_TOKEN'): HttpApi(url, 'm', retries=0)
        hold('one')
        HttpApi(url, 'n')(torch.rand(5, *SHAPE))
        apis, results = [HttpApi(url, 'm', retries=0) for _ in range(8)], []
        def ask(api):
            try: results.append(len(api(torch.rand(5, *SHAPE))))
            except ApiError as e: results.append(str(e))
        threads = [Thread(target=ask, args=(a,)) for a in apis]
        for t in threads: t.start()
        for t in threads: t.join()
        assert results.count(5) == 3 and sum('left of a budget of 20' in str(r) for r in results) == 5
        assert Connection(url).get('v2/usage')['models'] == {'m': 15, 'n': 5} and sum(a.n_queries for a in apis) == 15
        hold('two')
        assert Connection(url).get('v2/usage')['n_queries'] == 0

def test_clients_have_rates(slept):
    with serving(dict(m=simple()), rate=.5) as url:
        web = HttpApi(url, 'm', max_wait=30)
        web(torch.rand(10, *SHAPE))
        slept.clear()
        with pytest.raises(ApiError, match='0.5 images per second'): web(torch.rand(1, *SHAPE))
        assert len(slept) == 1 and 10 < slept[0] <= 20 and (web.n_queries, web.n_failed) == (10, 0)

def test_our_own_rate(slept):
    with serving(dict(m=simple())) as url:
        slept.clear()
        HttpApi(url, 'm', batch=10, rate=.1)(torch.rand(30, *SHAPE))
        assert len(slept) == 2 and all(s > 50 for s in slept)

def test_goes_on_listening_while_a_model_thinks():
    thinking, done = Event(), Event()
    def slow(x):
        thinking.set()
        assert done.wait(60)
        return classifier(x)
    with serving(dict(m=simple(slow))) as url:
        answers, web = [], HttpApi(url, 'm')
        thread = Thread(target=lambda: answers.append(web(torch.rand(1, *SHAPE))))
        thread.start()
        assert thinking.wait(60)
        Connection(url).ready('v2/health/live')
        assert not answers
        done.set()
        thread.join()
    assert len(answers) == 1

def test_a_model_that_fails_tells_no_secret():
    def fails(x): raise RuntimeError(f'the password is {TOKEN}')
    with serving(dict(m=simple(fails))) as url:
        said = httpx.post(f'{url}/v2/models/m/infer', content=write_tensor('inputs', 'images', np.zeros((1, *SHAPE), '<f4'))[0])
        assert said.status_code == 500 and set(said.json()) == {'error'} and TOKEN not in said.text and 'Traceback' not in said.text
        assert httpx.get(f'{url}/v2/usage').json()['n_queries'] == 0

@pytest.mark.parametrize('head, body', [('content-length: 900000000', b''), ('transfer-encoding: chunked', b'bb8\r\n' + b'0'*3000 + b'\r\n')])
def test_a_request_that_is_too_large_is_not_read_to_its_end(head, body):
    with serving(dict(m=simple()), most_bytes=2000) as url, socket.create_connection(('127.0.0.1', int(url.split(':')[2]))) as s:
        s.settimeout(60)
        s.sendall(f'POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n'.encode() + body)
        said = b''
        while part := s.recv(9999): said += part                      # until it hangs up, though the request is not complete
    assert b' 413 ' in said and b'2,000 bytes' in said

# a server that is not ours

RUNTIME = f"""
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

{inspect.getsource(classifier)}
class Runtime(MLModel):
    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        with open('received', 'a') as f: print(len(x), file=f)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output('p', classifier(x).astype(x.dtype))])
"""
MODELS = dict(silent={}, told=dict(inputs=[dict(name='x', datatype='FP64', shape=[-1, *SHAPE])], outputs=[dict(name='p', datatype='FP64', shape=[-1, 5])]))

@pytest.fixture(scope='session')
def mlserver(tmp_path_factory):
    "MLServer's command, in an environment of its own"
    env = tmp_path_factory.mktemp('mlserver')
    python, package = env/'bin'/'python', 'mlserver==1.7.1'
    run(sys.executable, '-m', 'venv', env)
    if shutil.which('uv'): run('uv', 'pip', 'install', '--quiet', '--python', python, package)
    else: run(python, '-m', 'pip', 'install', '--quiet', package)
    return env/'bin'/'mlserver'

def free_ports(n):
    with ExitStack() as stack: return [stack.enter_context(socket.create_server(('127.0.0.1', 0))).getsockname()[1] for _ in range(n)]

@contextmanager
def mlserving(mlserver, folder):
    "The url of MLServer with our models"
    (folder/'runtime.py').write_text(RUNTIME)
    for name, meta in MODELS.items():
        (folder/name).mkdir()
        (folder/name/'model-settings.json').write_text(json.dumps(dict(name=name, implementation='runtime.Runtime') | meta))
    ports = dict(zip(('http_port', 'grpc_port', 'metrics_port'), free_ports(3)))
    (folder/'settings.json').write_text(json.dumps(dict(host='127.0.0.1', parallel_workers=0, debug=False) | ports))
    url, log = f'http://127.0.0.1:{ports["http_port"]}', folder/'log'
    with open(log, 'w') as f: process = subprocess.Popen([mlserver, 'start', '.'], cwd=folder, env=environment(PYTHONPATH='.'), stdout=f, stderr=f)
    try:
        until = time.monotonic() + 120
        while not all(answers(f'{url}/v2/models/{name}/ready') for name in MODELS):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(.1)
        yield url
    finally:
        process.kill()
        process.wait()

def answers(url):
    try: return httpx.get(url).is_success
    except httpx.TransportError: return False

@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 13), reason='MLServer 1.7.1 is for Python 3.12 and older')
def test_mlserver(mlserver, tmp_path):
    "Single precision and a model without metadata, double precision and one with; no binary tensors, and no list of models"
    x = torch.rand(120, *SHAPE)
    with mlserving(mlserver, tmp_path) as url:
        for name in MODELS:
            web = HttpApi(url, name, classes=CLASSES, shape=SHAPE, batch=50, budget=130)
            assert not web.binary and web.signature[:2] == (('x', 'FP64') if name == 'told' else ('input', 'FP32'))
            assert torch.allclose(web(x), torch.from_numpy(classifier(x)), atol=1e-6)
            assert (web.n_queries, web.n_failed, web.remaining) == (120, 0, 10)
            with pytest.raises(BudgetExceeded): web(x[:11])
        assert (tmp_path/'received').read_text().split() == ['50', '50', '20']*2
        assert HttpApi(url, 'told', classes=CLASSES).shape == SHAPE
        with pytest.raises(ValueError, match='give shape='): HttpApi(url, 'silent', classes=CLASSES)
        with pytest.raises(ApiError, match='give classes='): HttpApi(url, 'told')
        with pytest.raises(ApiError, match="model 'cat' is not ready.*404.*cat not found"): HttpApi(url, 'cat', classes=CLASSES, shape=SHAPE)

# processes of their own

def said(*args, **env): return finish(command(*args, OMP_NUM_THREADS='1', **env))

def same(ours, theirs):
    "Whether two demos learned the same"
    a, b = (json.loads((o/'results.json').read_text()) for o in (ours, theirs))
    assert all(a[k] == b[k] for k in ('rows', 'n_queries', 'queries_by_api'))
    for p in (ours/'recovered').glob('*.png'): assert p.read_bytes() == (theirs/'recovered'/p.name).read_bytes()
    weights, expected = (load_tensors(o/'model.safetensors', 'model')[0] for o in (ours, theirs))
    assert all(torch.allclose(v, expected[k], atol=1e-5) for k, v in weights.items())
    return a

def test_a_demo_over_http(whole, tmp_path):
    out = tmp_path/'demo'
    with served(whole/'zoo', '--port', '0', BIDF_MKD_TOKEN=TOKEN) as (url, _):
        code, printed, err = said(*SMALL, '--out', out, '--api', url, BIDF_MKD_TOKEN=TOKEN)
        assert code == 0, err
        usage = httpx.get(f'{url}/v2/usage', headers={'authorization': f'Bearer {TOKEN}'}).json()
        assert said(*SMALL, '--out', tmp_path/'other', '--api', url)[0] == 2                    # without the token
    results = same(out, whole)
    assert usage['models'] == {f'{i:03}': n for i, n in enumerate(results['queries_by_api'].values())} and not results['n_failed']
    assert json.loads((out/'settings.json').read_text())['api'] == url and not (out/'zoo').exists()
    assert TOKEN not in printed + err and not [p for p in out.rglob('*') if p.is_file() and TOKEN.encode() in p.read_bytes()]

@pytest.mark.slow
def test_a_server_that_dies(whole, tmp_path):
    "The demo ends with a sentence; once the server is back, the same command goes on, and asks nothing twice"
    out = tmp_path/'demo'
    with served(whole/'zoo', '--port', '0', '--budget', '1500') as (url, _):                    # as good as dead after 1,500 images
        args = *SMALL, '--out', out, '--api', url
        code, _, err = said(*args)
        spent = httpx.get(f'{url}/v2/usage').json()['n_queries']
    errors = [line for line in err.splitlines() if line.startswith('bidf-mkd: error')]
    assert code == 2 and len(errors) == 1 and 'left of a budget of 1,500' in errors[0] and 'go on with: bidf-mkd demo' in errors[0], err
    code, _, err = said(*args)
    assert code == 2 and 'is it running' in err
    with served(whole/'zoo', '--port', url.split(':')[2]) as (back, _):
        assert back == url
        code, _, err = said(*args)
        assert code == 0, err
        rest = httpx.get(f'{url}/v2/usage').json()['n_queries']
    results = same(out, whole)
    assert spent + rest == results['n_queries'] and not results['n_failed']

ASLEEP = dict(header=(503, {'retry-after': '300'}, b'the model is loading'), body=(503, {}, b'{"error": "the model is loading", "estimated_time": 20}'),
              full=(429, {'retry-after': '7'}, b''), broken=(500, {}, b'{"error": "on purpose"}'))

def napping(naps):
    "What puts a web application to sleep: for each name in the list, one request for answers gets the one in `ASLEEP`"
    def around(app):
        async def asleep(scope, receive, send):
            if not (naps and scope.get('path', '').endswith('/infer')): return await app(scope, receive, send)
            status, headers, body = ASLEEP[naps.pop(0)]
            await send(dict(type='http.response.start', status=status, headers=[(k.encode(), v.encode()) for k, v in headers.items()]))
            await send(dict(type='http.response.body', body=body))
        return asleep
    return around

def test_waiting_is_not_paying(whole, tmp_path, slept):
    "A server that is asleep is waited for; starts that gave up, were killed or interrupted meanwhile cost nothing, and once it wakes the whole budget is there"
    naps, out = ['header']*3, tmp_path/'demo'
    with serving(zoo_apis(Zoo(whole/'zoo')), napping(naps)) as url:
        args = *SMALL, '--out', out, '--api', url, '--budget', '800'
        code, _, err = command_here(*args, '--max-wait', '200')
        assert code == 2 and 'asks to wait 300 s' in err and 'try again then' in err and 'on the bill' not in err and 'kept' not in err, err
        assert [p.name for p in out.iterdir()] == ['.lock']           # a start that failed leaves nothing
        for end, expected in (signal.SIGKILL, -9), (signal.SIGINT, 130):
            process = command(*args)
            while 'waiting 300 s' not in (line := process.stderr.readline()): assert line, process.communicate()
            process.send_signal(end)
            assert finish(process)[0] == expected
        assert not naps and httpx.get(f'{url}/v2/usage').json()['n_queries'] == 0
        naps += ['body', 'full', 'body']
        slept.clear()
        code, said, err = command_here(*args)
        assert code == 0 and slept == [20, 7, 20] and err.count('the model is loading); waiting 20 s') == 2, err
        usage = httpx.get(f'{url}/v2/usage').json()
    results = json.loads((out/'results.json').read_text())
    assert results['n_failed'] == 0 and 600 < usage['n_queries'] == results['n_queries'] <= 800 and 'not answered' not in said

@pytest.mark.parametrize('more', [[], ['-p', 'trust_images', '16']])
def test_failures_do_not_use_up_a_budget_silently(more, whole, tmp_path):
    "Each start that gets no answer is a failure, and says what may be on the bill; so is one that has nothing left to spend"
    naps = ['broken']*10_000
    with serving(zoo_apis(Zoo(whole/'zoo')), napping(naps)) as url:
        args = *SMALL, '--out', tmp_path/'demo', '--api', url, '--budget', '800', '--retries', '100', *more
        ends = [command_here(*args)]
        while 'another attempt' in ends[-1][2]: ends.append(command_here(*args))
        naps.clear()                                                  # too late: it may all be on the bill
        ends.append(command_here(*args))
        assert httpx.get(f'{url}/v2/usage').json()['n_queries'] == 0
    for code, _, err in ends:
        error, = [line for line in err.splitlines() if line.startswith('bidf-mkd: error')]
        assert code == 2 and len(ends) == 4 and ('may be on the bill' in error or 'of which 800 were sent and never answered' in error), error
    assert all('no API' in err for _, _, err in ends[-2:]) and not (tmp_path/'demo'/'results.json').exists()

@pytest.mark.parametrize('option', ['--batch 0', '--rate 0', '--timeout 0', '--retries -1', '--max-wait -1', '--layout hwc', '--output logits', '--version 7'])
def test_options_of_a_server(option, whole, tmp_path):
    "They arrive where they count, and are refused in one line"
    with serving(zoo_apis(Zoo(whole/'zoo'))) as url:
        code, _, err = command_here(*SMALL, '--out', tmp_path/'demo', '--api', url, *option.split())
        assert code == 2 and len(err.splitlines()) == 1 and option.split()[0].strip('-').replace('-', '_') in err.replace('-', '_'), err
    code, _, err = command_here('demo', *option.split())
    assert code == 2 and 'give --api URL' in err

@pytest.mark.parametrize('way', [4, 12])
def test_a_server_of_other_tasks(way, tmp_path):
    "A demo is about tasks of five classes"
    def f(x): return np.full((len(x), way), 1/way)
    with serving(dict(m=Api(f, range(way), (3, 32, 32)), n=Api(f, range(way), (3, 32, 32)))) as url:
        code, _, err = command_here(*SMALL, '--out', tmp_path/'demo', '--api', url)
        assert code == 2 and f'{url} serves models of {way} classes' in err and 'bidf-mkd learn' in err and len(err.splitlines()) == 1, err
        assert httpx.get(f'{url}/v2/usage').json()['n_queries'] == 0 and not (tmp_path/'demo').exists()
        code, _, err = command_here(*SMALL, '--out', tmp_path/'demo', '--api', f'{url}/nope')
        assert code == 2 and '404' in err and 'kept' not in err and len(err.splitlines()) == 1 and not (tmp_path/'demo').exists(), err

def test_ctrl_c_ends_a_server(whole):
    with served(whole/'zoo', '--port', '0') as (url, process):
        Connection(url).ready('v2/health/ready')
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 0 and not process.stderr.read()

@pytest.mark.parametrize('args, word', [(['serve', '/nowhere'], 'holds no models'), (['demo', '--api', 'http://u:p@host'], 'without user, password')])
def test_errors_are_one_line(args, word):
    code, _, err = command_here(*args)
    assert code == 2 and word in err and len(err.strip().splitlines()) == 1, err
