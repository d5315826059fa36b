"""What is learned from the same APIs at the same budget: ours, the paper's method, and what is left of ours without its parts.

python benchmarks/accuracy.py [--scenario ss sh mh] [--data cifar_fs glyphs] prints tables and writes results/accuracy.json
(rows of scenarios and data sets that were not asked for stay in it). Interrupted, it goes on where it was."""
import argparse, itertools, time
from dataclasses import replace
from pathlib import Path
from shutil import copy

from bidf_mkd.demo import plan_for
from bidf_mkd.data import Episodes, domain
from bidf_mkd.evaluation import QUERIES, evaluate_all, paired, protocols_for
from bidf_mkd.models import conv4, keep_memory, seeded
from bidf_mkd.training import meta_train
from bidf_mkd.zoo import Zoo, scenario
from queries import HERE, papers_method, write

SMALL = dict(apis=6, api_steps=60)                                  # of several architectures: ResNets are slow to train and to ask
LITTLE = dict(procedural=1000, images=8, query=5, joint_steps=1000, prototype_steps=300, budget=30_000) # and so is what is asked of them

def methods(cfg, zoo, n):
    "Settings, the APIs that are asked, and the phase that it ends with"
    best = max(range(n), key=lambda i: zoo.card(i)['accuracy'])
    return {"paper's method": (papers_method(cfg, n), range(n), ''), 'procedural images alone': (cfg, range(n), 'support'), 'single best API': (cfg, [best], ''),
            'without meta-learning': (replace(cfg, distil_steps=0, replay_steps=0, prototype_steps=0, final_steps=0), range(n), ''),
            'ours': (cfg, range(n), '')}

def timed(run, clock):
    "Work through a run; the seconds that it took, with those before an interruption"
    before, begun = float(clock.read_text()) if clock.exists() else 0., time.perf_counter()
    try:
        for _ in run: pass
    finally: clock.write_text(str(before + time.perf_counter() - begun))
    return float(clock.read_text())

def trained(kind, name, folder, seed):
    "Meta models by method, with the queries and seconds that each took"
    main, plan = domain(name), plan_for(name, seed)
    if kind != 'ss': plan = replace(plan, **SMALL, cfg=replace(plan.cfg, **LITTLE))
    domains = [main, domain('glyphs' if name != 'glyphs' else 'cifar_fs')] if kind == 'mh' else [main]
    zoo = Zoo(folder/f'accuracy_{kind}_{name}')
    list(zoo.build(scenario(kind, domains, plan.apis, seed=seed), {d.name: d.load('meta_train') for d in domains}, plan.api_steps))
    first = lambda: seeded(seed, conv4, 5, *main.shape[:2])
    yield 'random initialisation', first(), 0, 0.
    files = lambda method: [zoo.path/f"{method.replace(' ', '-')}.{suffix}" for suffix in ('checkpoint', 'seconds')]
    for method, (cfg, which, end) in methods(plan.cfg, zoo, plan.apis).items():
        model, apis, (path, clock) = first(), [zoo.api(i) for i in which], files(method)
        if method == 'ours' and not path.exists(): # the same until then
            for mine, theirs in zip((path, clock), files('procedural images alone')): copy(theirs, mine)
        seconds = timed(itertools.takewhile(lambda r: r['kind'] != end, meta_train(model, apis, cfg, path)), clock)
        yield method, model, sum(a.n_queries for a in apis), seconds

def measure(kind, name, folder, episodes, seed=0):
    "A row for each method, shot, kind of queries and protocol; gains are paired with random first weights, `ours_minus_method` is paired, too"
    x, y, names = domain(name).load('meta_test')
    tasks = {(s, q): Episodes(x, y, shot=s, n=episodes, seed=seed, names=names, dirichlet=a) for s in (1, 5) for q, a in QUERIES.items()}
    rows, scores = [], {}
    for method, model, n_queries, seconds in trained(kind, name, folder, seed):
        for (shot, queries), t in tasks.items():
            for protocol, s in evaluate_all(model, t, protocols_for(queries)).items():
                scores[method, shot, queries, protocol] = s
                rows.append(dict(dataset=name, scenario=kind, way=5, shot=shot, method=method, classifier=protocol[0], transductive=protocol[1],
                                 queries=queries, mean=100*s.mean, ci95=100*s.ci95, n=episodes, n_queries=n_queries, seconds=seconds, seed=seed))
                print('{scenario} {dataset:9} {method:22} {shot}-shot {classifier:14} {transductive:1} {queries:10} {mean:5.1f} ± {ci95:.1f}  '
                      '{n_queries:9,} queries'.format(**rows[-1]), flush=True)
    for r in rows:
        own = r['shot'], r['queries'], (r['classifier'], r['transductive'])
        for key, a, b in (('gain', r['method'], 'random initialisation'), ('ours_minus_method', 'ours', r['method'])):
            r[key], r[f'{key}_ci95'] = (100*v for v in paired(scores[(a, *own)], scores[(b, *own)]))
    return rows

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--scenario', nargs='+', default=['ss', 'sh', 'mh'], choices=['ss', 'sh', 'mh'])
    p.add_argument('--data', nargs='+', default=['cifar_fs'])
    p.add_argument('--episodes', type=int, default=600, help='meta-test tasks')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    keep_memory()
    for kind, name in itertools.product(args.scenario, args.data):
        rows = measure(kind, name, args.folder, args.episodes)
        for r in rows:
            if r['method'] != 'ours' and (r['classifier'], r['transductive'], r['queries']) == ('prototype', True, 'balanced'):
                print('{scenario} {dataset} {shot}-shot: ours - {method:22} {ours_minus_method:+5.1f} ± {ours_minus_method_ci95:.1f}'.format(**r))
        write('accuracy', rows, ('scenario', 'dataset'))

if __name__ == '__main__': main()
