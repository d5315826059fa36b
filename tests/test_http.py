"APIs over HTTP: a server in a process of its own, one that misbehaves on purpose, and messages that make no sense."
import asyncio, inspect, json, logging, os, random, shutil, signal, socket, struct, subprocess, sys, time
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Event, Thread, active_count

import httpx
import numpy as np
import orjson
import pytest
import torch
from hypothesis import given, settings, strategies as st

import bidf_mkd.http_api
from bidf_mkd.api import Api, ApiError, BudgetExceeded, InvalidAnswer
from bidf_mkd.http_api import (Connection, HttpApi, classes_of, input_of, output_of, read_answer, read_message, read_tensor, retry_after_seconds, run_within,
                               server_message, write_tensor)
from bidf_mkd.journal import Journal
from bidf_mkd.models import load_tensors
from bidf_mkd.recovery import recover
from bidf_mkd.serve import app, listen, server
from project import SMALL, command, command_here, environment, finish, run, served

SHAPE, CLASSES, TOKEN = (1, 16, 16), list('abcde'), 'sesame-4711'
quick = settings(max_examples=40, deadline=None)

def classifier(x):
    "Probabilities from numpy"
    score = np.exp(np.asarray(x).reshape(len(x), -1) @ np.random.default_rng(0).normal(size=(256, 5)).astype('f4'))
    return (score/score.sum(1, keepdims=True)).astype('<f4')

@pytest.fixture(autouse=True, scope='module')
def slept():
    "The pauses between attempts, which are not made here"
    with pytest.MonkeyPatch.context() as patch:
        pauses = []
        patch.setattr(bidf_mkd.http_api, 'sleep', pauses.append)
        yield pauses

# a server that misbehaves

class Handler(BaseHTTPRequestHandler):
    "Does what its server's list of faults says next, or answers"
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args): pass

    def send(self, status, body, **headers):
        self.send_response(status)
        for k, v in ({'content-type': 'application/json', 'content-length': len(body)} | {k.replace('_', '-'): v for k, v in headers.items()}).items():
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        s = self.server
        s.heard.append(dict(self.headers))
        meta = dict(inputs=[dict(name='x', datatype=s.datatype, shape=[-1, *SHAPE])], outputs=[dict(name='p', datatype='FP32', shape=[-1, 5])],
                    parameters=dict(classes=CLASSES))
        known = {'/v2/health/ready': {}, '/v2': dict(extensions=['binary_tensor_data']*s.binary), '/v2/models/m/ready': {}, '/v2/models/m': meta}
        self.send(200 if self.path in known else 404, orjson.dumps(known.get(self.path, dict(error='nothing here'))))

    def do_POST(self):
        s = self.server
        s.heard.append(dict(self.headers))
        body = self.rfile.read(int(self.headers['content-length']))
        _, [part] = read_message(body, {k.lower(): v for k, v in self.headers.items()}, 'inputs')
        self.x = read_tensor(*part)/(255 if s.datatype == 'UINT8' else 1)
        fault = s.faults.pop(0) if s.faults else s.always
        s.received.append((fault, len(self.x)))
        getattr(self, f'do_{fault}')()

    def answer(self, p=None, **headers):
        self.send(200, write_tensor('outputs', 'p', classifier(self.x) if p is None else p)[0], **headers)

    def do_well(self): self.answer()

    def do_500(self): self.send(500, b'{"error": "on purpose"}')

    def do_429(self): self.send(429, b'{"error": "too fast"}', retry_after='3')

    def do_later(self): self.send(503, b'{"error": "tomorrow"}', retry_after='7200')

    def do_400(self): self.send(400, b'{"error": "no such tensor"}')

    def do_401(self): self.send(401, orjson.dumps(dict(error=f'what is {self.headers["authorization"]}?')))

    def do_413(self): self.send(413, b'{"error": "too much"}')

    def do_redirect(self): self.send(307, b'', location=f'{self.server.elsewhere}{self.path}')

    def do_close(self): self.close_connection = True

    def do_reset(self):
        self.send_response(200)
        self.send_header('content-length', '1000')
        self.end_headers()
        self.wfile.write(b'{"outputs": [')
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True

    def do_hang(self): self.server.over.wait(20)

    def drip(self, head):
        self.wfile.write(head)
        try:
            while not self.server.over.wait(.05): self.wfile.write(b'x')
        except OSError: pass

    def do_drip(self): self.drip(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n')

    def do_drip_head(self): self.drip(b'HTTP/1.1 200 OK\r\ncontent-type: ')

    def do_enormous(self):
        self.wfile.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000000000\r\n\r\n')
        try:
            while not self.server.over.is_set(): self.wfile.write(b' '*100_000)
        except OSError: pass

    def do_truncated(self): self.send(200, b'{"outputs": [{"name": "p", "data": [.3')

    def do_shape(self): self.answer(classifier(self.x)[:,:4])

    def do_nan(self): self.answer(classifier(self.x)*np.float32('nan'))

    def do_sums(self): self.answer(classifier(self.x)/2)

    def do_type(self): self.answer(content_type='text/html')

    def do_packed(self): self.answer(content_encoding='gzip')

    def do_extra(self):
        p = dict(name='p', datatype='FP32', shape=[len(self.x), 5], data=classifier(self.x).ravel().tolist())
        others = dict(name='label', datatype='BYTES', shape=[1], data=['cat']), dict(name='q', datatype='FP32', shape=[len(self.x), 5], data=[0.]*5*len(self.x))
        self.send(200, orjson.dumps(dict(outputs=[others[0], p, others[1]])))

class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    def handle_error(self, *args): pass                               # connections that are cut are what it is for

@contextmanager
def misbehaving(*faults, always='well', binary=True, datatype='FP32'):
    "A server with faults; `received`: what happened to how many images, `heard`: headers"
    s = Quiet(('127.0.0.1', 0), Handler)
    s.faults, s.always, s.binary, s.datatype, s.received, s.heard, s.over = list(faults), always, binary, datatype, [], [], Event()
    s.url = f'http://127.0.0.1:{s.server_port}'
    thread = Thread(target=s.serve_forever, args=(.01,), daemon=True)
    thread.start()
    try: yield s
    finally:
        s.over.set(); s.shutdown(); s.server_close(); thread.join()

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

LASTING = {'500': 'on purpose', '429': 'too fast', 'later': 'asks to wait 7,200 s', '400': 'no such tensor', '401': 'set BIDF_MKD_TOKEN', '413': 'lower batch=',
           'redirect': 'redirects to localhost', 'close': 'the connection broke', 'reset': 'the connection broke', 'hang': 'did not answer in 0.3 s',
           'drip': 'did not answer in 0.3 s', 'drip_head': 'did not answer in 0.3 s', 'enormous': 'longer than', 'truncated': 'expected JSON',
           'shape': 'expected answers of shape (2, 5), got (2, 4)', 'nan': 'values from nan to nan', 'sums': 'should sum to 1', 'type': 'text/html',
           'packed': 'compressed'}
FREE, AGAIN = {'429', '400', '401', '413', 'redirect'}, {'500', '429', 'close', 'reset', 'hang', 'drip', 'drip_head'}

@pytest.mark.parametrize('fault', LASTING)
def test_lasting_faults_end_with_a_sentence(fault, monkeypatch):
    monkeypatch.setenv('BIDF_MKD_TOKEN', TOKEN)
    with misbehaving('well', always=fault) as s, misbehaving() as other:
        s.elsewhere = other.url.replace('127.0.0.1', 'localhost')
        web = HttpApi(s.url, 'm', timeout=.3 if LASTING[fault].endswith('0.3 s') else 30, retries=2, batch=2, budget=50)
        with pytest.raises(ApiError) as e: web(torch.rand(6, *SHAPE))
    said = str(e.value)
    assert LASTING[fault] in said and s.url in said and '\n' not in said and TOKEN not in said, said
    attempts = 3 if fault in AGAIN else 1
    assert sent(s) == [2] + [2]*attempts                              # the last two images were never sent
    assert (web.n_queries, web.n_failed) == (0, 2 + (0 if fault in FREE else 2*attempts))
    assert not other.heard and not other.received                     # nobody was sent elsewhere with a token
    assert all(h['authorization'] == f'Bearer {TOKEN}' for h in s.heard)

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
    with pytest.raises(ApiError, match='is it running'): HttpApi(s.url, 'm', retries=0)

def test_a_retry_has_to_be_paid_for():
    with misbehaving(always='500') as s:
        web = HttpApi(s.url, 'm', budget=7)
        with pytest.raises(ApiError, match='budget does not pay'): web(torch.rand(3, *SHAPE))
        assert sent(s) == [3, 3] and web.n_failed == 6
        s.always = 'well'
        web(torch.rand(1, *SHAPE))
        with pytest.raises(BudgetExceeded): web(torch.rand(1, *SHAPE))
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

OUTCOMES = 'well', '500', 'reset', 'close', '429', '400', 'truncated', 'nan', 'sums', 'shape'

@quick
@given(budget=st.integers(0, 60), calls=st.lists(st.integers(1, 12), max_size=8), batch=st.integers(1, 8),
       faults=st.lists(st.sampled_from(OUTCOMES), max_size=30))
def test_budget_with_failures(budget, calls, batch, faults):
    with misbehaving(*faults) as s:
        web = HttpApi(s.url, 'm', budget=budget, batch=batch, retries=2)
        answered = 0
        for n in calls:
            try: answered += len(web(torch.rand(n, *SHAPE)))
            except (ApiError, BudgetExceeded): pass
            assert web.n_queries + web.n_failed <= budget
    assert web.n_queries == answered
    assert web.n_queries + web.n_failed == sum(n for fault, n in s.received if fault not in FREE) <= budget

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
    for f in input_of, classes_of:
        try: f(meta)
        except ValueError as e: assert len(str(e)) < 500
    assert output_of(meta, 5) is None or output_of(meta, 5)

@many
@given(st.text(max_size=30) | st.integers().map(str), st.binary(max_size=30) | anything.map(lambda o: json.dumps(dict(error=o)).encode()))
def test_any_error_is_told(retry_after, body):
    wait = retry_after_seconds(retry_after)
    assert (wait is None or 0 <= wait) and len(server_message(body)) < 300

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
def serving(apis, **limits):
    "The url of a server in a thread"
    place, url = listen(port=0)
    running = server(app(apis, **limits))
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
        web = HttpApi(url, 'm', retries=1)
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
            assert not web.binary and (web.input, web.datatype) == (('x', 'FP64') if name == 'told' else ('input', 'FP32'))
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

def test_ctrl_c_ends_a_server(whole):
    with served(whole/'zoo', '--port', '0') as (url, process):
        Connection(url).ready('v2/health/ready')
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 0 and not process.stderr.read()

@pytest.mark.parametrize('args, word', [(['serve', '/nowhere'], 'holds no models'), (['demo', '--api', 'http://u:p@host'], 'without user, password')])
def test_errors_are_one_line(args, word):
    code, _, err = command_here(*args)
    assert code == 2 and word in err and len(err.strip().splitlines()) == 1, err
