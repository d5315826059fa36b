"""What HTTP costs: images per second on loopback with a light model. Batches against single images, binary tensors against JSON, ours against a bare
starlette app that is asked by a bare httpx client (both are in this file).

python benchmarks/over_http.py [--repeats 3] prints a table and writes results/http.json."""
import argparse, json, os, platform, time
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import httpx, numpy as np, orjson, torch, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bidf_mkd.api import Api
from bidf_mkd.http_api import HttpApi
from bidf_mkd.demo import versions
from bidf_mkd.serve import app, listen, server

HERE, SHAPE, WAY = Path(__file__).parent, (3, 32, 32), 5

def light(x):
    "A model that costs nearly nothing"
    p = np.asarray(x)[:, 0, 0, :WAY] + 1e-3
    return p/p.sum(1, keepdims=True)

# the bare figure: no checks, no counts, no metadata

async def bare_infer(request):
    body, n = await request.body(), int(request.headers.get('inference-header-content-length', 0))
    text = orjson.loads(body[:n] if n else body)
    [spec] = text['inputs']
    x = np.frombuffer(body[n:], '<f4') if n else np.array(spec['data'], '<f4')
    p = light(x.reshape(spec['shape'])).astype('<f4')
    said = dict(name='p', datatype='FP32', shape=list(p.shape))
    if not n: return Response(orjson.dumps(dict(outputs=[said | dict(data=p.ravel())]), option=orjson.OPT_SERIALIZE_NUMPY))
    head = orjson.dumps(dict(outputs=[said | dict(parameters=dict(binary_data_size=p.nbytes))]))
    return Response(head + p.tobytes(), headers={'inference-header-content-length': str(len(head))})

def bare_ask(client, url, x, binary):
    spec = dict(name='x', datatype='FP32', shape=list(x.shape))
    if not binary:
        body = orjson.dumps(dict(inputs=[spec | dict(data=x.ravel())]), option=orjson.OPT_SERIALIZE_NUMPY)
        return np.array(orjson.loads(client.post(url, content=body).content)['outputs'][0]['data'], '<f4').reshape(len(x), -1)
    head = orjson.dumps(dict(inputs=[spec | dict(parameters=dict(binary_data_size=x.nbytes))]))
    answer = client.post(url, content=head + x.tobytes(), headers={'inference-header-content-length': str(len(head))})
    return np.frombuffer(answer.content[int(answer.headers['inference-header-content-length']):], '<f4').reshape(len(x), -1)

def run(kind, port):
    "A server, in a process of its own"
    place, url = listen(port=0)
    port.send(url)
    if kind == 'ours': server(app(dict(m=Api(light, 'abcde', SHAPE)))).run([place])
    else: uvicorn.Server(uvicorn.Config(Starlette(routes=[Route('/infer', bare_infer, methods=['POST'])]), log_level='warning')).run([place])

@contextmanager
def process(kind):
    context = get_context('spawn')
    here, there = context.Pipe()
    p = context.Process(target=run, args=(kind, there), daemon=True)
    p.start()
    try: yield here.recv()
    finally: p.terminate(); p.join()

def speed(ask, x, seconds):
    "Images a second"
    ask(x)
    begun, n = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds: n += len(ask(x))
    return n/(time.perf_counter() - begun)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--repeats', type=int, default=3)
    p.add_argument('--seconds', type=float, default=2., help='for each figure')
    args = p.parse_args()
    rows, x = [], torch.rand(500, *SHAPE)
    with process('ours') as ours, process('bare') as bare, httpx.Client(timeout=30) as client:
        api = HttpApi(ours, 'm')
        for i in range(args.repeats):
            for binary in True, False:
                for n in 500, 1:
                    api.binary = binary
                    part, plain = x[:n], x[:n].numpy()
                    figures = dict(ours=speed(api, part, args.seconds), bare=speed(lambda o: bare_ask(client, f'{bare}/infer', o, binary), plain, args.seconds))
                    rows.append(dict(tensors='binary' if binary else 'JSON', batch=n, ratio_to_bare=figures['bare']/figures['ours'], **figures))
                    line = '{tensors:7} batch {batch:4}: ours {ours:9,.0f} img/s, bare {bare:9,.0f} img/s, {ratio_to_bare:.2f} times'
                    print(line.format(**rows[-1]), flush=True)
    middle = lambda tensors, batch, what: median(r[what] for r in rows if (r['tensors'], r['batch']) == (tensors, batch))
    ratios = {'batches of 500 against single images, binary': middle('binary', 500, 'ours')/middle('binary', 1, 'ours'),
              'batches of 500 against single images, JSON': middle('JSON', 500, 'ours')/middle('JSON', 1, 'ours'),
              'binary against JSON, batches of 500': middle('binary', 500, 'ours')/middle('JSON', 500, 'ours')}
    ratios |= {f'bare against ours, {t}, batch {n}': middle(t, n, 'ratio_to_bare') for t in ('binary', 'JSON') for n in (500, 1)}
    for k, v in ratios.items(): print(f'{k:46} {v:5.2f}')
    (HERE/'results').mkdir(exist_ok=True)
    hardware = f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores'
    (HERE/'results'/'http.json').write_text(json.dumps(dict(rows=rows, ratios=ratios, versions=versions(), hardware=hardware), indent=1))

if __name__ == '__main__': main()
