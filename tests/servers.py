"A server of models that misbehaves on purpose, in a thread."
import os, socket, struct
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import numpy as np
import orjson

from bidf_mkd.http_api.protocol import as_bfloat16, read_message, read_tensor, write_tensor

SHAPE, CLASSES = (1, 16, 16), list('abcde')

def classifier(x):
    "Probabilities from numpy"
    score = np.exp(np.asarray(x).reshape(len(x), -1) @ np.random.default_rng(0).normal(size=(256, 5)).astype('f4'))
    return (score/score.sum(1, keepdims=True)).astype('<f4')

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
        known = {'/v2/health/ready': {}, '/v2': dict(extensions=['binary_tensor_data']*s.binary), '/v2/models': dict(models=['m'])}
        ready = s.ready.pop(0) if self.path.endswith('m/ready') and s.ready else True
        for model in '/v2/models/m', '/v2/models/m/versions/2':
            known |= {model: s.meta, f'{model}/ready': dict(ready=ready)}
        self.send(200 if self.path in known else 404, orjson.dumps(known.get(self.path, dict(error='nothing here'))))

    def do_POST(self):
        s = self.server
        s.heard.append(dict(self.headers) | dict(path=self.path))
        body = self.rfile.read(int(self.headers['content-length']))
        _, [(spec, raw)] = read_message(body, {k.lower(): v for k, v in self.headers.items()}, 'inputs')
        if s.strict and spec['shape'] != s.strict: return self.do_400()
        x = read_tensor(spec, raw)/(255 if spec['datatype'] == 'UINT8' else 1)
        self.x = x[None] if x.ndim == 3 else np.moveaxis(x, -1, 1) if s.nhwc else x
        fault = s.faults.pop(0) if s.faults else s.always
        s.received.append((fault, len(self.x)))
        getattr(self, f'do_{fault}')()

    def answer(self, p=None, **headers):
        self.send(200, write_tensor('outputs', 'p', classifier(self.x) if p is None else p)[0], **headers)

    def do_well(self): self.answer()

    def do_bf16(self):
        body, headers = write_tensor('outputs', 'p', as_bfloat16(classifier(self.x)), True)
        self.send(200, body, **{k: v for k, v in headers.items() if k != 'content-length'})

    def do_maps(self): self.answer(classifier(self.x)[:,:,None,None])

    def do_loading(self): self.send(503, b'{"error": "come back"}', retry_after='2')

    def do_estimated(self): self.send(503, b'{"error": "Model m is currently loading", "estimated_time": 20.123456789012345}')

    def do_told(self): self.send(200, b'{"error": "Model m is currently loading", "estimated_time": 4}')

    def do_waking(self): self.send(503, b'{"detail": "the model is not ready"}')

    def do_limited(self): self.send(403, b'{"message": "secondary limit"}', retry_after='5')

    def do_408(self): self.send(408, b'{"error": "too slow"}')

    def do_501(self): self.send(501, b'{"error": "never"}')

    def do_503(self): self.send(503, b'{"error": "upstream connect error"}')

    def do_busy(self): self.send(500, b'{"error": "busy"}', retry_after='2')

    def do_fatal(self): self.send(200, b'{"error": {"code": 7, "message": "out of memory"}}')

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

def metadata(**change):
    "What a server says of its model"
    return dict(inputs=[dict(name='x', datatype='FP32', shape=[-1, *SHAPE])], outputs=[dict(name='p', datatype='FP32', shape=[-1, len(CLASSES)])],
                parameters=dict(classes=CLASSES)) | change

@contextmanager
def misbehaving(*faults, always='well', binary=True, datatype='FP32', meta=None, ready=(), nhwc=False, strict=None):
    """A server with faults; `received`: what happened to how many images, `heard`: headers. `ready`: what it says of the model, one time after the other;
    `strict`: it takes nothing but this shape"""
    s = Quiet(('127.0.0.1', 0), Handler)
    s.faults, s.always, s.binary, s.ready, s.nhwc, s.strict = list(faults), always, binary, list(ready), nhwc, strict
    s.received, s.heard, s.over = [], [], Event()
    s.meta = meta or metadata(inputs=[dict(name='x', datatype=datatype, shape=[-1, *SHAPE])])
    s.url = f'http://127.0.0.1:{s.server_port}'
    thread = Thread(target=s.serve_forever, args=(.01,), daemon=True)
    thread.start()
    try: yield s
    finally:
        s.over.set(); s.shutdown(); s.server_close(); thread.join()

# what certainly was not computed, and what may have been

REFUSED = '429', '400', '401', '413', 'redirect'
WAITS = dict(loading=2, estimated=20.123456789012345, told=4, limited=5) # seconds
FREE = {*REFUSED, *WAITS, '429', '408', '501', 'waking'}
