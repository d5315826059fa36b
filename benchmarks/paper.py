"""The paper's method at a scale that two cores can pay, by its protocol: what replay and boundary query sets are worth, and ours on the same APIs.

python benchmarks/paper.py [--data glyphs] [--size 16] [--apis 10] [--q 50] [--seeds 0 1 2 3 4] prints accuracies on tasks of meta-test and writes
results/paper.json after each method. Rows that are in it are not measured again; a run that was interrupted goes on where it was. A seed is one of
everything: APIs, weights, tasks. Answers that a method of the same seed got to the same images are not computed again, but counted: of the methods of the
paper the seconds are true for the first, which has all parts."""
import argparse, hashlib, json
from dataclasses import replace
from pathlib import Path

from accuracy import timed
from bidf_mkd.api import Api
from bidf_mkd.data import Episodes, domain
from bidf_mkd.demo import plan_for
from bidf_mkd.evaluation import evaluate_all
from bidf_mkd.models import conv4, keep_memory, seeded
from bidf_mkd.training import PRESETS, meta_train, visit_cost
from bidf_mkd.zoo import Zoo, scenario
from queries import HERE, write

PROTOCOLS = ('finetune_blank', True), ('finetune', True), ('prototype', True)
KEY = 'dataset', 'size', 'apis', 'method', 'seed'
WITHOUT_REPLAY = dict(replay_steps=0)

def methods(dataset, apis, q, seed):
    "Settings by name; None: nothing is learned. Ours gets a tenth of the queries of the paper's method"
    paper = replace(PRESETS['paper_small'], q=q, flip=dataset != 'glyphs', seed=seed)
    ours = plan_for(dataset, seed).cfg
    return {'random initialisation': None, "the paper's method": paper, 'without boundary query sets': replace(paper, boundary=False),
            'without replay': replace(paper, **WITHOUT_REPLAY), 'without both': replace(paper, boundary=False, **WITHOUT_REPLAY),
            'ours': replace(ours, budget=visit_cost(paper)*apis//10)}

def remembered(api, answers):
    "The same API; `answers` keeps what it says, and spares it the same images"
    def f(x):
        key = hashlib.blake2b(x.numpy().tobytes()).digest()
        if key not in answers: answers[key] = api.f(x)
        return answers[key]
    return Api(f, api.classes, api.shape)

def measure(method, cfg, d, zoo, apis, tasks, answers):
    "A row for each shot and classifier"
    seed, spent, seconds = tasks[1].seed, 0, 0.
    model = seeded(seed, conv4, 5, *d.shape[:2])
    if cfg:
        black_boxes = [remembered(zoo.api(i), kept) for i, kept in enumerate(answers)]
        path = zoo.path/f"{method.replace(' ', '-')}.checkpoint"
        seconds = timed(meta_train(model, black_boxes, cfg, path), path.with_suffix('.seconds'))
        spent = sum(a.n_queries for a in black_boxes)
    for shot, t in tasks.items():
        for (classifier, transductive), s in evaluate_all(model, t, PROTOCOLS).items():
            yield dict(dataset=d.name, size=d.size, apis=apis, method=method, boundary=bool(cfg and cfg.boundary),
                       replay=bool(cfg and cfg.replay_steps + cfg.final_steps), seed=seed, split='meta_test', classifier=classifier,
                       transductive=transductive, shot=shot, mean=100*s.mean, ci95=100*s.ci95, n=len(s.acc), n_queries=spent, seconds=seconds)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=['glyphs'])
    p.add_argument('--size', type=int, default=16)
    p.add_argument('--apis', type=int, default=10)
    p.add_argument('--q', type=int, default=PRESETS['paper_small'].q, help='directions of the estimator, in which the price of a visit is')
    p.add_argument('--seeds', nargs='+', type=int, default=range(5))
    p.add_argument('--episodes', type=int, default=200, help='meta-test tasks')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    keep_memory()
    path = HERE/'results'/'paper.json'
    for name, seed in ((n, s) for n in args.data for s in args.seeds):
        d, zoo = domain(name, args.size), Zoo(args.folder/f'paper_{name}_{args.size}_{args.apis}_{seed}')
        list(zoo.build(scenario('ss', [d], args.apis, seed=seed), {d.name: d.load('meta_train')}, plan_for(name, seed).api_steps))
        x, y, names = d.load('meta_test')
        tasks, answers = {s: Episodes(x, y, shot=s, n=args.episodes, seed=seed, names=names) for s in (1, 5)}, [{} for _ in range(args.apis)]
        for method, cfg in methods(name, args.apis, args.q, seed).items():
            known = json.loads(path.read_text())['rows'] if path.exists() else []
            if any(tuple(r[k] for k in KEY) == (name, args.size, args.apis, method, seed) for r in known): continue
            rows = []
            for row in measure(method, cfg, d, zoo, args.apis, tasks, answers):
                rows.append(row)
                print('{dataset} {size} {method:28} seed {seed} {shot}-shot {classifier:14} {mean:5.1f} ± {ci95:.1f} {n_queries:9,} queries {seconds:5.0f} s'
                      .format(**row), flush=True)
            write('paper', rows, KEY)

if __name__ == '__main__': main()
