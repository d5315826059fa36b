"""What each policy of an API costs: queries and worth of recovered images, and what is learned in the end.

python benchmarks/reveals.py [--data cifar_fs glyphs] [--apis 3] [--seeds 2] prints tables and writes results/reveals.json
(rows of data sets that were not asked for stay in it)."""
import argparse, itertools
from dataclasses import replace
from pathlib import Path

import torch

from bidf_mkd.demo import plan_for
from bidf_mkd.data import Episodes, domain
from bidf_mkd.evaluation import evaluate_all, paired
from bidf_mkd.models import conv4, seeded
from bidf_mkd.recovery import inversion_loss
from bidf_mkd.training import meta_train, recommended_settings
from bidf_mkd.zoo import Zoo, scenario
from queries import HERE, JUDGE, zoo_and_judges, spread, write

POLICIES = {'probabilities': ['probabilities'], '3 digits': ['digits_3'], '1 digit': ['digits_1'], 'best class and its probability': ['top_1'],
            'label only': ['label_only'], '8-bit images': ['probabilities']}
LEARNED = {'glyphs': ('probabilities', 'label only')} # data sets and policies of the second table
IMAGES, POOL = 6, 250 # images per class, procedural images that they are chosen from

def variants(names):
    "Policy, whether the settings suit it, policies, settings"
    for name in names:
        accepts = 'eight_bit' if name == '8-bit images' else 'float'
        yield name, False, dict(reveals=POLICIES[name], accepts=accepts), {}
        if settings := recommended_settings(POLICIES[name]): yield name, True, dict(reveals=POLICIES[name], accepts=accepts), settings

def recovered(api, cfg):
    "The support set of a visit, and the queries until it is there"
    last = None
    for r in meta_train(seeded(cfg.seed, conv4, 5, *api.shape[:2]), [api], cfg):
        if r['kind'] == 'support': last = r['recovery'], r['n_queries']
        elif last: return last

def measure(name, apis, seeds, folder):
    zoo, judges, plan = zoo_and_judges(name, apis, folder)
    labels = torch.arange(5).repeat_interleave(IMAGES)
    for (policy, suits, policies, settings), i, seed in itertools.product(variants(POLICIES), range(apis), range(seeds)):
        cfg = replace(plan.cfg, images=IMAGES, procedural=2*POOL, joint_steps=0, visits=1, seed=seed, **settings)
        r, n = recovered(zoo.api(i, **policies), cfg)
        truth, look = zoo.api(i)(r.images), judges.api(i)(r.images)
        row = dict(dataset=name, policy=policy, recommended=suits, api=i, seed=seed, n_queries=n, loss=inversion_loss(truth, labels).mean().item(),
                   right=(truth.argmax(1) == labels).float().mean().item(), recognised=(look.argmax(1) == labels).float().mean().item(),
                   diversity=spread(r.images, labels))
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        yield row

def learned(name, episodes, folder, seed=0):
    "Meta-test accuracy by policy; gains are paired with what full probabilities give"
    d, plan = domain(name), plan_for(name, seed)
    zoo, (x, y, names) = Zoo(folder/f'{name}_learned'), d.load('meta_test')
    list(zoo.build(scenario('ss', [d], plan.apis, seed=seed), {d.name: d.load('meta_train')}, plan.api_steps))
    tasks, first = {s: Episodes(x, y, shot=s, n=episodes, seed=seed, names=names) for s in (1, 5)}, {}
    for policy, suits, policies, settings in variants(LEARNED[name]):
        model, black_boxes = seeded(seed, conv4, 5, *d.shape[:2]), [zoo.api(i, **policies) for i in range(plan.apis)]
        path = zoo.path/f"{policy.replace(' ', '-')}-{suits}.checkpoint"
        for _ in meta_train(model, black_boxes, replace(plan.cfg, **settings), path): pass
        for shot, t in tasks.items():
            for (classifier, transductive), s in evaluate_all(model, t, [('prototype', True), ('finetune_blank', True)]).items():
                gain, ci95 = paired(s, first.setdefault((shot, classifier), s))
                row = dict(dataset=name, policy=policy, recommended=suits, way=5, shot=shot, classifier=classifier, transductive=transductive, mean=100*s.mean,
                           ci95=100*s.ci95, gain=100*gain, gain_ci95=100*ci95, n=episodes, seed=seed, n_queries=sum(a.n_queries for a in black_boxes))
                print(f"{name:9} {policy:31} {'recommended' if suits else '':7} {shot}-shot {classifier:10} {row['mean']:5.1f} ± {row['ci95']:.1f}   "
                      f"{row['gain']:+5.1f} ± {row['gain_ci95']:.1f}   {row['n_queries']:9,} queries", flush=True)
                yield row

def table(rows):
    "Means over APIs and seeds"
    line = '{:9} {:31} {:7} {:>8} {:>10} {:>8} {:>11} {:>10}'.format
    print('\n' + line('data', 'policy', '', 'queries', 'true loss', 'right', 'recognised', 'diversity'))
    for (name, policy, suits), some in itertools.groupby(rows, lambda r: (r['dataset'], r['policy'], r['recommended'])):
        some = list(some)
        mean = lambda k: sum(r[k] for r in some)/len(some)
        cells = f"{mean('n_queries'):,.0f}", f"{mean('loss'):.2f}", f"{mean('right'):.0%}", f"{mean('recognised'):.0%}", f"{mean('diversity'):.2f}"
        print(line(name, policy, 'recommended' if suits else '', *cells))

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--data', nargs='+', default=list(JUDGE))
    p.add_argument('--apis', type=int, default=3)
    p.add_argument('--seeds', type=int, default=2)
    p.add_argument('--episodes', type=int, default=200, help='meta-test tasks of the second table')
    p.add_argument('--folder', type=Path, default=HERE/'work', help='where the APIs are kept')
    args = p.parse_args()
    rows = [r for name in args.data for r in measure(name, args.apis, args.seeds, args.folder)]
    table(rows)
    print('\nMeta-test accuracy; differences to full probabilities')
    write('reveals', rows + [r for name in args.data if name in LEARNED for r in learned(name, args.episodes, args.folder)])

if __name__ == '__main__': main()
