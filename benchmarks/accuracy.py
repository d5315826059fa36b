"""What is learned from the same APIs at the same budget: ours, the paper's method, and what is left of ours without its parts; and what could be learned
by somebody who has the images, without and with their labels.

python benchmarks/accuracy.py [--scenario ss sh mh] [--data cifar_fs glyphs] [--seeds 0] [--arch conv4 conv4-64] [--methods ...] prints accuracies on tasks
of meta-test and writes results/accuracy.json after each method, from ours on (all other rows stay in it). Interrupted, it goes on where it was: what was
learned, and how each task went, is kept with the APIs."""
import argparse, itertools, json, time
from dataclasses import replace
from pathlib import Path
from shutil import copy

import torch
from bidf_mkd.api import resized
from bidf_mkd.batch import write_json
from bidf_mkd.demo import plan_for
from bidf_mkd.data import Episodes, as_float, domain
from bidf_mkd.distillation import prototype_loss
from bidf_mkd.evaluation import QUERIES, Scores, evaluate_queries, paired, protocols_for
from bidf_mkd.models import architecture, keep_memory, seeded
from bidf_mkd.recovery import crop_flip
from bidf_mkd.replay import Memory
from bidf_mkd.training import meta_train
from bidf_mkd.training.phases import run_phases
from bidf_mkd.training.run import Run
from bidf_mkd.zoo import Zoo, scenario
from folder import make
from queries import HERE, papers_method, write

WAYS = 3, 5, 8, 10  # classes of APIs of several architectures, in turn
LITTLE = dict(procedural=2000, joint_steps=1000, prototype_steps=330, budget=80_000) # what is asked of those: ResNets are slow

KEY = 'scenario', 'dataset', 'apis', 'seed', 'arch', 'method'
FIRST, SAME = 'random initialisation', 'procedural images alone'
BUDGETS = {'ours, at most 60,000 queries': dict(procedural=2000, procedural_share=1., images=1, query=1, budget=60_000),
           'ours, at most 300,000 queries': dict(procedural=14_000, procedural_share=1., budget=300_000)} # of 20 APIs
UNLABELLED, LABELLED = 'ours, asked about real images', 'real images with their labels'

def above_chance(card):
    "How good an API is on images that it was not trained on: 0 as good as chance, 1 without error"
    return (card['accuracy'] - 1/len(card['classes']))/(1 - 1/len(card['classes']))

def methods(cfg, zoo, n, dataset):
    "Settings, the APIs that are asked, and the phase that it ends with"
    cards = [zoo.card(i) for i in range(n)]
    best = max((i for i in range(n) if cards[i]['dataset'] == dataset), key=lambda i: above_chance(cards[i]))
    alike = len({len(c['classes']) for c in cards}) == 1 # as the trained head of the paper's method needs them
    budgets = {k: (replace(cfg, **own), range(n), '') for k, own in BUDGETS.items()} if alike and n == 20 else {}
    paper = {"paper's method": (papers_method(cfg, n), range(n), '')} if alike else {}
    return {SAME: (cfg, range(n), 'support'), 'ours': (cfg, range(n), '')} | budgets | paper | {
            'single best API': (cfg if alike else replace(cfg, head='support'), [best], ''),
            'without meta-learning': (replace(cfg, distil_steps=0, replay_steps=0, prototype_steps=0, final_steps=0), range(n), '')}

def asked_about(images):
    "`meta_train` with these in place of procedural images"
    def start(model, apis, cfg, checkpoint):
        run = Run(model.train(), apis, cfg, Memory(cfg.per_class), checkpoint)
        run.pool = images[:run.n_procedural]
        return run_phases(run)
    return start

def with_labels(model, x, y, steps, seed=0, augmented=lambda x: x):
    "A meta model trained by prototypes, on tasks of labelled images"
    opt = torch.optim.Adam(model.parameters(), 1e-3)
    for task in Episodes(x, y, way=10, shot=5, query=10, n=steps, seed=seed):
        opt.zero_grad(); prototype_loss(model, task._replace(xs=augmented(task.xs), xq=augmented(task.xq)))[0].backward(); opt.step()
    return model.eval()

def timed(run, clock):
    "Work through a run; the seconds that it took, with those before an interruption"
    before, begun = float(clock.read_text()) if clock.exists() else 0., time.perf_counter()
    try:
        for _ in run: pass
    finally: clock.write_text(str(before + time.perf_counter() - begun))
    return float(clock.read_text())

def place(zoo, arch, method, suffix): return zoo.path/f"{arch} {method}{suffix}".replace(' ', '-')

def asked(zoo, i, shape):
    "API `i`, for images of a shape"
    api = zoo.api(i)
    return api if api.shape == shape else resized(api, shape)

def learned(zoo, model, arch, method, cfg, which, end='', start=meta_train):
    "A meta model that has learned from some of the APIs, the queries and the seconds that it took"
    files = lambda method: [place(zoo, arch, method, suffix) for suffix in ('.checkpoint', '.seconds')]
    checkpoint, clock = files(method)
    if method == 'ours' and not checkpoint.exists(): # the same until then
        for mine, theirs in zip(files(method), files(SAME)): copy(theirs, mine)
    apis = [asked(zoo, i, model.shape) for i in which]
    seconds = timed(itertools.takewhile(lambda r: r['kind'] != end, start(model, apis, cfg, checkpoint)), clock)
    return model, sum(a.n_queries for a in apis), seconds

def all_methods(kind, name, folder, seed, arch):
    "The zoo, and for each method its settings and a function that gives its meta model, the queries and the seconds that it took"
    main, plan = domain(name), plan_for(name, seed)
    if kind != 'ss': plan = replace(plan, apis=20, api_steps=60, cfg=replace(plan.cfg, **LITTLE))
    domains = [main, domain('glyphs' if name != 'glyphs' else 'cifar_fs'), domain(make(folder/'grey28'), 28, 1)] if kind == 'mh' else [main]
    loaded, cfg, n = {d.name: d.load('meta_train') for d in domains}, plan.cfg, plan.apis
    zoo = Zoo(folder/f'accuracy_{kind}_{name}_{seed}_{n}')
    list(zoo.build(scenario(kind, domains, n, 5 if kind == 'ss' else WAYS, seed), loaded, plan.api_steps))
    first = lambda: seeded(seed, architecture(arch), 5, *main.shape[:2])
    x, y, _ = loaded[name]
    generator = lambda: torch.Generator().manual_seed(seed)
    mixed = as_float(x[torch.randperm(len(x), generator=generator())[:cfg.procedural]])
    def taught():
        begun, g = time.perf_counter(), generator()
        model = with_labels(first(), x, y, cfg.joint_steps, seed, lambda x: crop_flip(x, g, 2, cfg.flip))
        return model, 0, time.perf_counter() - begun
    learners = methods(cfg, zoo, n, name) | {UNLABELLED: (cfg, range(n), '', asked_about(mixed))}
    return zoo, {FIRST: (cfg, lambda: (first(), 0, 0.))} | {
        m: (own[0], lambda m=m, own=own: learned(zoo, first(), arch, m, *own)) for m, own in learners.items()} | {LABELLED: (cfg, taught)}

def measured(path, cfg, learn, tasks):
    "What a method costs, and its `Scores` by shot, queries and protocol; read, where they are already there for the same settings and tasks"
    about = [{f'{shot} {q}': len(t) for shot, kinds in tasks.items() for q, t in kinds.items()}, repr(cfg)]
    if not path.exists() or json.loads(path.read_text())[0] != about:
        model, n_queries, seconds = learn()
        found = {shot: evaluate_queries(model, t, {q: protocols_for(q) for q in t}) for shot, t in tasks.items()}
        scores = [[[shot, q, *protocol], s.acc.tolist()] for shot, kinds in found.items() for q, own in kinds.items() for protocol, s in own.items()]
        write_json(path, [about, n_queries, seconds, scores])
    _, n_queries, seconds, scores = json.loads(path.read_text())
    return dict(n_queries=n_queries, seconds=seconds), {tuple(at): Scores(torch.tensor(acc)) for at, acc in scores}

def rows_of(found, **more):
    "A row for each method, shot, kind of queries and protocol; gains are paired with random first weights, `ours_minus_method` is paired, too"
    for method, (costs, scores) in found.items():
        for at, s in scores.items():
            row = dict(zip(('shot', 'queries', 'classifier', 'transductive'), at), method=method, mean=100*s.mean, ci95=100*s.ci95, n=len(s.acc)) | costs | more
            for key, a, b in ('gain', s, found[FIRST][1][at]), ('ours_minus_method', found['ours'][1][at], s):
                row[key], row[f'{key}_ci95'] = (100*v for v in paired(a, b))
            yield row

def measure(kind, name, folder, episodes, seed, arch, wanted=None):
    "Each method, one after the other, or the wanted ones; rows are written from ours on"
    x, y, names = domain(name).load('meta_test')
    tasks = {s: {q: Episodes(x, y, shot=s, n=episodes, seed=seed, names=names, dirichlet=a) for q, a in QUERIES.items()} for s in (1, 5)}
    zoo, learners = all_methods(kind, name, folder, seed, arch)
    if bad := set(wanted or ()) - learners.keys(): raise ValueError(f'--methods: expected some of {", ".join(learners)}, got {min(bad)!r}')
    found = {}
    for method, (cfg, learn) in learners.items():
        if wanted and method not in (*wanted, FIRST, SAME, 'ours'): continue
        found[method] = costs, scores = measured(place(zoo, arch, method, '.scores'), cfg, learn, tasks)
        for (shot, queries, classifier, transductive), s in scores.items():
            print(f'{kind} {name:9} {arch} seed {seed} {method:29} {shot}-shot {classifier:14} {transductive:1} {queries:10} {s}', flush=True)
        if 'ours' in found: write('accuracy', list(rows_of(found, dataset=name, scenario=kind, apis=len(zoo), way=5, seed=seed, arch=arch)), KEY)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--scenario', nargs='+', default=['ss', 'sh', 'mh'], choices=['ss', 'sh', 'mh'])
    p.add_argument('--data', nargs='+', default=['cifar_fs'])
    p.add_argument('--seeds', nargs='+', type=int, default=[0])
    p.add_argument('--arch', nargs='+', default=['conv4'], help='of the meta model')
    p.add_argument('--methods', nargs='+', help='ours, what it begins with and random first weights are always there: the others are compared with them')
    p.add_argument('--episodes', type=int, default=600, help='meta-test tasks')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    keep_memory()
    for kind, name, seed, arch in itertools.product(args.scenario, args.data, args.seeds, args.arch):
        measure(kind, name, args.folder, args.episodes, seed, arch, args.methods)

if __name__ == '__main__': main()
