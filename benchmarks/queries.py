"""What a recovered image costs, what it is worth, and what is learned at equal budget: the paper's estimator and ours, on the same APIs and seeds.

python benchmarks/queries.py [--data cifar_fs glyphs] [--apis 5] [--seeds 3] prints tables and writes results/queries.json
(rows of data sets that were not asked for stay in it)."""
import argparse, itertools, json, os, platform, time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch.nn import functional as F

from bidf_mkd.demo import WHOLE, plan_for, versions
from bidf_mkd.data import Episodes, as_float, domain
from bidf_mkd.estimator import FAMILIES
from bidf_mkd.evaluation import evaluate_all, paired
from bidf_mkd.models import conv4, seeded
from bidf_mkd.procedural import procedural
from bidf_mkd.recovery import recover, select_starts
from bidf_mkd.training import meta_train
from bidf_mkd.zoo import Zoo, scenario

HERE = Path(__file__).parent
LOSSES = .5, .1
IMAGES = 6      # a class
POOL = 250      # procedural images to select from
JUDGE = dict(cifar_fs=200, glyphs=60)   # training steps of the independent classifier

def from_nothing(api, labels, seed, flip, **settings):
    "A generator trained from nothing; yields queries and record"
    for r in recover(api, labels, ngf=24, flip=flip, seed=seed, **settings): yield r.n_queries, r

def selected(api, labels, seed, flip, **settings):
    "Procedural images selected, then refined; yields queries and record"
    pool = as_float(procedural(POOL, *api.shape[:2], seed=seed))
    start = select_starts(pool, api(pool), labels)
    for r in recover(api, labels, start=start, stop_loss=min(LOSSES), seed=seed, **settings): yield POOL + r.n_queries, r

METHODS = {
    "paper's estimator": (from_nothing, dict(q=100, mu=.005, steps=40)),
    '8x8 blocks, q=16': (from_nothing, dict(q=16, mu=.5, directions=FAMILIES['blocks8'], steps=60)),
    'ours': (selected, dict(q=4, mu=.5, directions=FAMILIES['dct8'], steps=200)),
}

def spread(x, labels):
    "Mean distance between images of a class: root mean square of pixels"
    return torch.stack([torch.pdist(x[labels == c].flatten(1)).mean()/x[0].numel()**.5 for c in labels.unique()]).mean().item()

def one(api, look, features, method, settings, labels, seed, flip):
    "A row: queries to each loss, and what the images are like at the lower one"
    reached, begun = {}, time.perf_counter()
    for n, r in method(api, labels, seed, flip, **settings):
        for loss in LOSSES:
            if r.loss.mean() < loss: reached.setdefault(f'queries_to_{loss}', n)
        if len(reached) == len(LOSSES): break
    z = F.normalize(features(r.images))
    return dict.fromkeys(f'queries_to_{loss}' for loss in LOSSES) | reached | dict(queries=n, loss=r.loss.mean().item(), diversity=spread(r.images, labels),
        feature_diversity=spread(z, labels), recognised=(look(r.images).argmax(1) == labels).float().mean().item(), seconds=time.perf_counter() - begun)

def zoo_and_judges(name, apis, folder):
    "A zoo, and one of judges: of the same classes, for measuring alone"
    d, plan = domain(name), plan_for(name)
    data, specs = {d.name: d.load('meta_train')}, scenario('ss', [d], apis, seed=0)
    zoo, judges = Zoo(folder/name), Zoo(folder/f'{name}_judges')
    list(zoo.build(specs, data, plan.api_steps))
    list(judges.build([replace(s, arch='resnet10', seed=s.seed + 500) for s in specs], data, JUDGE[name]))
    return zoo, judges, plan

def measure(name, apis, seeds, folder):
    zoo, judges, plan = zoo_and_judges(name, apis, folder)
    for i in range(apis):
        api, look, features = zoo.api(i), judges.api(i), torch.no_grad()(judges.model(i).backbone)
        labels = torch.arange(api.way).repeat_interleave(IMAGES)
        for (method, (f, settings)), seed in itertools.product(METHODS.items(), range(seeds)):
            row = dict(dataset=name, api=i, api_accuracy=zoo.card(i)['accuracy'], judge_accuracy=judges.card(i)['accuracy'], seed=seed, method=method)
            row |= one(api, look, features, f, settings, labels, seed, plan.cfg.flip)
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
            yield row

def table(rows):
    """Medians over APIs and seeds; how many times fewer queries than the paper's estimator, API by API and seed by seed (at least so many, where
    that was stopped before it arrived)"""
    line = '{:9} {:18} {:>8} {:>8} {:>15} {:>6} {:>10} {:>12} {:>11}  {}'.format
    print('\n' + line('data', 'method', 'to 0.5', 'to 0.1', 'fewer (median)', 'worst', 'diversity', 'of features', 'recognised', 'reached 0.1'))
    paper = {(r['dataset'], r['api'], r['seed']): r for r in rows if r['method'] == "paper's estimator"}
    for name, method in itertools.product(dict.fromkeys(r['dataset'] for r in rows), METHODS):
        mine = [r for r in rows if (r['dataset'], r['method']) == (name, method)]
        mid = lambda k: median(r[k] if r[k] is not None else float('inf') for r in mine)
        there = [(paper[r['dataset'], r['api'], r['seed']], r) for r in mine]
        ratios = [1. if p is r else (p['queries_to_0.1'] or p['queries'])/r['queries_to_0.1'] if r['queries_to_0.1'] else 0. for p, r in there]
        cells = [f"{mid(f'queries_to_{loss}'):,.0f}" for loss in LOSSES]
        cells += [f'{median(ratios):.1f}', f'{min(ratios):.1f}']
        cells += [f"{mid('diversity'):.3f}", f"{mid('feature_diversity'):.4f}", f"{mid('recognised'):.0%}"]
        cells += [f"{sum(r['queries_to_0.1'] is not None for r in mine)} of {len(mine)}"]
        print(line(name, method, *cells))

ESTIMATOR = dict(q=100, mu=.005, directions='sphere', steps=200) # the paper's

def papers_method(cfg, apis):
    """What a budget like ours leaves of the paper's method: without procedural images each set gets about a dozen of its steps, on half of the APIs;
    replay as long as ours is taught in all"""
    return replace(cfg, **WHOLE, **ESTIMATOR, head='trained', feature_scale=1., procedural=0, joint_steps=0, images=6, query=5, visits=max(1, apis//2),
                   replay_steps=60, patience=20, final_steps=100, stop_loss=0.)

def learned(name, budget, apis, episodes, folder, seed=0):
    "Rows of meta-test accuracy after one budget; gains are paired with the paper's method, on the same tasks"
    d, plan = domain(name), plan_for(name, seed, budget, apis)
    zoo, (x, y, names) = Zoo(folder/f'{name}_learned'), d.load('meta_test')
    list(zoo.build(scenario('ss', [d], apis, seed=seed), {d.name: d.load('meta_train')}, plan.api_steps))
    ours = replace(plan.cfg, joint_steps=min(plan.cfg.joint_steps, 1000))
    methods = {"paper's method": (papers_method(ours, apis), None), 'procedural images alone': (ours, 'support'), # it ends where the first recovery would begin
               "ours, the paper's estimator": (replace(ours, **ESTIMATOR), None), 'ours': (ours, None)}
    models, spent = {'random initialisation': seeded(seed, conv4, 5, *d.shape[:2])}, {'random initialisation': 0}
    for method, (cfg, end) in methods.items():
        models[method], black_boxes = seeded(seed, conv4, 5, *d.shape[:2]), [zoo.api(i) for i in range(apis)]
        run = meta_train(models[method], black_boxes, cfg, zoo.path/f"{method.replace(' ', '-')}.checkpoint")
        for _ in itertools.takewhile(lambda r: r['kind'] != end, run): pass
        spent[method] = sum(a.n_queries for a in black_boxes)
    tasks = {s: Episodes(x, y, shot=s, n=episodes, seed=seed, names=names) for s in (1, 5)}
    protocols = [('prototype', True), ('finetune_blank', True)]
    scores = {(m, s): evaluate_all(model, t, protocols) for m, model in models.items() for s, t in tasks.items()}
    for (method, shot), (classifier, transductive) in itertools.product(scores, protocols):
        mine, theirs = (scores[m, shot][classifier, transductive] for m in (method, "paper's method"))
        gain, ci95 = paired(mine, theirs)
        row = dict(dataset=name, scenario='ss', way=5, shot=shot, method=method, classifier=classifier, transductive=transductive, mean=100*mine.mean,
                   ci95=100*mine.ci95, gain=100*gain, gain_ci95=100*ci95, n=episodes, seed=seed, n_queries=spent[method], budget=budget)
        print(f'{name:9} {method:27} {shot}-shot {classifier:10} {100*mine.mean:5.1f} ± {100*mine.ci95:.1f}   {100*gain:+5.1f} ± {100*ci95:.1f}   '
              f'{spent[method]:9,} queries', flush=True)
        yield row

def write(name, rows, by=('dataset',)):
    "Rows into results/NAME.json, in place of those that are equal in `by`"
    path, key = HERE/'results'/f'{name}.json', lambda r: [r[k] for k in by]
    path.parent.mkdir(exist_ok=True)
    new = [key(r) for r in rows]
    others = [r for r in json.loads(path.read_text())['rows'] if key(r) not in new] if path.exists() else []
    hardware = f'{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads of {os.cpu_count()} cores'
    path.write_text(json.dumps(dict(rows=others + rows, versions=versions(), hardware=hardware), indent=1))

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=list(JUDGE))
    p.add_argument('--apis', type=int, default=5)
    p.add_argument('--seeds', type=int, default=3)
    p.add_argument('--budget', type=int, default=300_000, help='of the comparison at equal budget')
    p.add_argument('--learn-from', type=int, default=8, help='APIs in it')
    p.add_argument('--episodes', type=int, default=600, help='meta-test tasks in it')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    rows = [r for name in args.data for r in measure(name, args.apis, args.seeds, args.folder)]
    table(rows)
    print(f'\nMeta-test accuracy at a budget of {args.budget:,} queries; differences to the paper\'s method')
    accuracy = [r for name in args.data for r in learned(name, args.budget, args.learn_from, args.episodes, args.folder)]
    write('queries', rows + accuracy)

if __name__ == '__main__': main()
