"""What grows with what: seconds, peak memory and queries of a recovery step by directions, image size, images and architecture, and of asking many APIs.

python benchmarks/scale.py prints a table and writes results/scale.json. Each measurement runs in a process of its own, for its peak memory."""
import argparse, json, resource, subprocess, sys, time

import torch

from bidf_mkd.api import Api
from bidf_mkd.models import architecture, conv4, keep_memory, seeded
from bidf_mkd.recovery import recover
from bidf_mkd.training import Config, meta_train
from bidf_mkd.zoo import classify
from queries import write

USUAL = dict(arch='conv4', size=32, images=30, q=16, apis=1)
VARIED = [dict(q=q) for q in (4, 16, 64, 256)] + [dict(size=s) for s in (64, 84)] + [dict(images=n) for n in (120, 480)] + [
    dict(arch='resnet10'), dict(arch='resnet18', images=5), dict(arch='resnet18', images=5, size=84, q=100)]
ASKED = [dict(apis=n) for n in (5, 20, 80)]

def black_box(arch, size, i=0): return Api(classify(seeded(i, architecture(arch), 5, 3, size)), [f'{i}.{k}' for k in range(5)], (3, size, size))

def recovery_step(arch, size, images, q, **_):
    "A step of a recovery by a generator, after one to warm up"
    api, labels = black_box(arch, size), torch.arange(images) % 5
    run = recover(api, labels, steps=2, q=q, mu=.5, ngf=24)
    next(run)
    n, begun = api.n_queries, time.perf_counter()
    next(run)
    return api.n_queries - n, time.perf_counter() - begun

def procedural_queries(arch, size, apis, **_):
    "All APIs asked about 500 procedural images, and 20 steps of distilling their answers"
    boxes, begun = [black_box(arch, size, i) for i in range(apis)], time.perf_counter()
    for r in meta_train(conv4(5), boxes, Config(procedural=500, images=4, joint_steps=20)):
        if r['kind'] == 'support': break
    return 500*apis, time.perf_counter() - begun

def measured(kind, settings):
    "A row, from another process"
    out = subprocess.run([sys.executable, __file__, '--one', json.dumps([kind, settings])], capture_output=True, text=True, check=True).stdout
    return dict(dataset='procedural', kind=kind, **settings) | json.loads(out.splitlines()[-1])

def one(kind, settings):
    keep_memory()
    n, seconds = {'recovery': recovery_step, 'procedural queries': procedural_queries}[kind](**settings)
    print(json.dumps(dict(n_queries=n, seconds=seconds, peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024)))

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--one', type=json.loads, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one: return one(*args.one)
    rows = []
    for kind, varied in {'recovery': VARIED, 'procedural queries': ASKED}.items():
        for change in varied:
            rows.append(measured(kind, USUAL | change))
            print('{kind:18} {arch:9} size {size:3} images {images:4} q {q:4} APIs {apis:3}: {n_queries:7,} queries {seconds:7.2f} s, '
                  '{peak_mb:6,.0f} MB at most'.format(**rows[-1]), flush=True)
    write('scale', rows)

if __name__ == '__main__': main()
