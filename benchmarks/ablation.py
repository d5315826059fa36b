"""What the parts of the method are worth: the whole against the method without one of them, or with another in its place, on the same APIs and seed.

python benchmarks/ablation.py [--data glyphs cifar_fs] prints a table of accuracies on tasks of meta-val and writes results/ablation.json
(rows of data sets that were not asked for stay in it). Interrupted, it goes on where it was."""
import argparse
from dataclasses import replace
from pathlib import Path

from accuracy import timed
from bidf_mkd.demo import WHOLE, plan_for
from bidf_mkd.data import Episodes, domain
from bidf_mkd.evaluation import evaluate_all, paired
from bidf_mkd.models import conv4, keep_memory, seeded
from bidf_mkd.training import meta_train
from bidf_mkd.zoo import Zoo, scenario
from queries import HERE, write

INSTEAD = {
    'the whole method': {},
    'first order': dict(first_order=True),
    'no procedural images': dict(procedural=0),
    'procedural images not refined': dict(steps=1),
    'no boundary query sets': dict(boundary=False),
    'no replay': dict(replay_steps=0, final_steps=0),
    'no bi-level distillation': dict(distil_steps=0),
    'no joint distillation, no prototypes': dict(joint_steps=0),
    'no prototypes': dict(prototype_steps=0),
    'with prototypes': dict(prototype_steps=150),
    'no meta-learning': dict(distil_steps=0, replay_steps=0, prototype_steps=0, final_steps=0),
    'soft labels in replay': dict(soft=True),
    'no interpolated tasks': dict(mix=0.),
    'no restyling': dict(restyled=False),
    'heads built from support sets': dict(head='support')}
APIS = 4
BEFORE = WHOLE | dict(procedural=1000, head='trained', feature_scale=1., answers=False) # as it was measured
SHORT = dict(glyphs=BEFORE | dict(images=10, query=9, joint_steps=600, prototype_steps=0),
             photos=BEFORE | dict(images=8, query=5, joint_steps=500, prototype_steps=150))

def short(name, seed):
    "The plan of the demo with all parts of the paper's method, on fewer APIs and procedural images, for photographs with fewer steps, too"
    plan = plan_for(name, seed)
    return replace(plan, apis=APIS, cfg=replace(plan.cfg, **SHORT['glyphs' if name == 'glyphs' else 'photos']))

def measure(name, folder, episodes, seed=0):
    "A row for each change, shot and classifier; `gain` is paired with the whole method"
    d, plan, zoo = domain(name), short(name, seed), Zoo(folder/f'ablation_{name}')
    list(zoo.build(scenario('ss', [d], plan.apis, seed=seed), {d.name: d.load('meta_train')}, plan.api_steps))
    x, y, names = d.load('meta_val')
    tasks, whole = {s: Episodes(x, y, shot=s, n=episodes, seed=seed, names=names) for s in (1, 5)}, {}
    for method, changes in INSTEAD.items():
        if changes and replace(plan.cfg, **changes) == plan.cfg: continue # so it is already
        model, apis, path = seeded(seed, conv4, 5, *d.shape[:2]), [zoo.api(i) for i in range(plan.apis)], zoo.path/f"{method.replace(' ', '-')}.checkpoint"
        seconds = timed(meta_train(model, apis, replace(plan.cfg, **changes), path), path.with_suffix('.seconds'))
        for shot, t in tasks.items():
            for protocol, s in evaluate_all(model, t, [('finetune_blank', True), ('finetune', True), ('prototype', True)]).items():
                gain, gain_ci95 = paired(s, whole.setdefault((shot, protocol), s))
                yield dict(dataset=name, scenario='ss', split='meta_val', way=5, shot=shot, method=method, classifier=protocol[0], transductive=True,
                           mean=100*s.mean, ci95=100*s.ci95, gain=100*gain, gain_ci95=100*gain_ci95, n=episodes,
                           n_queries=sum(a.n_queries for a in apis), seconds=seconds, seed=seed)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=['glyphs', 'cifar_fs'])
    p.add_argument('--episodes', type=int, default=200, help='meta-val tasks')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    keep_memory()
    for name in args.data:
        rows = []
        for r in measure(name, args.folder, args.episodes):
            print('{dataset:9} {method:36} {shot}-shot {classifier:9} {mean:5.1f} ± {ci95:.1f} {gain:+5.1f} ± {gain_ci95:.1f} {n_queries:9,} queries'
                  .format(**r), flush=True)
            rows.append(r)
            write('ablation', rows)

if __name__ == '__main__': main()
