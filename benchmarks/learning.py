"""What is learned from images made by each recipe, at equal budgets: cheap ones, readable ones, and procedural images alone, on the same APIs and seeds.

python benchmarks/learning.py [--data glyphs cifar_fs] [--budgets 60000 300000 1000000] [--seeds 0 1 2] prints accuracies on tasks of meta-val and writes
results/learning.json after each run. Runs that are in it are not done again; one that was interrupted goes on where it was."""
import argparse, itertools, json
from dataclasses import replace
from pathlib import Path

from accuracy import timed
from bidf_mkd.demo import plan_for
from bidf_mkd.data import Episodes, domain
from bidf_mkd.evaluation import evaluate_all, paired
from bidf_mkd.models import conv4, keep_memory, seeded
from bidf_mkd.training import meta_train
from bidf_mkd.zoo import Zoo, scenario
from queries import HERE, write

APIS = 8
BUDGETS = 60_000, 300_000, 1_000_000
PROTOCOLS = ('prototype', True), ('finetune', True)
KEY = 'dataset', 'recipe', 'budget', 'seed'

def configs(dataset, budget, seed):
    """Settings by recipe: what is left of the budget after the procedural images and the cross queries goes into 10 images per class and set, or into more
    images"""
    cfg = replace(plan_for(dataset, seed).cfg, images=10, query=9, budget=budget)
    if dataset != 'glyphs': cfg = replace(cfg, joint_steps=1500, prototype_steps=400) # of 4,000 and 1,000, for time
    per_set = lambda cfg: (budget - APIS*cfg.procedural)/(2*APIS)/5 # queries per class
    steps = lambda cfg: int((per_set(cfg)/cfg.images - APIS)/(cfg.q + 1.04))
    readable = replace(cfg, recipe='readable')
    blank = replace(readable, procedural=0)
    yield 'cheapest', replace(cfg, images=max(1, int(per_set(cfg)/(cfg.steps*(cfg.q + 1) + APIS))))
    if dataset == 'glyphs': yield 'readable', replace(readable, steps=steps(readable))
    if dataset == 'glyphs': yield 'readable, no procedural images', replace(blank, steps=steps(blank))
    if dataset != 'glyphs': yield 'photographs', replace(cfg, recipe='photographs', steps=int((per_set(cfg)/cfg.images - APIS)/16) - 1)
    if budget <= 300_000: yield 'procedural images alone', replace(cfg, procedural=budget//APIS, joint_steps=2*cfg.joint_steps) # in one phase

def measure(name, recipe, cfg, zoo, tasks):
    "A row for each shot and protocol, with the accuracy of each task"
    model, apis = seeded(cfg.seed, conv4, 5, *domain(name).shape[:2]), [zoo.api(i) for i in range(APIS)]
    path = zoo.path/f"{recipe.replace(' ', '-')}.{cfg.budget}.{cfg.seed}.checkpoint"
    seconds = timed(meta_train(model, apis, cfg, path), path.with_suffix('.seconds'))
    for shot, t in tasks.items():
        for protocol, s in evaluate_all(model, t, PROTOCOLS).items():
            yield s, dict(dataset=name, recipe=recipe, budget=cfg.budget, seed=cfg.seed, split='meta_val', way=5, shot=shot, classifier=protocol[0],
                          transductive=True, mean=100*s.mean, ci95=100*s.ci95, n=len(s.acc), n_queries=sum(a.n_queries for a in apis),
                          images=cfg.images, steps=cfg.steps, procedural=cfg.procedural, seconds=seconds)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=['glyphs', 'cifar_fs'])
    p.add_argument('--budgets', nargs='+', type=int, default=BUDGETS)
    p.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    p.add_argument('--recipes', nargs='+')
    p.add_argument('--episodes', type=int, default=100, help='meta-val tasks')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    keep_memory()
    path = HERE/'results'/'learning.json'
    for name, seed in itertools.product(args.data, args.seeds):
        d, zoo = domain(name), Zoo(args.folder/f'learning_{name}_{seed}')
        list(zoo.build(scenario('ss', [d], APIS, seed=seed), {d.name: d.load('meta_train')}, plan_for(name, seed).api_steps))
        x, y, names = d.load('meta_val')
        tasks = {s: Episodes(x, y, shot=s, n=args.episodes, seed=seed, names=names) for s in (1, 5)}
        for budget in args.budgets:
            cheapest = {}
            for recipe, cfg in configs(name, budget, seed):
                known = json.loads(path.read_text())['rows'] if path.exists() else []
                done = any(tuple(r[k] for k in KEY) == (name, recipe, budget, seed) for r in known)
                if recipe != 'cheapest' and (done or args.recipes and recipe not in args.recipes): continue
                rows = []
                for s, row in measure(name, recipe, cfg, zoo, tasks):
                    gain, gain_ci95 = paired(s, cheapest.setdefault((row['shot'], row['classifier']), s))
                    rows.append(row | dict(gain=100*gain, gain_ci95=100*gain_ci95))
                    print('{dataset:9} {recipe:32} {budget:9,} seed {seed} {shot}-shot {classifier:14} {mean:5.1f} ± {ci95:.1f} {gain:+5.1f} ± {gain_ci95:.1f} '
                          '{n_queries:9,} queries {seconds:5.0f} s'.format(**rows[-1]), flush=True)
                write('learning', rows, KEY)

if __name__ == '__main__': main()
