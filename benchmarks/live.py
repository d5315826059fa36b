"""What it costs to look on: a recovery in an explorer that is shown by JupyterLab in a real browser, against the same recovery in a bare loop.

python benchmarks/live.py [--repeats 5] prints a table and writes results/live.json. Needs Chromium, which runs on the same machine."""
import argparse, json, sys, tempfile
from pathlib import Path
from statistics import median

import nbformat

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent/'tests'))
import browser
from queries import write

SHOWN = """
import json, time
import torch
from bidf_mkd.api import Api
from bidf_mkd.apps import RecoveryExplorer
from bidf_mkd.data import as_float, draw
from bidf_mkd.estimator import FAMILIES
from bidf_mkd.models import conv4, keep_memory, seeded
from bidf_mkd.procedural import procedural
from bidf_mkd.recovery import recover, select_starts
from bidf_mkd.zoo import classify, fit

torch.set_num_threads(1)
keep_memory()
classes = list('RЖΣ8ω')
model = fit(seeded(0, conv4, 5), torch.cat([draw(c, 60) for c in classes]), torch.arange(5).repeat_interleave(60), steps=60)
def black_box(): return Api(classify(model), classes, (3, 32, 32))
explorer = RecoveryExplorer(black_box(), recipe='cheapest')
explorer
"""

MEASURE = """
labels, pool = torch.arange(5).repeat_interleave(6), as_float(procedural(250))
def bare(q, steps):
    api = black_box()
    start = select_starts(pool, api(pool), labels)
    for r in recover(api, labels, steps=steps, q=q, mu=.5, directions=FAMILIES['dct8'], start=start, stop_loss=0.): pass
    return r, api.n_queries

def shown(q, steps):
    explorer.pool, begun = None, explorer.api.n_queries
    for k, v in dict(images=6, q=q, steps=steps, stop_loss=0., budget=10**6).items(): explorer.settings[k].value = v
    explorer.run()
    explorer.wait()
    return explorer.history[-1], explorer.api.n_queries - begun

def seconds(f, *args):
    begun = time.perf_counter()
    r, n = f(*args)
    return time.perf_counter() - begun, n, (r['loss'] if isinstance(r, dict) else r.loss.mean().item())

rows = []
for q, steps in (4, 400), (16, 200):
    bare(q, 10), shown(q, 10)
    for _ in range(REPEATS):
        (alone, n, loss), (live, m, again) = seconds(bare, q, steps), seconds(shown, q, steps)
        assert (n, loss) == (m, again), 'the same recovery'
        rows.append(dict(dataset='glyphs', q=q, steps=steps, images=30, n_queries=n, bare_seconds=alone, seconds=live, ratio=live/alone))
open('live.json', 'w').write(json.dumps(rows))
"""

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--repeats', type=int, default=5)
    args = p.parse_args()
    cells = [nbformat.v4.new_code_cell(o.strip()) for o in (SHOWN, MEASURE.replace('REPEATS', str(args.repeats)))]
    kernel = dict(kernelspec=dict(name='python3', display_name='python3', language='python'))
    with tempfile.TemporaryDirectory() as d, browser.serving(Path(d)) as lab, browser.chromium_running() as chromium:
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab.folder/'live.ipynb')
        page = browser.visit(chromium)
        browser.open_notebook(page, lab, 'live')
        browser.run_all(page, minutes=30)
        assert not browser.errors(page), browser.errors(page)
        rows = json.loads((lab.folder/'live.json').read_text())
    for q in dict.fromkeys(r['q'] for r in rows):
        own = [r for r in rows if r['q'] == q]
        print('q={q:3}, {images} images, {steps} steps, {n_queries:,} queries'.format(**own[0]), end=': ')
        print('bare {:.2f} s, shown {:.2f} s, {:.3f} times (medians)'.format(*(median(r[k] for r in own) for k in ('bare_seconds', 'seconds', 'ratio'))))
    write('live', rows)

if __name__ == '__main__': main()
