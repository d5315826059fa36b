"""What is learned for how many queries: from images made by each recipe, from procedural images that are replayed as they are, by the paper's method, and
by ours with and without parts of it, on the same APIs and seeds; and what the same networks can do before they learn.

python benchmarks/learning.py [--data glyphs cifar_fs] [--size 16] [--budgets 60000 300000 1000000] [--seeds 0 1 2] [--methods ...] prints accuracies on tasks
of meta-val and meta-test and writes results/learning.json after each run. Runs that are in it are not done again; one that was interrupted goes on where
it was."""
import argparse, itertools, json
from dataclasses import replace
from pathlib import Path

from accuracy import FIRST, timed
from bidf_mkd.demo import WHOLE, plan_for
from bidf_mkd.data import Episodes, domain
from bidf_mkd.evaluation import evaluate_all, paired
from bidf_mkd.models import conv4, keep_memory, seeded
from bidf_mkd.training import Config, PRESETS, meta_train
from bidf_mkd.zoo import Zoo, scenario
from queries import HERE, write

APIS, MOST = 8, 40_000 # procedural images, at most
BUDGETS = 60_000, 300_000, 1_000_000
PROTOCOLS = ('prototype', True), ('finetune', True), ('finetune_blank', True)
KEY = 'dataset', 'size', 'method', 'budget', 'seed'
CHANGES = {'with boundary query sets': dict(boundary=True), 'with bi-level distillation': dict(distil_steps=Config.distil_steps),
           'with both': WHOLE, 'without replay': dict(replay_steps=0, final_steps=0),
           'with trained heads, features as they are': dict(head='trained', feature_scale=1.)}

def methods(dataset, budget, seed):
    """Settings by name. Two thirds of a budget go into procedural images, and the rest into as many recovered ones as it pays for; or half of it, and the rest
    into 10 images per class and set. The paper's method gets half as many directions as steps, as in its preset"""
    cfg = plan_for(dataset, seed).cfg
    cfg = replace(cfg, procedural=min(budget//APIS*2//3, MOST), procedural_share=1., budget=budget, answers=False) # the last as it was measured
    if dataset != 'glyphs': cfg = replace(cfg, joint_steps=600, prototype_steps=150) # of 3,000 and 1,000, for time
    per_set = lambda cfg: (budget - APIS*cfg.procedural)/(2*APIS)/5 # queries per class
    images = max(1, int(per_set(cfg)/(cfg.steps*(cfg.q + 1) + APIS)))
    ours, ten = replace(cfg, images=images, query=min(9, 2*images - 1)), replace(cfg, images=10, query=9, procedural=min(budget//APIS//2, MOST))
    made = lambda recipe, cost, **own: replace(c := replace(ten, recipe=recipe, **own), steps=max(1, int((per_set(c)/c.images - APIS)/cost) - 1))
    q = max(1, int((1 + budget/APIS/50)**.5/2 - .5))
    recipes = dict(readable=made('readable', cfg.q + 1)) if dataset == 'glyphs' else dict(photographs=made('photographs', 16))
    if dataset == 'glyphs': recipes['readable, no procedural images'] = made('readable', cfg.q + 1, procedural=0)
    return dict(ours=ours) | recipes | {
        'procedural images, replayed': replace(ten, procedural=min(budget//APIS, MOST)), # the surest of them are remembered as they are
        "the paper's method": replace(PRESETS['paper_small'], flip=cfg.flip, q=q, steps=budget//APIS//100//(q + 1), budget=budget, seed=seed)} | {
        k: replace(ours, **change) for k, change in CHANGES.items()}

def untrained(d, seed): return seeded(seed, conv4, 5, *d.shape[:2])

def scored(model, tasks, **about):
    "A row for each split, shot and classifier, with the accuracy of each task"
    for (split, shot), t in tasks.items():
        for (classifier, transductive), s in evaluate_all(model, t, PROTOCOLS).items():
            yield s, about | dict(split=split, way=5, shot=shot, classifier=classifier, transductive=transductive, mean=100*s.mean, ci95=100*s.ci95,
                                  n=len(s.acc))

def measure(method, cfg, d, zoo, tasks):
    "What a method learns from the APIs"
    model, apis = untrained(d, cfg.seed), [zoo.api(i) for i in range(APIS)]
    path = zoo.path/f"{method.replace(' ', '-')}.{cfg.budget}.checkpoint"
    seconds = timed(meta_train(model, apis, cfg, path), path.with_suffix('.seconds'))
    return scored(model, tasks, dataset=d.name, size=d.size, apis=APIS, method=method, budget=cfg.budget, seed=cfg.seed, seconds=seconds,
                  n_queries=sum(a.n_queries for a in apis), images=cfg.images, steps=cfg.steps, procedural=cfg.procedural)

def test_tasks(d, n, seed):
    "Tasks by split and shot"
    loaded = {split: d.load(split) for split in ('meta_val', 'meta_test')}
    return {(split, s): Episodes(x, y, shot=s, n=n, seed=seed, names=names) for split, (x, y, names) in loaded.items() for s in (1, 5)}

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=['glyphs', 'cifar_fs'])
    p.add_argument('--size', type=int, default=32)
    p.add_argument('--budgets', nargs='+', type=int, default=BUDGETS)
    p.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    p.add_argument('--methods', nargs='+', help='ours is always there: the others are compared with it')
    p.add_argument('--episodes', type=int, default=100, help='tasks of meta-val and of meta-test')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    keep_memory()
    path = HERE/'results'/'learning.json'
    for name, seed in itertools.product(args.data, args.seeds):
        d, zoo = domain(name, args.size), Zoo(args.folder/f'learning_{name}_{args.size}_{seed}')
        list(zoo.build(scenario('ss', [d], APIS, seed=seed), {d.name: d.load('meta_train')}, plan_for(name, seed).api_steps))
        tasks = test_tasks(d, args.episodes, seed)
        known = json.loads(path.read_text())['rows'] if path.exists() else []
        at = lambda budget: {r['method'] for r in known if (r['dataset'], r['size'], r['budget'], r['seed']) == (name, d.size, budget, seed)}
        if not at(0):
            first = scored(untrained(d, seed), tasks, dataset=name, size=d.size, apis=APIS, method=FIRST, budget=0, seed=seed, seconds=0., n_queries=0)
            write('learning', [row for _, row in first], KEY)
        for budget in args.budgets:
            done = at(budget)
            todo = {m: cfg for m, cfg in methods(name, budget, seed).items() if m == 'ours' or m not in done and m in (args.methods or [m])}
            reference = {}
            for method, cfg in todo.items() if todo.keys() - done else ():
                rows = []
                for s, row in measure(method, cfg, d, zoo, tasks):
                    gain, gain_ci95 = paired(s, reference.setdefault((row['split'], row['shot'], row['classifier']), s))
                    rows.append(row | dict(gain=100*gain, gain_ci95=100*gain_ci95))
                    print('{dataset} {size} {method:30} {budget:9,} seed {seed} {split:9} {shot}-shot {classifier:9} {mean:5.1f} ± {ci95:.1f} {gain:+5.1f} '
                          '± {gain_ci95:.1f} {n_queries:9,} queries {seconds:5.0f} s'.format(**rows[-1]), flush=True)
                write('learning', rows, KEY)

if __name__ == '__main__': main()
